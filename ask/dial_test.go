package ask_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// A dialer hands out pipes, which know nothing of datagrams, kernel stamps or CloseWrite, and serves their other ends.
type dialer struct {
	serve  func(net.Conn) // until it returns
	dialed []string
}

func (d *dialer) dial(_ context.Context, network, address string) (net.Conn, error) {
	d.dialed = append(d.dialed, network+" "+address)
	near, far := net.Pipe()
	go func() {
		d.serve(far)
		far.Close()
	}()
	return near, nil
}

// A Client with a Dial asks over nothing else, by the bubble's time.
func TestDial(t *testing.T) {
	served := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	reply := func(after time.Duration, b []byte) func(net.Conn) {
		return func(conn net.Conn) {
			conn.Read(make([]byte, 100))
			time.Sleep(after)
			conn.Write(b)
		}
	}
	want := func(t *testing.T, d *dialer, dialed ...string) {
		t.Helper()
		if !slices.Equal(d.dialed, dialed) {
			t.Errorf("dialed %q, want %q", d.dialed, dialed)
		}
	}
	t.Run("time by UDP", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &dialer{serve: reply(50*time.Millisecond, rfc868.Of(served).Append(nil))}
			c := ask.Client{Dial: d.dial, Send: []byte("?")}
			a, err := c.Time(t.Context(), "[2001:db8::1]:37")
			if err != nil {
				t.Fatal(err)
			}
			if !a.Served.Equal(served) || a.RoundTrip != 50*time.Millisecond || a.Server.String() != "[2001:db8::1]:37" {
				t.Errorf("%v from %v in %v, want %v from [2001:db8::1]:37 in 50ms", a.Served, a.Server, a.RoundTrip, served)
			}
			want(t, d, "udp [2001:db8::1]:37")
		})
	})
	t.Run("time by TCP", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &dialer{serve: func(conn net.Conn) { conn.Write(rfc868.Of(served).Append(nil)) }}
			c := ask.Client{Dial: d.dial, Transport: ask.TCP}
			a, err := c.Time(t.Context(), "192.0.2.1:37")
			if err != nil {
				t.Fatal(err)
			}
			if !a.Served.Equal(served) || a.Server.String() != "192.0.2.1:37" {
				t.Errorf("%v from %v, want %v from 192.0.2.1:37", a.Served, a.Server, served)
			}
			want(t, d, "tcp 192.0.2.1:37")
		})
	})
	t.Run("echo by TCP, whose end cannot be halved", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &dialer{serve: func(conn net.Conn) { io.Copy(conn, conn) }}
			c := ask.Client{Dial: d.dial, Transport: ask.TCP}
			if a, err := c.Echo(t.Context(), "192.0.2.1:7", []byte("hello")); err != nil || string(a.Raw) != "hello" {
				t.Errorf("%q, %v", a.Raw, err)
			}
		})
	})
	t.Run("ntp", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &dialer{serve: func(conn net.Conn) {
				buf := make([]byte, 100)
				n, _ := conn.Read(buf)
				q, err := ntp.Parse(buf[:n])
				if err != nil {
					return
				}
				now := ntp.TimestampOf(time.Now().Add(time.Hour))
				conn.Write(ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Origin: q.Transmit, Receive: now, Transmit: now}.Append(nil))
			}}
			c := ask.Client{Dial: d.dial, Samples: 3}
			a, err := c.NTP(t.Context(), "192.0.2.1:123")
			if err != nil || !a.Good() || len(a.Samples) != 3 || a.Offset.Duration().Round(time.Microsecond) != time.Hour {
				t.Errorf("%+v, %v, want 3 good samples of an hour", a, err)
			}
			want(t, d, "udp 192.0.2.1:123", "udp 192.0.2.1:123", "udp 192.0.2.1:123")
		})
	})
	t.Run("silence", func(t *testing.T) {
		for _, transport := range []ask.Transport{ask.UDP, ask.TCP} {
			synctest.Test(t, func(t *testing.T) {
				d := &dialer{serve: func(conn net.Conn) { io.Copy(io.Discard, conn) }}
				c := ask.Client{Dial: d.dial, Transport: transport}
				_, err := c.Time(t.Context(), "192.0.2.1:37")
				silent, ok := errors.AsType[*ask.NoReplyError](err)
				if !ok || silent.Attempts != 3 || silent.Took != 7*time.Second {
					t.Errorf("%v: %v, want 3 attempts in 1+2+4 seconds", transport, err)
				}
			})
		}
	})
}

// The kernel's stamps count where the connection is a socket, and only there.
func TestDialStamps(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skipf("no stamps on %s", runtime.GOOS)
	}
	addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply([]byte("1234")) })
	// A reading that is ahead of the kernel by a millisecond is taken back to the stamp, so it is not the one that was given.
	stamped := func(c ask.Client) bool {
		var mu sync.Mutex
		var given []time.Time
		c.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			given = append(given, time.Now().Add(time.Millisecond))
			return given[len(given)-1]
		}
		a, err := c.Time(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(given, a.Received.Equal)
	}
	socket := new(net.Dialer).DialContext
	wrapped := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := socket(ctx, network, address)
		return struct{ net.Conn }{conn}, err
	}
	for name, c := range map[string]ask.Client{"no Dial": {}, "a Dial of sockets": {Dial: socket}} {
		tries := 0
		for ; tries < 10 && !stamped(c); tries++ { // a reading that comes a second late is not
		}
		if tries == 10 {
			t.Errorf("%s: no stamp counts", name)
		}
	}
	if stamped(ask.Client{Dial: wrapped}) {
		t.Error("a stamp of what is no socket")
	}
}

// What Dial says is what the system would have said.
func TestDialFails(t *testing.T) {
	for _, transport := range []ask.Transport{ask.UDP, ask.TCP} {
		c := ask.Client{Transport: transport}
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		_, err := c.Time(t.Context(), "192.0.2.1:37")
		if _, ok := errors.AsType[*ask.RefusedError](err); !ok {
			t.Errorf("%v: %v, want a RefusedError", transport, err)
		}
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no such proxy") }
		_, err = c.Time(t.Context(), "192.0.2.1:37")
		if _, ok := errors.AsType[*ask.UnreachableError](err); !ok {
			t.Errorf("%v: %v, want an UnreachableError", transport, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { cancel(); return nil, ctx.Err() }
		_, err = c.Time(ctx, "192.0.2.1:37")
		if _, ok := errors.AsType[*ask.NoReplyError](err); !ok || !errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v, want a NoReplyError of the context's end", transport, err)
		}
	}
}
