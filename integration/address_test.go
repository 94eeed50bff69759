//go:build linux

package integration

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The ports of `yesterday serve` without arguments.
const (
	echoPort    = 12315
	daytimePort = 12321
	timePort    = 12345
	ntpPort     = 12431
)

// pair makes a namespace for a server and one for its clients, joined by a veth pair: eth0 on both sides.
func pair(t *testing.T) (srv, cli *netns) {
	t.Helper()
	srv, cli = newNetns(t), newNetns(t)
	srv.link(t, "eth0", cli, "eth0")
	return srv, cli
}

// request sends a datagram over a connected socket and returns the reply.
func request(t *testing.T, conn *net.UDPConn, data string) string {
	t.Helper()
	if _, err := conn.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 65535)
	conn.SetReadDeadline(time.Now().Add(patience))
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatalf("no reply to %v from %v: %v", conn.LocalAddr(), conn.RemoteAddr(), err)
	}
	return string(buf[:n])
}

// requestTime asks for the time of RFC 868 and checks it.
func requestTime(t *testing.T, conn *net.UDPConn) {
	t.Helper()
	before := time.Now()
	behind(t, fourBytes(t, request(t, conn, "")), before, time.Now())
}

// requestFrom sends a datagram over an unconnected socket, which hears everybody, and checks who replies.
func requestFrom(t *testing.T, conn *net.UDPConn, to string) {
	t.Helper()
	addr := netip.MustParseAddrPort(to)
	if _, err := conn.WriteToUDPAddrPort(nil, addr); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	n, from, err := conn.ReadFromUDPAddrPort(make([]byte, 16))
	if err != nil {
		t.Fatalf("no reply from %s: %v", to, err)
	}
	from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	if want := netip.AddrPortFrom(addr.Addr().WithZone(""), addr.Port()); from != want || n != 4 {
		t.Errorf("asked %v, %d bytes came from %v", want, n, from)
	}
}

// nothing checks that no datagram waits on a socket. The server has ended: whatever it sent is here.
func nothing(t *testing.T, conn *net.UDPConn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	buf := make([]byte, 2048)
	if n, from, err := conn.ReadFromUDP(buf); err == nil {
		t.Errorf("%d bytes came to %v from %v, want none", n, conn.LocalAddr(), from)
	}
}

// On all addresses of a host each reply leaves from the address that was asked.
func TestReplyLeavesFromAskedAddress(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24", "10.1.0.2/24", "fd00::1/64", "fd00::2/64", "fe80::1/64", "fe80::2/64")
	cli.addr(t, "eth0", "10.1.0.9/24", "fd00::9/64", "fe80::9/64")
	s := serve(t, srv)
	for service, port := range map[string]int{"time": timePort, "daytime": daytimePort, "echo": echoPort} {
		for _, transport := range []string{"udp", "tcp"} {
			if got := s.port(service + "/" + transport); got != strconv.Itoa(port) {
				t.Errorf("%s/%s is on port %s, want %d", service, transport, got, port)
			}
		}
	}
	zone := cli.index(t, "eth0")
	for _, asked := range []string{
		"10.1.0.1", "10.1.0.2", "[fd00::1]", "[fd00::2]", fmt.Sprintf("[fe80::1%%%d]", zone), fmt.Sprintf("[fe80::2%%%d]", zone),
	} {
		to := func(port int) string { return asked + ":" + strconv.Itoa(port) }
		requestTime(t, cli.udp(t, "", to(timePort)))
		before := time.Now()
		behind(t, daytime(t, request(t, cli.udp(t, "", to(daytimePort)), "?")), before, time.Now())
		if got := request(t, cli.udp(t, "", to(echoPort)), "hi"); got != "hi" {
			t.Errorf("echo on %s: %q", asked, got)
		}
		requestFrom(t, cli.udp(t, ":0", ""), to(timePort))

		conn := cli.tcp(t, to(timePort))
		conn.SetDeadline(time.Now().Add(patience))
		buf := make([]byte, 16)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("TCP %s: %v", asked, err)
		}
		behind(t, fourBytes(t, string(buf[:n])), before, time.Now())
	}
	// The same on loopback, where every address of 127/8 is the host's, and between the host's own addresses.
	for _, asked := range []string{"127.0.0.1:12345", "127.0.0.5:12345", "[::1]:12345", "10.1.0.2:12345", "[fd00::2]:12345"} {
		requestTime(t, srv.udp(t, "", asked))
	}
	requestFrom(t, srv.udp(t, "127.0.0.1:0", ""), "127.0.0.5:12345")
	s.stop()
}

// Link-local addresses say nothing about the link: two networks may use the same, and each gets its own replies.
func TestLinkLocalRepliesKeepTheirLink(t *testing.T) {
	t.Parallel()
	srv, first, second := newNetns(t), newNetns(t), newNetns(t)
	srv.link(t, "eth0", first, "eth0")
	srv.link(t, "eth1", second, "eth0")
	srv.addr(t, "eth0", "fe80::1/64")
	srv.addr(t, "eth1", "fe80::1/64")
	s := serve(t, srv)
	for _, cli := range []*netns{first, second} {
		cli.addr(t, "eth0", "fe80::9/64")
	}
	for range 3 {
		for _, cli := range []*netns{first, second} {
			requestTime(t, cli.udp(t, "", fmt.Sprintf("[fe80::1%%%d]:12345", cli.index(t, "eth0"))))
		}
	}
	s.stop()
}

// What is longer than a link takes comes back too: it is cut up on both ways.
func TestEchoLongerThanTheLink(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24", "fd00::1/64")
	cli.addr(t, "eth0", "10.1.0.9/24", "fd00::9/64")
	for _, listen := range []string{"echo", "echo=10.1.0.1:12315"} {
		s := serve(t, srv, listen)
		for _, asked := range []string{"10.1.0.1:12315", "[fd00::1]:12315"} {
			if asked[0] == '[' && strings.Contains(listen, "=") {
				continue
			}
			conn := cli.udp(t, "", asked)
			for _, size := range []int{1472, 1473, 65_507, 1} { // 1,500 bytes with IPv4's headers, and all that it carries
				want := strings.Repeat("long", size)[:size]
				if got := request(t, conn, want); got != want {
					t.Errorf("asked %s on %s for %d bytes, got %d", listen, asked, size, len(got))
				}
			}
		}
		s.stop()
	}
}

// Where IPv6 is off, IPv4 is served all the same.
func TestWithoutIPv6(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	if err := srv.do(func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
	}); err != nil {
		missing(t, "IPv6 can't be switched off: %v", err)
	}
	srv.addr(t, "eth0", "10.1.0.1/24")
	cli.addr(t, "eth0", "10.1.0.9/24")
	s := serve(t, srv)
	requestTime(t, cli.udp(t, "", "10.1.0.1:12345"))
	requestFrom(t, cli.udp(t, "0.0.0.0:0", ""), "10.1.0.1:12345")
	s.stop()
}

// What was sent to everybody is not answered.
func TestBroadcastAndMulticast(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24 brd +", "fe80::1/64")
	cli.addr(t, "eth0", "10.1.0.9/24 brd +", "fe80::9/64")
	cli.ip(t, "route add default dev eth0") // for 224.0.0.1 and 255.255.255.255
	allNodes := fmt.Sprintf("ff02::1%%%d", cli.index(t, "eth0"))
	for listen, groups := range map[string][]string{
		"::":      {"10.1.0.255", "255.255.255.255", "224.0.0.1", allNodes},
		"0.0.0.0": {"10.1.0.255", "255.255.255.255", "224.0.0.1"},
	} {
		t.Run(listen, func(t *testing.T) {
			s := serve(t, srv, "--listen", listen)
			v4, v6 := cli.udp(t, "0.0.0.0:0", ""), cli.udp(t, "[::]:0", "")
			sent := 0
			for _, port := range []uint16{timePort, daytimePort, echoPort} {
				for _, to := range groups {
					addr := netip.MustParseAddr(to)
					conn := v4
					if addr.Is6() {
						conn = v6
					}
					if _, err := conn.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(addr, port)); err != nil {
						t.Fatalf("to %s: %v", to, err)
					}
					sent++
				}
			}
			requestTime(t, cli.udp(t, "", "10.1.0.1:12345"))
			out := s.stop()
			if got := counted(t, out, "multicast"); got != sent {
				t.Errorf("%d counted as multicast, want %d\n%s", got, sent, out)
			}
			nothing(t, v4)
			nothing(t, v6)
		})
	}
}
