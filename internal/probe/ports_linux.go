//go:build !yesterday_portable

package probe

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// alwaysFits is how many bytes of a datagram go over every link in one piece: of the 576 that every IPv4 host takes (RFC 791), what
// the longest header leaves.
const alwaysFits = 576 - 60 - 8

// open makes a socket to the server: connected, or where it is to ask from several addresses, not.
func (g *generator) open(b *Bench, family int) (fd int, err error) {
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	set := func(level, option, value int) error { return unix.SetsockoptInt(fd, level, option, value) }
	widen(fd)
	set(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1) // else the time of reading has to do
	if err := listen(fd, family); err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if g.load.questions.size <= alwaysFits {
		set(unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO) // what is not cut up needs no number of the kernel's (RFC 6864)
	}
	if g.sources != nil {
		if family == unix.AF_INET6 {
			err = set(unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else {
			err = set(unix.SOL_IP, unix.IP_PKTINFO, 1)
		}
		if err != nil {
			return -1, fmt.Errorf("socket: %w", err)
		}
	}
	local := netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	switch {
	case len(b.Sources) == 1:
		local = netip.AddrPortFrom(b.Sources[0], 0)
	case family == unix.AF_INET:
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	sa, _, err := sockaddrOf(local)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	if g.connected {
		to, _, err := sockaddrOf(b.Server)
		if err != nil {
			return -1, err
		}
		if err := unix.Connect(fd, to); err != nil {
			return -1, fmt.Errorf("%v: %w", b.Server, err)
		}
	}
	return fd, nil
}

// usable tells whether this host may ask from an address.
func usable(source netip.Addr, family int) error {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	sa, _, err := sockaddrOf(netip.AddrPortFrom(source, 0))
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("source %v: %w: it is not an address of this host", source, err)
	}
	return nil
}
