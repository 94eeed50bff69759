package timetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
)

// inBubble runs a test of a server in memory, in a bubble.
func inBubble(t *testing.T, text string, test func(t *testing.T, s *timetest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, timetest.NewMemoryServer(t, text)) })
}

func dial(t *testing.T, s *timetest.Server, network string, k service.Kind) net.Conn {
	t.Helper()
	conn, err := s.Dial(network, s.Addr(k))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func write(t *testing.T, conn net.Conn, data string) {
	t.Helper()
	if n, err := io.WriteString(conn, data); n != len(data) || err != nil {
		t.Fatalf("write: %d, %v, want %d", n, err, len(data))
	}
}

// read gives what one Read does.
func read(conn net.Conn) (string, error) {
	buf := make([]byte, 1<<16)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}

// wantRead says what one Read should give, and how long it may wait for it.
func wantRead(t *testing.T, conn net.Conn, want string, after time.Duration) {
	t.Helper()
	begun := time.Now()
	got, err := read(conn)
	if took := time.Since(begun); got != want || err != nil || took != after {
		t.Errorf("read %q, %v after %v, want %q after %v", got, err, took, want, after)
	}
}

// wantError says how one Read should fail.
func wantError(t *testing.T, conn net.Conn, want error, after time.Duration) {
	t.Helper()
	begun := time.Now()
	got, err := read(conn)
	if took := time.Since(begun); got != "" || !errors.Is(err, want) || took != after {
		t.Errorf("read %q, %v after %v, want %v after %v", got, err, took, want, after)
	}
	if want == io.EOF && err != io.EOF { // as callers compare it
		t.Errorf("%v is not io.EOF itself", err)
	}
	if _, ok := errors.AsType[*net.OpError](err); !ok && want != io.EOF {
		t.Errorf("%v is no *net.OpError", err)
	}
}

func TestMemoryServices(t *testing.T) {
	inBubble(t, "2001-09-09T01:46:40Z frozen", func(t *testing.T, s *timetest.Server) {
		line := time.Unix(1e9, 0).Local().Format("Mon Jan _2 15:04:05 2006") + "\r\n"
		for _, c := range []struct {
			kind       service.Kind
			send, want string
		}{
			{service.Time, "", string(be32(1e9 + 2208988800))},
			{service.Daytime, "?", line},
			{service.Echo, "hello", "hello"},
			{service.Echo, "", ""},
		} {
			conn := dial(t, s, "udp", c.kind)
			write(t, conn, c.send)
			wantRead(t, conn, c.want, 0)

			conn = dial(t, s, "tcp", c.kind)
			write(t, conn, c.send)
			conn.(interface{ CloseWrite() error }).CloseWrite()
			if b, err := io.ReadAll(conn); string(b) != c.want || err != nil {
				t.Errorf("%v/tcp: %q, %v, want %q", c.kind, b, err, c.want)
			}
		}
		conn := dial(t, s, "udp4", service.NTP)
		write(t, conn, "\x23"+strings.Repeat("\x00", 47))
		got, err := read(conn)
		// Leap none, version 4, mode 4; stratum 1; poll 0; precision 2^-20; no root delay nor dispersion.
		if want := "\x24\x01\x00\xec" + strings.Repeat("\x00", 8) + "XDAY"; err != nil || len(got) != 48 || got[:16] != want {
			t.Errorf("ntp: %q, %v, want 48 bytes with %q", got, err, want)
		}
	})
}

func be32(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// Replies come after their delay, the earlier due first, and their copies with them; one that nobody wants is lost with its
// connection.
func TestMemoryDelay(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		conn, other := dial(t, s, "udp", service.Echo), dial(t, s, "udp", service.Echo)
		s.SetFaults("delay 3s", "duplicate")
		write(t, conn, "late")
		s.SetFaults("delay 1h")
		write(t, conn, "never")
		s.SetFaults("duplicate")
		write(t, conn, "early")
		s.SetFaults("delay 1s")
		write(t, other, "other")
		wantRead(t, conn, "early", 0)
		wantRead(t, conn, "early", 0)
		wantRead(t, conn, "late", 3*time.Second)
		wantRead(t, conn, "late", 0)
		wantRead(t, other, "other", 0) // due two seconds ago
		s.SetFaults()
		var reading sync.WaitGroup
		reading.Go(func() { wantRead(t, conn, "while one waits", time.Second) })
		time.Sleep(time.Second)
		write(t, conn, "while one waits")
		reading.Wait()
		write(t, conn, "cut")
		if n, err := conn.Read(make([]byte, 2)); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		wantError(t, conn, os.ErrDeadlineExceeded, time.Minute) // the rest of "cut" is gone
	})
}

// Of replies that are due at the same moment the one asked for first comes first.
func TestMemoryDelayKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timetest.NewMemoryServer(t, "now")
		s.SetFaults("delay 10ms")
		conn, err := s.Dial("udp", s.Addr(service.Echo))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, data := range []string{"a", "b", "c"} {
			if _, err := conn.Write([]byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		got, b := "", make([]byte, 8)
		for range 3 {
			n, err := conn.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			got += string(b[:n])
		}
		if got != "abc" {
			t.Errorf("read %q, want abc", got)
		}
	})
}

func TestMemoryDeadlines(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
			conn := dial(t, s, network, service.Echo)
			conn.SetDeadline(time.Now().Add(2 * time.Second))
			wantError(t, conn, os.ErrDeadlineExceeded, 2*time.Second)
			wantError(t, conn, os.ErrDeadlineExceeded, 0)
			_, err := read(conn)
			if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
				t.Errorf("%s: %v is no time-out", network, err)
			}
			if want := fmt.Sprintf("read %s %v->%v: i/o timeout", network, conn.LocalAddr(), conn.RemoteAddr()); err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
			if n, err := conn.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: wrote %d, %v", network, n, err)
			}
			conn.SetDeadline(time.Time{})
			write(t, conn, "x")
			wantRead(t, conn, "x", 0)

			// A deadline that is set while somebody waits counts for him.
			time.AfterFunc(time.Second, func() { conn.SetReadDeadline(time.Now().Add(time.Second)) })
			wantError(t, conn, os.ErrDeadlineExceeded, 2*time.Second)
			conn.SetReadDeadline(time.Now().Add(time.Hour))
			conn.SetWriteDeadline(time.Now())
			time.AfterFunc(time.Second, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
			wantError(t, conn, os.ErrDeadlineExceeded, time.Second)

			// At the deadline is too late.
			conn.SetDeadline(time.Time{})
			if network == "udp" {
				s.SetFaults("delay 1s")
				write(t, conn, "x")
				conn.SetReadDeadline(time.Now().Add(time.Second))
				wantError(t, conn, os.ErrDeadlineExceeded, time.Second)
				conn.SetReadDeadline(time.Time{})
				wantRead(t, conn, "x", 0)
			}
		})
	}
}

func TestMemoryClose(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
			conn := dial(t, s, network, service.Echo)
			time.AfterFunc(time.Second, func() { conn.Close() })
			wantError(t, conn, net.ErrClosed, time.Second)
			for what, err := range map[string]error{
				"write":    second(conn.Write(nil)),
				"close":    conn.Close(),
				"deadline": conn.SetDeadline(time.Time{}),
			} {
				if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %s: %v, want net.ErrClosed", network, what, err)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// Each connection has a port of its own, as many as there are.
func TestMemoryPorts(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		const ports = 65536 - 49152
		seen := map[string]net.Conn{}
		for range ports {
			conn := dial(t, s, "udp", service.Time)
			seen[conn.LocalAddr().String()] = conn
		}
		if len(seen) != ports {
			t.Errorf("%d ports, want %d", len(seen), ports)
		}
		if _, err := s.Dial("tcp", s.Addr(service.Time)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("%v, want no port left", err)
		}
		seen["127.0.0.1:50000"].Close()
		if got := dial(t, s, "udp", service.Time).LocalAddr().String(); got != "127.0.0.1:50000" {
			t.Errorf("port %v, want the one that is free", got)
		}
		if told := s.Exchanges(); len(told) != 0 { // the refused connection was none
			t.Errorf("%v", told)
		}
	})
}

func TestMemoryAddresses(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		for _, network := range []string{"udp", "tcp"} {
			conn := dial(t, s, network, service.Echo)
			if got := conn.RemoteAddr(); got.Network() != network || got.String() != "127.0.0.1:12315" {
				t.Errorf("remote %v %v", got.Network(), got)
			}
			client := netip.MustParseAddr("2001:db8::5")
			conn, err := s.From(client).Dial(network, "localhost:12315")
			if err != nil {
				t.Fatal(err)
			}
			write(t, conn, "x")
			wantRead(t, conn, "x", 0)
			told := s.Exchanges()
			e := told[len(told)-1]
			if e.From.Addr() != client || e.From.String() != conn.LocalAddr().String() || e.To.String() != "127.0.0.1:12315" {
				t.Errorf("from %v to %v, want it from %v to 127.0.0.1:12315", e.From, e.To, conn.LocalAddr())
			}
		}
	})
}

func TestMemoryRefuses(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		echo := s.Addr(service.Echo)
		for _, c := range []struct{ network, address, want string }{
			{"udp", "127.0.0.1:123", "dial udp 127.0.0.1:123: connect: connection refused"},
			{"udp", "[::1]:12315", "dial udp [::1]:12315: connect: connection refused"},
			{"tcp", s.Addr(service.NTP), "dial tcp 127.0.0.1:12431: connect: connection refused"},
			{"tcp6", echo, "dial tcp6 127.0.0.1:12315: connect: connection refused"},
			{"ip", echo, "dial ip 127.0.0.1:12315: unknown network ip"},
			{"udp", "pool.ntp.org:123", "dial udp: lookup pool.ntp.org: no such host"},
			{"udp", "127.0.0.1", "dial udp: address 127.0.0.1: missing port in address"},
			{"udp", "127.0.0.1:time", `dial udp: address 127.0.0.1:time: port "time", want a number of 0 to 65535`},
		} {
			conn, err := s.Dial(c.network, c.address)
			if _, ok := errors.AsType[*net.OpError](err); !ok || conn != nil || err.Error() != c.want {
				t.Errorf("%v, %v, want %s", conn, err, c.want)
			}
			if refused := strings.HasSuffix(c.want, "refused"); errors.Is(err, syscall.ECONNREFUSED) != refused {
				t.Errorf("%v is ECONNREFUSED: %t, want %t", err, !refused, refused)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.DialContext(ctx, "udp", echo); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want it cancelled", err)
		}
		if told := s.Exchanges(); len(told) != 0 {
			t.Errorf("%v", told)
		}
	})
}

// A datagram is as long as UDP allows.
func TestMemoryLongest(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		conn := dial(t, s, "udp", service.Echo)
		longest := strings.Repeat("x", 65507)
		write(t, conn, longest)
		wantRead(t, conn, longest, 0)
		if n, err := io.WriteString(conn, longest+"x"); n != 0 || !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("%d, %v, want EMSGSIZE", n, err)
		}
	})
}

// An exchange can be seen before its reply can be read, from whichever goroutine.
func TestMemoryAtOnce(t *testing.T) {
	const clients, each = 8, 100
	s := timetest.NewMemoryServer(t, "now")
	var asking sync.WaitGroup
	for i := range clients {
		asking.Go(func() {
			conn, err := s.From(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})).Dial("udp", s.Addr(service.Echo))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for n := range each {
				io.WriteString(conn, fmt.Sprint(n))
				if got, err := read(conn); got != fmt.Sprint(n) || err != nil {
					t.Errorf("%q, %v, want %d", got, err, n)
				}
				mine := 0
				for _, e := range s.Exchanges() {
					if e.From.String() == conn.LocalAddr().String() && e.Verdict == exchange.Answer {
						mine++
					}
				}
				if mine != n+1 {
					t.Errorf("%d exchanges, want %d", mine, n+1)
				}
			}
		})
	}
	asking.Wait()
}
