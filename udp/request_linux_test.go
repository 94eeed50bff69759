//go:build !yesterday_portable

package udp

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/ipv6"
	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// arrive receives a datagram, which may still be on its way.
func arrive(t *testing.T, s *shard) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		switch n, errno := s.in.receive(s.fd); {
		case n == 1:
			return
		case errno != unix.EAGAIN || time.Now().After(end):
			t.Fatalf("received %d, %v", n, errno)
		}
	}
}

// heard has s serve the next datagram, and returns the request as its Handler got it.
func heard(t *testing.T, s *shard, now time.Time) (r exchange.Request) {
	t.Helper()
	s.handler = exchange.HandlerFunc(func(p *exchange.Reply, got *exchange.Request) exchange.Verdict {
		r = *got
		got.Clock = clock.Offset(1) // as handlers do
		return exchange.Limit
	})
	arrive(t, s)
	s.serve(0, now)
	s.in.reset(1)
	return r
}

// Of one request nothing is left in the next.
func TestRequestsAreApart(t *testing.T) {
	s, conn := still(t, loopback, nil)
	first, second := dial(t, s.listener.Addr()), conn
	now := time.Now()
	write(t, first, "a longer one")
	a := heard(t, s, now)
	write(t, second, "one")
	b := heard(t, s, now)
	for i, c := range []struct {
		r    exchange.Request
		data string
		from string
	}{{a, "a longer one", first.LocalAddr().String()}, {b, "one", second.LocalAddr().String()}} {
		if c.r.From.String() != c.from || c.r.To != s.listener.Addr() || len(c.r.Data) != len(c.data) || cap(c.r.Data) != len(c.data) ||
			c.r.Clock != nil || c.r.Truncated || c.r.Multicast {
			t.Errorf("request %d is %+v, want %q from %s, and no more", i, c.r, c.data, c.from)
		}
	}
}

// On all addresses each request tells which one was asked.
func TestRequestTo(t *testing.T) {
	for asked, bind := range map[string]string{"127.0.0.1": "0.0.0.0:0", "127.1.2.3": "0.0.0.0:0", "::1": "[::]:0"} {
		t.Run(asked, func(t *testing.T) {
			to := netip.MustParseAddr(asked)
			if to.Is6() {
				ipv6.Need(t)
			}
			s, _ := still(t, netip.MustParseAddrPort(bind), nil)
			conn := dial(t, netip.AddrPortFrom(to, s.port))
			write(t, conn, "x")
			if r := heard(t, s, time.Now()); r.To != netip.AddrPortFrom(to, s.port) || r.From != conn.LocalAddr().(*net.UDPAddr).AddrPort() {
				t.Errorf("asked %v from %v", r.To, r.From)
			}
		})
	}
}

// Of an address with a link, link-local ones alone have a zone.
func TestSourceOf(t *testing.T) {
	for from, want := range map[string]string{
		"[fe80::1]:123": "[fe80::1%link7]:123", "[2001:db8::1]:123": "[2001:db8::1]:123", "192.0.2.1:123": "192.0.2.1:123", "169.254.1.1:123": "169.254.1.1:123",
	} {
		name, _ := mmsg.SockaddrOf(netip.MustParseAddrPort(from), 7)
		if got := sourceOf(&name, func(link uint32) string { return fmt.Sprint("link", link) }); got.String() != want {
			t.Errorf("%s on link 7 is %v, want %s", from, got, want)
		}
	}
}

// The zone of an address is its interface's name, which is looked up once, or else a number.
func TestZone(t *testing.T) {
	s, _ := still(t, loopback, nil)
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Fatalf("interfaces %v, %v", links, err)
	}
	for _, link := range links {
		if got := s.zone(uint32(link.Index)); got != link.Name {
			t.Errorf("zone %d is %q, want %q", link.Index, got, link.Name)
		}
	}
	const none = 1 << 30
	if got := s.zone(none); got != fmt.Sprint(none) {
		t.Errorf("the zone of no interface is %q", got)
	}
	if n := testing.AllocsPerRun(100, func() { s.zone(uint32(links[0].Index)); s.zone(none) }); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

// A datagram that does not fit is known to be cut.
func TestTruncated(t *testing.T) {
	s, conn := still(t, loopback, nil)
	s.in.vectors[0].SetLen(3)
	for data, want := range map[string]bool{"abc": false, "abcd": true} {
		write(t, conn, data)
		if r := heard(t, s, time.Now()); r.Truncated != want || string(r.Data) != "abc" {
			t.Errorf("%q is heard as %q, cut: %v, want abc, %v", data, r.Data, r.Truncated, want)
		}
	}
}

// Where the kernel stamps nothing, a datagram was received when it was looked at: in UTC, without a monotonic reading.
func TestWithoutStamps(t *testing.T) {
	s, conn := still(t, loopback, nil)
	for _, option := range []int{unix.SO_TIMESTAMPNS_NEW, unix.SO_TIMESTAMPNS} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, option, 0); err != nil {
			t.Fatal(err)
		}
	}
	write(t, conn, "x")
	now := time.Now()
	if r := heard(t, s, now); r.Received != now.Round(0).UTC() {
		t.Errorf("received at %v, want %v", r.Received, now.Round(0).UTC())
	}
}

// A request older than a second when it is read gets no answer.
func TestStale(t *testing.T) {
	s, conn := still(t, loopback, nil)
	for _, age := range []time.Duration{0, time.Second, time.Second + 1, -time.Hour} {
		conn.Write([]byte("x"))
		arrive(t, s)
		stamp := parseControl(s.in.controls[0][:s.in.messages[0].Header.Controllen]).received
		s.serve(0, stamp.Add(age))
		s.send()
		s.in.reset(1)
		if got, want := s.counters.Local.Verdicts[exchange.Stale] == 1, age > time.Second; got != want {
			t.Errorf("after %v: stale %v, want %v", age, got, want)
		}
		s.counters.Local.Verdicts[exchange.Stale] = 0
	}
	if got := s.counters.Local.Answered(); got != 3 {
		t.Errorf("%d answered, want 3", got)
	}
}

func TestKernelStamps(t *testing.T) {
	s, conn := still(t, loopback, nil)
	before := time.Now()
	conn.Write([]byte("x"))
	arrive(t, s)
	after := time.Now()
	c := parseControl(s.in.controls[0][:s.in.messages[0].Header.Controllen])
	// The kernel's clock and Go's are the same; it is not looked at in between.
	if c.received.Before(before.Round(0)) || c.received.After(after.Round(0)) {
		t.Errorf("stamped %v, want it between %v and %v", c.received, before, after)
	}
}

func TestBroadcastIsKnown(t *testing.T) {
	s, _ := still(t, netip.MustParseAddrPort("0.0.0.0:0"), nil)
	for host, want := range map[string]bool{"127.255.255.255": true, "127.0.0.1": false} {
		conn := dial(t, netip.AddrPortFrom(netip.MustParseAddr(host), s.port))
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		arrive(t, s)
		s.serve(0, time.Now())
		if s.request.Multicast != want {
			t.Errorf("a datagram to %s: multicast %v, want %v", host, s.request.Multicast, want)
		}
		s.out.n = 0
		s.in.reset(1)
	}
}
