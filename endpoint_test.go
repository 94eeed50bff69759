package yesterday

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/tcp"
)

// takeTCP has another program take, of the ports that a Server finds free for UDP, the first n for TCP. asked are those that it asks
// TCP for.
func takeTCP(t *testing.T, n int) (asked *[]netip.AddrPort) {
	t.Cleanup(func() { listenTCP = tcp.Listen })
	asked = new([]netip.AddrPort)
	listenTCP = func(addr netip.AddrPort) (*net.TCPListener, error) {
		if *asked = append(*asked, addr); len(*asked) <= n {
			if other, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr)); err == nil { // else it is taken as it is
				t.Cleanup(func() { other.Close() })
			}
		}
		return tcp.Listen(addr)
	}
	return asked
}

// free tells whether one of the ports at least is free for UDP: chance may give one to another program, but not all.
func free(ports []netip.AddrPort) bool {
	for _, addr := range ports {
		if conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr)); err == nil {
			conn.Close()
			return true
		}
	}
	return false
}

// A port that is free for UDP but not for TCP is given back, and another is taken.
func TestFreePortIsFreeForAll(t *testing.T) {
	asked := takeTCP(t, 3)
	s := &Server{Services: []Service{{service.Time, local}}}
	start(t, s)
	last := len(*asked) - 1
	if e := s.Endpoints(); len(e) != 2 || e[0].Addr != e[1].Addr || last < 3 || e[1].Addr != (*asked)[last] {
		t.Fatalf("bound %v, TCP was asked for %v, want the last for both, after three", e, *asked)
	}
	if !free((*asked)[:3]) {
		t.Errorf("none of %v is free for UDP", (*asked)[:3])
	}
	for _, transport := range []Transports{UDP, TCP} {
		if got := ask(t, s, service.Time, transport, ""); len(got) != 4 {
			t.Errorf("%v: % x", transport, got)
		}
	}
}

// A Server does not look for a free port for ever.
func TestListenGivesUp(t *testing.T) {
	asked := takeTCP(t, 1000)
	s := &Server{Services: []Service{{service.Time, local}}}
	err := s.Listen()
	l, ok := errors.AsType[*ListenError](err)
	if !ok || l.Transport != TCP || l.Addr != local || !errors.Is(err, syscall.EADDRINUSE) || len(*asked) != 20 {
		t.Errorf("%v after %d ports, want 20", err, len(*asked))
	}
	if !free(*asked) {
		t.Error("no port is free for UDP again")
	}
}

// Where it is told a port, a Server takes no other.
func TestListenKeepsToItsPort(t *testing.T) {
	for try := 1; ; try++ {
		taken, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(local))
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		asked := takeTCP(t, 0)
		addr := taken.Addr().(*net.TCPAddr).AddrPort()
		s := &Server{Services: []Service{{service.Time, addr}}}
		err = s.Listen()
		l, ok := errors.AsType[*ListenError](err)
		if ok && l.Transport == UDP && try < 10 {
			continue // another program has it there
		}
		if !ok || l.Transport != TCP || l.Addr != addr || !errors.Is(err, syscall.EADDRINUSE) || len(*asked) != 1 {
			t.Errorf("%v after %d ports, want one", err, len(*asked))
		}
		return
	}
}
