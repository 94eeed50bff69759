package ask_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/internal/ipv6"
)

// never is a time-out that a test does not live to see: what does not come at once hangs.
const never = time.Hour

// loopbacks are the addresses to test on.
var loopbacks = []string{"127.0.0.1", "::1"}

// onLoopbacks runs a test on each loopback address that this host has.
func onLoopbacks(t *testing.T, test func(t *testing.T, host string)) {
	for _, host := range loopbacks {
		t.Run(host, func(t *testing.T) {
			if host == "::1" {
				ipv6.Need(t)
			}
			test(t, host)
		})
	}
}

// A datagram is what a test's server was sent, with the means to answer.
type datagram struct {
	data  string
	from  netip.AddrPort
	count int // from 1
	conn  *net.UDPConn
}

// reply answers from the server's own address.
func (d datagram) reply(b []byte) { d.conn.WriteToUDPAddrPort(b, d.from) }

// serveUDP calls handle for each datagram to a free port of host, until the test ends, and returns its address.
func serveUDP(t testing.TB, host string, handle func(datagram)) string {
	t.Helper()
	return serveUDPAt(t, net.JoinHostPort(host, "0"), handle)
}

func serveUDPAt(t testing.TB, addr string, handle func(datagram)) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	t.Cleanup(func() { conn.Close(); done.Wait() })
	done.Go(func() {
		buf := make([]byte, 1<<16)
		for count := 1; ; count++ {
			n, from, err := conn.(*net.UDPConn).ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			handle(datagram{string(buf[:n]), from, count, conn.(*net.UDPConn)})
		}
	})
	return conn.LocalAddr().String()
}

// serveTCP calls handle for each connection to a free port of host, until the test ends, and returns its address. The
// connection is closed when handle returns, and when the test ends.
func serveTCP(t testing.TB, host string, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); l.Close(); done.Wait() })
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			done.Go(func() {
				defer stop()
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	return l.Addr().String()
}

// refusingUDP returns an address whose port is taken, so that nobody else gets it, by a socket that hears only one
// other: the system refuses everybody else's datagrams.
func refusingUDP(t testing.TB, host string) string {
	t.Helper()
	other, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	conn, err := net.Dial("udp", other.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// refusingTCP returns an address whose port is taken by a connection's near end, on which nothing listens.
func refusingTCP(t testing.TB, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// twins finds a port that is free on both loopback addresses and calls use with it; use returns an error where a port
// was taken after all.
func twins(t *testing.T, use func(v4, v6 string) error) (port string) {
	t.Helper()
	ipv6.Need(t)
	var err error
	for range 20 {
		var l net.PacketConn
		if l, err = net.ListenPacket("udp", "[::1]:0"); err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.LocalAddr().String())
		l.Close()
		if err = use("127.0.0.1:"+port, "[::1]:"+port); err == nil {
			return port
		}
	}
	t.Fatal(err)
	return ""
}

// names is a resolver of host names and, by network and name, of ports.
type names struct {
	hosts map[string][]string
	ports map[string]int // "udp/time"
}

func (n names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, a := range n.hosts[host] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, ctx.Err()
}

func (n names) LookupPort(ctx context.Context, network, service string) (int, error) {
	if port, ok := n.ports[network+"/"+service]; ok {
		return port, nil
	}
	return 0, fmt.Errorf("lookup %s/%s: unknown port", network, service)
}

var _ ask.Resolver = (*net.Resolver)(nil)

// addrPort parses an address that the test's own code made.
func addrPort(t testing.TB, s string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
