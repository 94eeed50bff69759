//go:build !yesterday_portable

package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/service"
)

// still is a generator whose loop does not run, so that a test can turn it, and the server's socket.
func still(t *testing.T, kind service.Kind, address string, sockets, sources int) (*generator, *net.UDPConn) {
	t.Helper()
	conn := boundTo(t, address)
	b := &Bench{
		Service: kind, Server: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Window: 8, Duration: time.Hour, Timeout: time.Second, Size: 32, Sockets: sockets,
	}
	if sources > 0 {
		b.Sources, _ = appendRange(nil, netip.MustParseAddr("127.1.0.1"), sources)
	}
	l := newLoad(b)
	g, err := newGenerator(b, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	l.epoch = time.Now()
	return g, conn
}

func (g *generator) turnNow(t *testing.T) bool {
	clock := time.Now()
	did, err := g.turn(int64(clock.Sub(g.load.epoch)), clock.UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	return did
}

func TestGeneratorAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		kind             service.Kind
		address          string
		sockets, sources int
	}{
		"echo":    {service.Echo, "127.0.0.1:0", 1, 0},
		"sources": {service.Echo, "127.0.0.1:0", 3, 50},
		"IPv6":    {service.NTP, "[::1]:0", 2, 0},
		"time":    {service.Time, "127.0.0.1:0", 2, 50},
	} {
		t.Run(name, func(t *testing.T) {
			g, server := still(t, c.kind, c.address, c.sockets, c.sources)
			request, reply := make([]byte, 64), make([]byte, 0, 64)
			served := uint64(0)
			round := func() {
				for got := g.load.matcher.counts[answered]; g.load.matcher.counts[answered] == got; {
					g.turnNow(t)
					for ; served < g.load.matcher.sent; served++ {
						n, from, err := server.ReadFromUDPAddrPort(request)
						if err != nil {
							t.Fatal(err)
						}
						switch reply = append(reply[:0], request[:n]...); c.kind {
						case service.NTP:
							reply[0] = 4<<3 | 4
							copy(reply[24:], request[40:48])
						case service.Time:
							reply = append(reply[:0], 1, 2, 3, 4)
						}
						if _, err := server.WriteToUDPAddrPort(reply, from); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if n := testing.AllocsPerRun(300, round); n != 0 {
				t.Errorf("%v allocations a turn", n)
			}
			if g.load.matcher.counts[answered] < 300 || g.load.wrong != 0 || g.stray != 0 {
				t.Errorf("%d answered, %d wrong, %d strays", g.load.matcher.counts[answered], g.load.wrong, g.stray)
			}
		})
	}
}

// Requests leave from each address and each port in turn, and their replies find the lane.
func TestGeneratorUsesAllLanes(t *testing.T) {
	g, server := still(t, service.Time, "127.0.0.1:0", 3, 20)
	seen := make(map[netip.AddrPort]int)
	buf := make([]byte, 64)
	for g.load.matcher.counts[answered] < 600 {
		sent := g.load.matcher.sent
		g.turnNow(t)
		for range g.load.matcher.sent - sent {
			_, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatal(err)
			}
			seen[from]++
			server.WriteToUDPAddrPort([]byte{1, 2, 3, 4}, from)
		}
	}
	if len(seen) != 60 {
		t.Errorf("asked from %d lanes, want 3 ports of 20 addresses", len(seen))
	}
	ports := make(map[uint16]bool)
	for from := range seen {
		ports[from.Port()] = true
		if !netip.MustParsePrefix("127.1.0.0/24").Contains(from.Addr()) {
			t.Errorf("asked from %v", from)
		}
	}
	if len(ports) != 3 || g.load.matcher.counts[doubled] != 0 || g.stray != 0 {
		t.Errorf("%d ports, %d doubled, %d strays", len(ports), g.load.matcher.counts[doubled], g.stray)
	}
}

// What somebody else sends to an unconnected socket is no reply.
func TestGeneratorPassesOverStrays(t *testing.T) {
	g, _ := still(t, service.Echo, "127.0.0.1:0", 1, 2)
	g.turnNow(t)
	sa, err := unix.Getsockname(g.sockets[0].fd)
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr("127.1.0.1"), uint16(sa.(*unix.SockaddrInet4).Port)).String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.Write(g.load.questions.append(nil, 0)) // a right echo, of the wrong sender
	for g.stray == 0 {
		g.turnNow(t)
	}
	if g.load.matcher.counts[answered] != 0 {
		t.Error("a stranger's datagram counts as an answer")
	}
}

func TestGeneratorRefusesForeignSources(t *testing.T) {
	b := &Bench{
		Service: service.Echo, Server: loopback, Rate: 1, Duration: 1, Timeout: 1, Size: 16, Sockets: 1,
		Sources: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.77")},
	}
	if _, err := b.Run(t.Context()); err == nil || err.Error() != "source 192.0.2.77: cannot assign requested address: it is not an address of this host" {
		t.Errorf("%v, want the address that is not this host's", err)
	}
}

// A request counts from when it is handed to the system, not from when the turn began in which it is.
func TestLatencyBeginsWhereItIsHandedOver(t *testing.T) {
	g, _ := still(t, service.Echo, "127.0.0.1:0", 1, 0)
	clock := time.Now()
	before := int64(clock.Sub(g.load.epoch))
	if _, err := g.turn(before-int64(time.Second), clock.UnixNano()-int64(time.Second)); err != nil {
		t.Fatal(err)
	}
	if due := g.load.matcher.slots[0].due; g.load.matcher.sent == 0 || due < before {
		t.Errorf("%d sent, from %v before they were", g.load.matcher.sent, time.Duration(before-due))
	}
}

// A round trip ends at the kernel's stamp on the reply, however much later it is read.
func TestLatencyEndsAtTheStamp(t *testing.T) {
	g, server := still(t, service.Echo, "127.0.0.1:0", 1, 0)
	request := make([]byte, 64)
	g.turnNow(t)
	sent := g.load.matcher.sent
	for range sent {
		n, from, err := server.ReadFromUDPAddrPort(request)
		if err != nil {
			t.Fatal(err)
		}
		server.WriteToUDPAddrPort(request[:n], from)
	}
	const late = int64(900 * time.Millisecond)
	for g.load.matcher.counts[answered] < sent {
		clock := time.Now()
		now := int64(clock.Sub(g.load.epoch)) + late // as if it were read only then
		if _, err := g.receive(now, clock.UnixNano()+late-now); err != nil {
			t.Fatal(err)
		}
	}
	if slowest, passed := g.load.latency.max, time.Since(g.load.epoch); slowest > passed {
		t.Errorf("a round trip of %v, and only %v have passed", slowest, passed)
	}
}

// What a request is held up by while it leaves is not longer than its sending took.
func TestHeldNoLongerThanItTook(t *testing.T) {
	g, _ := still(t, service.Echo, "127.0.0.1:0", 1, 0)
	for range 50 {
		g.turnNow(t)
		passed := int64(time.Since(g.load.epoch))
		m := g.load.matcher
		n := uint64(g.load.window)
		first, last := (m.next-n)&m.mask, (m.next-1)&m.mask
		if c := g.load.calls[last]; c.before <= 0 || c.own <= 0 || c.before+c.own > passed-m.slots[first].due {
			t.Fatalf("%d requests left within %d ns, held by %+v", n, passed-m.slots[first].due, c)
		}
		for m.waiting > 0 {
			m.giveUp()
		}
	}
}
