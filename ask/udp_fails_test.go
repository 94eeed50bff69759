package ask_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
)

// TestForeignSender has somebody else answer first, with a good reply and a bad one.
func TestForeignSender(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		foreign, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		addr := serveUDP(t, host, func(d datagram) {
			to := net.UDPAddrFromAddrPort(d.from)
			foreign.WriteTo([]byte("hello"), to)
			foreign.WriteTo([]byte{1, 2, 3, 4}, to)
			d.reply(bytes868)
		})
		a, err := (&ask.Client{Timeout: never}).Time(t.Context(), addr)
		if err != nil || !bytes.Equal(a.Raw, bytes868) {
			t.Errorf("answer is %+v, %v, want the server's own", a, err)
		}
	})
}

func TestBadReplyUDP(t *testing.T) {
	for _, c := range []struct {
		service service.Kind
		reply   string
		want    string
	}{
		{service.Time, "hello", "rfc868: reply has 5 bytes, want 4: 68 65 6c 6c 6f"},
		{service.Time, "", "rfc868: reply has 0 bytes, want 4"},
		{service.Time, strings.Repeat("\xff", 60000), "rfc868: reply has 60000 bytes, want 4:" + strings.Repeat(" ff", 64) + " …"},
		{service.Daytime, "", "rfc867: reply has 0 bytes, want a line of 1 to 512"},
		{service.Daytime, strings.Repeat("x", 513), "rfc867: reply has 513 bytes, want a line of 1 to 512"},
	} {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply([]byte(c.reply)) })
		client := ask.Client{Timeout: never}
		call := client.Time
		if c.service == service.Daytime {
			call = client.Daytime
		}
		_, err := call(t.Context(), addr)
		e, ok := errors.AsType[*ask.BadReplyError](err)
		if !ok || string(e.Raw) != c.reply || e.Server != addrPort(t, addr) {
			t.Errorf("%v: error is %v, want a BadReplyError", c.service, err)
			continue
		}
		if want := "ask: bad reply for " + c.service.String() + "/udp from " + addr + ": " + c.want; err.Error() != want {
			t.Errorf("error says %q, want %q", err, want)
		}
	}
}

func TestEchoStrays(t *testing.T) {
	t.Run("then the echo", func(t *testing.T) {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			d.reply([]byte("ih"))
			d.reply([]byte("hi there"))
			d.reply(nil)
			d.reply([]byte("hi"))
		})
		a, err := (&ask.Client{Timeout: never}).Echo(t.Context(), addr, []byte("hi"))
		if err != nil || string(a.Raw) != "hi" {
			t.Errorf("answer is %+v, %v", a, err)
		}
	})
	t.Run("alone", func(t *testing.T) {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply([]byte("no\x1b" + strings.Repeat(".", 40))) })
		_, err := (&ask.Client{Timeout: 50 * time.Millisecond, Tries: 2}).Echo(t.Context(), addr, []byte("hi"))
		e, ok := errors.AsType[*ask.NoReplyError](err)
		if !ok || e.Strays == 0 || len(e.Stray) != 43 {
			t.Fatalf("error is %v, want a NoReplyError with strays", err)
		}
		if want := `came back but not what was sent, the last "no\x1b.............................`; !strings.Contains(err.Error(), want) {
			t.Errorf("error says %q, want %q in it", err, want)
		}
	})
}

func TestTooLong(t *testing.T) {
	addr := serveUDP(t, "127.0.0.1", func(datagram) {})
	_, err := (&ask.Client{Timeout: never}).Echo(t.Context(), addr, make([]byte, 65508))
	if e, ok := errors.AsType[*ask.TooLongError](err); !ok || e.Size != 65508 || err.Error() != "ask: 65508 bytes to send, want at most 65507: a datagram holds no more" {
		t.Errorf("error is %v", err)
	}
}

func TestContextUDP(t *testing.T) {
	t.Run("cancelled while waiting", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the user went away")
		addr := serveUDP(t, "127.0.0.1", func(datagram) { cancel(why) })
		_, err := (&ask.Client{Timeout: never}).Time(ctx, addr)
		e, ok := errors.AsType[*ask.NoReplyError](err)
		if !ok || e.Attempts != 1 || !errors.Is(err, why) || !strings.HasSuffix(err.Error(), "; the user went away") {
			t.Errorf("error is %v, want a NoReplyError with the cause", err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		addr := serveUDP(t, "127.0.0.1", func(datagram) {})
		if _, err := (&ask.Client{Timeout: never}).Time(ctx, addr); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want the deadline", err)
		}
	})
	t.Run("over before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, addr := range []string{"127.0.0.1:37", "localhost", "server.test:time"} {
			for _, transport := range []ask.Transport{ask.UDP, ask.TCP} {
				c := ask.Client{Timeout: never, Transport: transport}
				if _, err := c.Time(ctx, addr); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: error is %v, want context.Canceled", addr, err)
				}
			}
		}
	})
}

func TestUnreachable(t *testing.T) {
	// No route leads from this host's loopback-only zone to a link-local address.
	_, err := (&ask.Client{Timeout: never}).Time(t.Context(), "[fe80::1%4294967290]:37")
	e, ok := errors.AsType[*ask.UnreachableError](err)
	if !ok || !strings.HasPrefix(err.Error(), "ask: cannot ask for time/udp: [fe80::1%4294967290]:37: ") || !errors.Is(err, e.Servers[0].Err) {
		t.Errorf("error is %v, want an UnreachableError that wraps the system's", err)
	}
}

func TestBadSettings(t *testing.T) {
	for _, c := range []ask.Client{{Timeout: -1}, {Tries: -1}, {Transport: 2}} {
		if _, err := c.Time(t.Context(), "127.0.0.1:37"); err == nil || !strings.Contains(err.Error(), ", want ") {
			t.Errorf("%+v: error is %v", c, err)
		}
	}
}
