package ask_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
)

func TestTimeTCP(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		asked := make(chan string, 1)
		addr := serveTCP(t, host, func(conn *net.TCPConn) {
			got, err := io.ReadAll(conn) // ends only because the client closes its half
			if err != nil {
				t.Error(err)
			}
			asked <- string(got)
			for _, b := range bytes868 { // in pieces
				conn.Write([]byte{b})
			}
		})
		c := ask.Client{Timeout: never, Transport: ask.TCP, Send: []byte("now?"), Now: clockAt(today)}
		a, err := c.Time(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-asked; got != "now?" {
			t.Errorf("it was sent %q", got)
		}
		if a.Transport != ask.TCP || a.Server != addrPort(t, addr) || a.Attempts != 1 || a.Offset != -86400 || !bytes.Equal(a.Raw, bytes868) {
			t.Errorf("answer is %+v, want -86400 s by time/tcp from %s", a, addr)
		}
	})
}

// TestLeftOpen asks servers that never close the connection after a whole answer.
func TestLeftOpen(t *testing.T) {
	for _, c := range []struct {
		service service.Kind
		reply   string
	}{
		{service.Time, string(bytes868)},
		{service.Daytime, "Sat Nov 21 09:29:09 2026\r\n"},
	} {
		t.Run(c.service.String(), func(t *testing.T) {
			addr := serveTCP(t, "127.0.0.1", func(conn *net.TCPConn) {
				conn.Write([]byte(c.reply))
				<-t.Context().Done()
			})
			client := ask.Client{Timeout: 50 * time.Millisecond, Tries: 8, Transport: ask.TCP, Zone: time.UTC, Now: clockAt(today)}
			call := client.Time
			if c.service == service.Daytime {
				call = client.Daytime
			}
			a, err := call(t.Context(), addr)
			if err != nil || string(a.Raw) != c.reply || a.Offset != -86400 {
				t.Errorf("answer is %+v, %v", a, err)
			}
		})
	}
}

func TestDaytimeTCP(t *testing.T) {
	for _, line := range []string{"Sat Nov 21 09:29:09 2026\r\n", "\nit is late\n", strings.Repeat("z", 512)} {
		addr := serveTCP(t, "127.0.0.1", func(conn *net.TCPConn) { conn.Write([]byte(line)) })
		a, err := (&ask.Client{Timeout: never, Transport: ask.TCP}).Daytime(t.Context(), addr)
		if err != nil || string(a.Raw) != line {
			t.Errorf("answer is %+v, %v, want %q", a, err, line)
		}
	}
}

func TestEchoTCP(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		addr := serveTCP(t, host, func(conn *net.TCPConn) { io.Copy(conn, conn) })
		for _, data := range []string{"", "hi", strings.Repeat("0123456789abcdef", 1<<18)} { // 4 MiB: more than the system keeps
			a, err := (&ask.Client{Timeout: never, Transport: ask.TCP}).Echo(t.Context(), addr, []byte(data))
			if err != nil || string(a.Raw) != data {
				t.Errorf("%d bytes: %d came back, %v", len(data), len(a.Raw), err)
			}
		}
	})
}

func TestBadReplyTCP(t *testing.T) {
	for _, c := range []struct {
		service service.Kind
		reply   string
		want    string
	}{
		{service.Time, "hello", "rfc868: reply has 5 bytes, want 4: 68 65 6c 6c 6f"},
		{service.Time, "abc", "rfc868: reply has 3 bytes, want 4: 61 62 63"},
		{service.Time, "", "rfc868: reply has 0 bytes, want 4"},
		{service.Time, strings.Repeat("A", 1<<20), "rfc868: reply has more than 512 bytes, want 4:" + strings.Repeat(" 41", 64) + " …"},
		{service.Daytime, "", "rfc867: reply has 0 bytes, want a line of 1 to 512"},
		{service.Daytime, strings.Repeat("A", 1<<20), "rfc867: reply has more than 512 bytes, want a line of 1 to 512"},
		{service.Echo, "ih", `echo: reply is "ih", want what was sent, "hi"`},
		{service.Echo, "h", `echo: reply is "h", want what was sent, "hi"`},
		{service.Echo, "", `echo: reply is "", want what was sent, "hi"`},
	} {
		addr := serveTCP(t, "127.0.0.1", func(conn *net.TCPConn) {
			conn.Write([]byte(c.reply))
			conn.CloseWrite()
			io.Copy(io.Discard, conn) // else the close is a reset
		})
		client := ask.Client{Timeout: never, Transport: ask.TCP}
		var err error
		switch c.service {
		case service.Time:
			_, err = client.Time(t.Context(), addr)
		case service.Daytime:
			_, err = client.Daytime(t.Context(), addr)
		case service.Echo:
			_, err = client.Echo(t.Context(), addr, []byte("hi"))
		}
		if _, ok := errors.AsType[*ask.BadReplyError](err); !ok {
			t.Errorf("%v: error is %v, want a BadReplyError", c.service, err)
			continue
		}
		if want := "ask: bad reply for " + c.service.String() + "/tcp from " + addr + ": " + c.want; err.Error() != want {
			t.Errorf("error says %q, want %q", err, want)
		}
	}
}

func TestEmptyEchoTCP(t *testing.T) {
	addr := serveTCP(t, "127.0.0.1", func(conn *net.TCPConn) { conn.Write([]byte("!")) })
	_, err := (&ask.Client{Timeout: never, Transport: ask.TCP}).Echo(t.Context(), addr, nil)
	if err == nil || !strings.HasSuffix(err.Error(), `echo: reply is "!", want what was sent, ""`) {
		t.Errorf("error is %v", err)
	}
}

func TestRefusedTCP(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		addr := refusingTCP(t, host)
		_, err := (&ask.Client{Timeout: never, Transport: ask.TCP}).Time(t.Context(), addr)
		if _, ok := errors.AsType[*ask.RefusedError](err); !ok {
			t.Fatalf("error is %v, want a RefusedError", err)
		}
		if want := "ask: nothing listens for time/tcp there: " + addr + ": connection refused"; err.Error() != want {
			t.Errorf("error says %q, want %q", err, want)
		}
	})
}

func TestAddressesTCP(t *testing.T) {
	port := twins(t, func(v4, v6 string) error {
		l, err := net.Listen("tcp", v4)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Write(bytes868)
				conn.Close()
			}
		}()
		return nil
	})
	c := ask.Client{Timeout: never, Transport: ask.TCP, Resolver: names{hosts: map[string][]string{"both.test": {"::1", "127.0.0.1"}}}}
	a, err := c.Time(t.Context(), "both.test:"+port)
	if err != nil || a.Server != addrPort(t, "127.0.0.1:"+port) || a.Attempts != 2 {
		t.Errorf("answer is %+v, %v, want one from 127.0.0.1 by the second connection", a, err)
	}
}

func TestResetTCP(t *testing.T) {
	addr := serveTCP(t, "127.0.0.1", func(conn *net.TCPConn) { conn.SetLinger(0) })
	_, err := (&ask.Client{Timeout: never, Transport: ask.TCP}).Time(t.Context(), addr)
	e, ok := errors.AsType[*ask.NoReplyError](err)
	if !ok || e.Attempts != 3 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error is %v, want a NoReplyError after 3 connections that were reset", err)
	}
}

func TestSilenceTCP(t *testing.T) {
	for _, c := range []struct{ part, want string }{
		{"", ": 5 connections tried in "},
		{"ab", "; 2 bytes came and no more: "},
	} {
		addr := serveTCP(t, "127.0.0.1", func(conn *net.TCPConn) {
			conn.Write([]byte(c.part))
			<-t.Context().Done()
		})
		_, err := (&ask.Client{Timeout: 20 * time.Millisecond, Tries: 5, Transport: ask.TCP}).Time(t.Context(), addr)
		if e, ok := errors.AsType[*ask.NoReplyError](err); !ok || e.Attempts != 5 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want a NoReplyError with %q", err, c.want)
		}
	}
}

func TestContextTCP(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := serveTCP(t, "127.0.0.1", func(conn *net.TCPConn) {
		cancel()
		<-t.Context().Done()
	})
	_, err := (&ask.Client{Timeout: never, Transport: ask.TCP}).Time(ctx, addr)
	if e, ok := errors.AsType[*ask.NoReplyError](err); !ok || e.Attempts != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want a NoReplyError of a cancelled context", err)
	}
}
