//go:build !yesterday_portable

package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/internal/ipv6"
)

// A playedHost is what the kernel of another host would do when a Listener is bound.
type playedHost struct {
	lacks  map[int]bool // families that it does not have
	taken  int          // how many ports, of those first asked for, other programs have for IPv4
	asked  int          // ports that were asked for, for IPv4
	opened []string     // sockets, as /proc/self/fd names them
}

func play(t *testing.T, h *playedHost) {
	t.Cleanup(func() { openSocket, bindSocket = unix.Socket, unix.Bind })
	openSocket = func(family, kind, protocol int) (int, error) {
		if h.lacks[family] {
			return -1, unix.EAFNOSUPPORT
		}
		fd, err := unix.Socket(family, kind, protocol)
		if err == nil {
			name, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", fd))
			h.opened = append(h.opened, name)
		}
		return fd, err
	}
	bindSocket = func(fd int, to unix.Sockaddr) error {
		if _, ok := to.(*unix.SockaddrInet4); ok {
			if h.asked++; h.asked <= h.taken {
				return unix.EADDRINUSE
			}
		}
		return unix.Bind(fd, to)
	}
}

// open counts the sockets that were opened and are still open.
func (h *playedHost) open(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(files) == 0 {
		t.Skip("no /proc/self/fd here: ", err)
	}
	now := make(map[string]bool)
	for _, file := range files {
		if name, err := os.Readlink(file); err == nil {
			now[name] = true
		}
	}
	for _, name := range h.opened {
		if now[name] {
			n++
		}
	}
	return n
}

// All addresses are those of the families that the host has.
func TestListenWithoutAFamily(t *testing.T) {
	all4, all6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	for _, c := range []struct {
		name  string
		lacks int
		bound netip.Addr
		ask   string
	}{{"no IPv6", unix.AF_INET6, all4, "127.0.0.1"}, {"no IPv4", unix.AF_INET, all6, "::1"}} {
		t.Run(c.name, func(t *testing.T) {
			if c.bound == all6 {
				ipv6.Need(t)
			}
			h := &playedHost{lacks: map[int]bool{c.lacks: true}}
			play(t, h)
			for _, addr := range []netip.Addr{{}, all6} {
				bound, _ := serve(t, new(Server), netip.AddrPortFrom(addr, 0), 2)
				if bound.Addr() != c.bound || bound.Port() == 0 {
					t.Errorf("bound %v, want a port of %v", bound, c.bound)
				}
				if got := ask(t, dial(t, netip.AddrPortFrom(netip.MustParseAddr(c.ask), bound.Port())), []byte("hi")); string(got) != "hi" {
					t.Errorf("reply %q", got)
				}
				if n := h.open(t); n != 2 {
					t.Errorf("%d sockets of 2 shards, want 2", n)
				}
				h.opened = nil
			}
			other := all4
			if c.bound == all4 {
				other = netip.IPv6Loopback()
			}
			if l, err := Listen(netip.AddrPortFrom(other, 0), 1); !errors.Is(err, unix.EAFNOSUPPORT) {
				t.Errorf("%v was bound, %+v, %v", other, l, err)
			}
		})
	}
	t.Run("neither", func(t *testing.T) {
		h := &playedHost{lacks: map[int]bool{unix.AF_INET: true, unix.AF_INET6: true}}
		play(t, h)
		if l, err := Listen(netip.AddrPort{}, 1); !errors.Is(err, unix.EAFNOSUPPORT) {
			t.Errorf("bound, %+v, %v", l, err)
		}
	})
}

// A port that is free for IPv6 but not for IPv4 is given back, and another is taken, unless it was asked for.
func TestFreePortIsFreeForBoth(t *testing.T) {
	const tries = 20
	for _, c := range []struct{ taken, asked int }{{0, 1}, {1, 2}, {tries - 1, tries}} {
		h := &playedHost{taken: c.taken}
		play(t, h)
		l, err := Listen(netip.AddrPort{}, 1)
		if err != nil {
			t.Fatalf("with %d ports taken: %v", c.taken, err)
		}
		if n := h.open(t); h.asked != c.asked || l.Shards() != n || l.Addr().Port() == 0 {
			t.Errorf("%v of %d sockets after %d ports, want %d, and %d ports", l.Addr(), n, h.asked, l.Shards(), c.asked)
		}
		if l.Close(); h.open(t) != 0 {
			t.Errorf("%d sockets are left", h.open(t))
		}
	}
	for _, c := range []struct {
		port  uint16
		asked int
	}{{0, tries}, {12345, 1}} {
		h := &playedHost{taken: 1000}
		play(t, h)
		if c.port != 0 {
			taken, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			c.port = taken.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		}
		l, err := Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), c.port), 1)
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("bound, %+v, %v", l, err)
		}
		if n := h.open(t); h.asked != c.asked || n != 0 {
			t.Errorf("%d sockets are left after %d ports, want none after %d", n, h.asked, c.asked)
		}
	}
}

// The buffer is as large as the system lets it be.
func TestReceiveBuffer(t *testing.T) {
	l, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) != nil { // the administrator's
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20)
	}
	want, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unix.GetsockoptInt(l.fds[0], unix.SOL_SOCKET, unix.SO_RCVBUF); got != want || err != nil {
		t.Errorf("room for %d bytes, %v, want %d", got, err, want)
	}
}

// An address is bound on the link that its zone names, and told with it.
func TestListenOnALink(t *testing.T) {
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Fatalf("interfaces %v, %v", links, err)
	}
	ipv6.Need(t)
	play(t, new(playedHost))
	bindSocket = func(fd int, to unix.Sockaddr) error {
		sa := to.(*unix.SockaddrInet6)
		if sa.ZoneId != uint32(links[0].Index) {
			t.Errorf("link %d, want %d", sa.ZoneId, links[0].Index)
		}
		return unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}) // which every host has
	}
	l, err := Listen(netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(links[0].Name), 0), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.Addr().Addr().Zone(); got != links[0].Name {
		t.Errorf("bound on %q, want %q", got, links[0].Name)
	}
}

func TestZoneID(t *testing.T) {
	links, err := net.Interfaces()
	if err != nil || len(links) == 0 {
		t.Fatalf("interfaces %v, %v", links, err)
	}
	for zone, want := range map[string]int64{"": 0, links[0].Name: int64(links[0].Index), "7": 7, "4294967295": 1<<32 - 1, "4294967296": -1, "nosuch": -1} {
		got, err := zoneID(zone)
		if (err != nil) != (want < 0) || err == nil && int64(got) != want {
			t.Errorf("zone %q is %d, %v, want %d", zone, got, err, want)
		}
	}
}
