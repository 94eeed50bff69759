//go:build linux

package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A client on a public address is refused by default, which shows; --allow answers it.
func TestPublicClient(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "203.0.113.1/24", "2001:db8:1::1/64")
	srv.ip(t, "-6 route add 2001:db8:2::/64 dev eth0")
	cli.addr(t, "eth0", "203.0.113.9/24", "2001:db8:1::9/64", "2001:db8:2::9/64")
	strangers := map[string]string{"203.0.113.9": "203.0.113.1:12345", "2001:db8:2::9": "[2001:db8:1::1]:12345"}

	t.Run("refused", func(t *testing.T) {
		s := serve(t, srv)
		var socks []*net.UDPConn
		for from, to := range strangers {
			conn := cli.udp(t, net.JoinHostPort(from, "0"), to)
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			socks = append(socks, conn)
		}
		// Refused by a reset, which may be here before the connect has returned.
		if tcp, err := cli.dialTCP(t, "203.0.113.1:12345"); err == nil {
			tcp.SetDeadline(time.Now().Add(patience))
			if n, err := tcp.Read(make([]byte, 16)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("TCP: %d bytes, %v: want a closed connection", n, err)
			}
		} else if !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("TCP: %v", err)
		}
		if _, ok := s.stderr.await(func(line string) bool {
			return strings.Contains(line, "203.0.113.9") || strings.Contains(line, "2001:db8:2::9")
		}, s.ended); !ok {
			t.Errorf("the refusal does not show on stderr: %q", &s.stderr)
		}
		// The host's own addresses and its neighbours on an IPv6 link are no strangers.
		requestTime(t, srv.udp(t, "", "203.0.113.1:12345"))
		requestTime(t, cli.udp(t, "[2001:db8:1::9]:0", "[2001:db8:1::1]:12345"))
		out := s.stop()
		if got := counted(t, out, "not allowed"); got != 3 {
			t.Errorf("%d counted as not allowed, want 3\n%s", got, out)
		}
		for _, conn := range socks {
			nothing(t, conn)
		}
	})
	for _, allow := range []string{"any", "203.0.113.0/24,2001:db8:2::/64"} {
		t.Run("allow "+allow, func(t *testing.T) {
			s := serve(t, srv, "--allow", allow)
			for from, to := range strangers {
				requestTime(t, cli.udp(t, net.JoinHostPort(from, "0"), to))
			}
			s.stop()
			if got := s.stderr.String(); strings.Contains(got, "203.0.113.9") {
				t.Errorf("allowed, and yet: %s", got)
			}
		})
	}
}

// A datagram whose source port is that of a service which answers anything gets no answer: the two would go on for ever.
func TestLoopPorts(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24")
	cli.addr(t, "eth0", "10.1.0.9/24")
	s := serve(t, srv)
	to := []string{fmt.Sprintf("10.1.0.1:%d", timePort), fmt.Sprintf("10.1.0.1:%d", daytimePort), fmt.Sprintf("10.1.0.1:%d", echoPort)}
	var socks []*net.UDPConn
	sent := 0
	for _, port := range []int{7, 9, 13, 17, 19, 37, timePort, daytimePort, echoPort} {
		conn := cli.udp(t, fmt.Sprintf("10.1.0.9:%d", port), "")
		for _, to := range to {
			if _, err := conn.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		socks = append(socks, conn)
	}
	// Port 0 is nobody's: no socket has it, so the header is written by hand, its checksum 0 for "none".
	var raw int
	if err := cli.do(func() (err error) {
		raw, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	header := binary.BigEndian.AppendUint16(nil, 0)
	header = binary.BigEndian.AppendUint16(header, timePort)
	header = binary.BigEndian.AppendUint16(header, 8)
	header = binary.BigEndian.AppendUint16(header, 0)
	if err := unix.Sendto(raw, header, 0, &unix.SockaddrInet4{Addr: [4]byte{10, 1, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sent++

	requestTime(t, cli.udp(t, "10.1.0.9:50000", to[0]))
	requestTime(t, cli.udp(t, "10.1.0.9:123", to[0])) // a low port is none of these
	if got := request(t, cli.udp(t, "10.1.0.9:53", to[2]), "hi"); got != "hi" {
		t.Errorf("echo to port 53: %q", got)
	}
	out := s.stop()
	if got := counted(t, out, "loop"); got != sent {
		t.Errorf("%d counted as loop, want %d\n%s", got, sent, out)
	}
	for _, conn := range socks {
		nothing(t, conn)
	}
}

// One source that asks without end gets what the limit says, while another is answered as ever.
func TestLimit(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24")
	cli.addr(t, "eth0", "10.1.0.8/24", "10.1.0.9/24")
	const limit, asked = 50, 5000
	s := serve(t, srv, "--limit", fmt.Sprint(limit))
	greedy := cli.udp(t, "10.1.0.8:0", "10.1.0.1:12345")
	other := cli.udp(t, "10.1.0.9:0", "10.1.0.1:12345")
	start := time.Now()
	for i := range asked {
		if _, err := greedy.Write(nil); err != nil {
			t.Fatal(err)
		}
		if i%500 == 499 { // it also keeps the queue short: what waits before this is worked off when the reply comes
			requestTime(t, other)
		}
	}
	out := s.stop()
	atMost := limit * (2 + int(time.Since(start)/time.Second))
	got := 0
	for buf := make([]byte, 16); ; got++ {
		greedy.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := greedy.Read(buf); err != nil {
			break
		}
	}
	if got < limit || got > atMost {
		t.Errorf("%d replies, want %d to %d", got, limit, atMost)
	}
	if over := counted(t, out, "over limit"); over != asked-got {
		t.Errorf("%d counted as over the limit, want %d\n%s", over, asked-got, out)
	}
}

// A region comes back from a power cut: 100,000 devices ask once each, and are answered.
func TestStorm(t *testing.T) {
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24")
	cli.addr(t, "eth0", "10.1.0.9/24")
	cli.ip(t, "route add local 10.64.0.0/15 dev lo") // every address of it is the client's own
	srv.ip(t, "route add 10.64.0.0/15 via 10.1.0.9")
	s := serve(t, srv)

	const devices, window = 100_000, 64
	conn := cli.udp(t, "0.0.0.0:0", "")
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1) })
	if err != nil {
		t.Fatal(err)
	}
	var answered [1 << 17]bool
	to := netip.MustParseAddrPort("10.1.0.1:12345")
	reply, oob := make([]byte, 16), make([]byte, 256)
	received, twice, wrong := 0, 0, 0
	receive := func() bool {
		conn.SetReadDeadline(time.Now().Add(2 * time.Second)) // longer than any reply that still has a meaning
		n, oobn, _, _, err := conn.ReadMsgUDPAddrPort(reply, oob)
		if err != nil {
			return false
		}
		device := destination(t, oob[:oobn]) - 0x0a400000
		if n != 4 || device >= devices {
			wrong++
			return true
		}
		if answered[device] {
			twice++
		}
		answered[device] = true
		received++
		return true
	}
	outstanding := 0
	for device := range uint32(devices) {
		from := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(binary.BigEndian.AppendUint32(nil, 0x0a400000+device))})
		if _, _, err := conn.WriteMsgUDPAddrPort(nil, from, to); err != nil {
			t.Fatal(err)
		}
		if outstanding++; outstanding == window {
			if receive() {
				outstanding--
			} else {
				outstanding = 0 // those are lost
			}
		}
	}
	for outstanding > 0 && receive() {
		outstanding--
	}
	out := s.stop()
	if twice > 0 || wrong > 0 {
		t.Errorf("%d answered twice, %d wrongly", twice, wrong)
	}
	if received < devices*999/1000 {
		t.Errorf("%d of %d answered\n%s", received, devices, out)
	}
	if got := counted(t, out, "answered"); got != received {
		t.Errorf("%d counted as answered, %d arrived\n%s", got, received, out)
	}
	t.Logf("%d of %d answered", received, devices)
}

// destination returns the address that a datagram was sent to, from the control messages it came with.
func destination(t *testing.T, oob []byte) uint32 {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		// struct in_pktinfo: interface, local address, destination.
		if m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12 {
			return binary.BigEndian.Uint32(m.Data[8:12])
		}
	}
	t.Fatal("no packet info")
	return 0
}
