//go:build !yesterday_portable

package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/service"
)

// Where nothing listens that is heard and counted, from one address or from several, from one port or from several.
func TestBenchHearsRefusalsOnEachSocket(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			for _, c := range []struct{ sockets, sources int }{{1, 0}, {3, 0}, {1, 1}, {1, 20}, {3, 20}} {
				conn := boundTo(t, address)
				to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
				conn.Close()
				b := Bench{Service: service.Echo, Server: to, Rate: 1000, Duration: 100 * time.Millisecond, Timeout: 20 * time.Millisecond, Size: 16, Sockets: c.sockets}
				if c.sources > 0 {
					if b.Sources, _ = appendRange(nil, netip.MustParseAddr("127.1.0.1"), c.sources); to.Addr().Is6() {
						b.Sources = []netip.Addr{to.Addr(), to.Addr()} // there is no other
					}
				}
				r, err := b.Run(t.Context())
				// Loopback says so at once, of each.
				if err != nil || r.Refused == 0 || r.Refused > r.Sent || r.Answered != 0 || r.Lost != r.Sent || r.Sent+r.Unsent != 100 || r.Unreachable != 0 {
					t.Errorf("%+v: %+v, %v", c, r, err)
				}
				if r.Busy < 0 || r.Busy > 1 {
					t.Errorf("busy %v", r.Busy)
				}
			}
		})
	}
}

// A router's word that it cannot reach the host is counted too. Here a raw socket says it of requests that left.
func TestGeneratorHearsThatAHostIsUnreachable(t *testing.T) {
	router, err := net.ListenPacket("ip4:icmp", "127.0.0.1")
	if err != nil {
		t.Skipf("raw sockets are the administrator's: %v", err)
	}
	defer router.Close()
	for _, c := range []struct{ sockets, sources int }{{1, 0}, {1, 2}, {2, 0}, {2, 2}} {
		g, server := still(t, service.Echo, "127.0.0.1:0", c.sockets, c.sources)
		g.turnNow(t)
		buf := make([]byte, 64)
		_, from, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		for code := range byte(2) { // net unreachable, host unreachable
			if _, err := router.WriteTo(unreachableMessage(code, from, g.server), &net.IPAddr{IP: from.Addr().AsSlice()}); err != nil {
				t.Fatal(err)
			}
		}
		// The error that the next call would give may have gone to one that did not tell, such as a batch that was sent in part.
		for _, s := range g.sockets {
			unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		}
		for turns := 0; turns < 10 && g.unreachable < 2; turns++ {
			if err := g.sleep(int64(time.Since(g.load.epoch))); err != nil {
				t.Fatal(err)
			}
			g.turnNow(t)
		}
		if g.unreachable != 2 || g.refused != 0 || g.load.unsent != 0 || g.stray != 0 {
			t.Errorf("%+v: %d unreachable, %d refused, %d unsent", c, g.unreachable, g.refused, g.load.unsent)
		}
		for range 3 { // all was heard: nothing keeps it from sleeping
			g.turnNow(t)
		}
		fds := []unix.PollFd{{Fd: int32(g.sockets[0].fd)}}
		if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
			t.Errorf("%+v: the socket still reports %#x, %v", c, fds[0].Revents, err)
		}
	}
}

// unreachableMessage is an ICMP message (RFC 792) that a datagram could not be delivered, with how that began.
func unreachableMessage(code byte, from, to netip.AddrPort) []byte {
	m := make([]byte, 8+20+8)
	m[0], m[1] = 3, code
	ip := m[8:]
	ip[0], ip[8], ip[9] = 4<<4|5, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], 28)
	copy(ip[12:], from.Addr().AsSlice())
	copy(ip[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(ip[20:], from.Port())
	binary.BigEndian.PutUint16(ip[22:], to.Port())
	binary.BigEndian.PutUint16(ip[24:], 8)
	sum := uint32(0)
	for i := 0; i < len(m); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(m[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(m[2:], ^uint16(sum))
	return m
}

// What the system itself declines to send is counted with its reason, and there is a report of what was done before.
func TestBenchTellsWhyItCannotSend(t *testing.T) {
	sources, _ := appendRange(nil, netip.MustParseAddr("127.0.0.1"), 2)
	b := Bench{
		Service: service.Echo, Server: netip.MustParseAddrPort("255.255.255.255:7"), Rate: 1000, Duration: time.Second, Timeout: 20 * time.Millisecond,
		Size: 16, Sockets: 1, Sources: sources,
	}
	r, err := b.Run(t.Context())
	if !errors.Is(err, syscall.EACCES) || r.Sent != 0 || r.Unsent < failuresInRow || r.Reason != syscall.EACCES || r.Took <= 0 || !(r.Busy <= 1) {
		t.Errorf("%+v, %v", r, err)
	}
	if found, err := b.Search(context.Background(), nil); !errors.Is(err, syscall.EACCES) || found.Rate != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

// The network's words are read from what the kernel says beside a datagram: struct sock_extended_err begins with the errno.
func TestReadNoteOfAnError(t *testing.T) {
	for _, c := range []struct{ level, kind int32 }{{unix.SOL_IP, unix.IP_RECVERR}, {unix.SOL_IPV6, unix.IPV6_RECVERR}} {
		for size, want := range map[int]syscall.Errno{16: unix.EHOSTUNREACH, 44: unix.ENETUNREACH, 12: 0} {
			b := make([]byte, unix.CmsgSpace(size))
			h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
			h.Level, h.Type = c.level, c.kind
			h.SetLen(unix.CmsgLen(size))
			errno := unix.ENETUNREACH
			if size == 16 {
				errno = unix.EHOSTUNREACH
			}
			binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], uint32(errno))
			if got := readNote(b).failed; got != want {
				t.Errorf("%d bytes of level %d: %v, want %v", size, c.level, got, want)
			}
		}
	}
}
