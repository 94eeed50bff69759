//go:build !yesterday_portable

package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// Hosts without IPv6, or whose ports are taken, are tests' to play.
var (
	openSocket = unix.Socket
	bindSocket = unix.Bind
)

// A Listener is a bound port: a socket for each shard. Until a Server serves it, what arrives waits in the kernel.
type Listener struct {
	addr   netip.AddrPort
	fds    []int
	stopFD int // an eventfd: readable once the shards are to end

	stopping atomic.Bool // the shards look at it between batches: one that is busy does not wait for the eventfd

	mu     sync.Mutex
	closed bool // the numbers above may be somebody else's files
}

// Listen binds a socket for each of shards (at least one) to addr. No address, or ::, means all addresses of IPv6 and
// IPv4, as far as the host has them, each with sockets of its own: the kernel is slower where one socket speaks both. Port 0 means
// one that is free. The error wraps the system's, such as EADDRINUSE: a port is never shared with another Listener, nor with another
// program.
func Listen(addr netip.AddrPort, shards int) (*Listener, error) {
	if !wildcard(addr.Addr()) {
		return listen(shards, addr)
	}
	const tries = 20
	for try := 1; ; try++ {
		l, err := listenAll(shards, addr.Port())
		if addr.Port() != 0 || try == tries || !errors.Is(err, unix.EADDRINUSE) {
			return l, err // else what is free for IPv6 was not for IPv4
		}
	}
}

// listenAll binds all addresses of IPv6 and IPv4, as far as the host has them.
func listenAll(shards int, port uint16) (*Listener, error) {
	all6, all4 := netip.AddrPortFrom(netip.IPv6Unspecified(), port), netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	l, err := listen(shards, all6, all4)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		if l, err = listen(shards, all4); errors.Is(err, unix.EAFNOSUPPORT) {
			l, err = listen(shards, all6)
		}
	}
	return l, err
}

// listen binds the addresses, all to the port that the first one gets.
func listen(shards int, addrs ...netip.AddrPort) (*Listener, error) {
	l := &Listener{stopFD: -1}
	ok := false
	defer func() {
		if !ok {
			l.Close()
		}
	}()
	for _, addr := range addrs {
		if l.addr.Port() != 0 {
			addr = netip.AddrPortFrom(addr.Addr(), l.addr.Port())
		}
		if err := l.open(addr, shards); err != nil {
			return nil, err
		}
	}
	var err error
	if l.stopFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("udp: eventfd: %w", err)
	}
	ok = true
	return l, nil
}

// open binds a socket for each shard to addr. The Listener's address is that of the first.
func (l *Listener) open(addr netip.AddrPort, shards int) error {
	for i := range max(shards, 1) {
		if i == 1 {
			// The first socket was bound without SO_REUSEPORT, which would have let it join another server's port.
			// From now on its fellows, and they alone (the same user's), may join.
			if err := unix.SetsockoptInt(l.fds[len(l.fds)-1], unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				return fmt.Errorf("udp: share %v: %w", addr, err)
			}
		}
		fd, bound, err := bind(addr, i > 0)
		if err != nil {
			return fmt.Errorf("udp: listen on %v: %w", addr, err)
		}
		if len(l.fds) == 0 {
			l.addr = bound
		}
		l.fds = append(l.fds, fd)
		addr = bound
	}
	return nil
}

// Addr returns the address and the port that were bound.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Close closes a Listener that no Server serves (a Server closes its own).
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	for _, fd := range l.fds {
		unix.Close(fd)
	}
	if l.stopFD >= 0 {
		unix.Close(l.stopFD)
	}
	return nil
}

// Shards is how many sockets there are, each with a loop of its own: of all addresses, those of IPv6 and of IPv4.
func (l *Listener) Shards() int { return len(l.fds) }

// stop makes the eventfd readable for good.
func (l *Listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.stopping.Store(true)
	one := [8]byte{7: 1, 0: 1} // not 0 in either byte order
	unix.Write(l.stopFD, one[:])
}

// bind opens a socket, bound to addr and set up for the shard's loop, and returns it with the address it has.
func bind(addr netip.AddrPort, share bool) (fd int, bound netip.AddrPort, err error) {
	ip := addr.Addr().Unmap()
	family := unix.AF_INET6
	if ip.Is4() {
		family = unix.AF_INET
	}
	fd, err = openSocket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, bound, err
	}
	defer func(fd int) { // the result is another's by then
		if err != nil {
			unix.Close(fd)
		}
	}(fd)
	if share {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return -1, bound, err
		}
	}
	if err = setOptions(fd, family); err != nil {
		return -1, bound, err
	}
	var sa unix.Sockaddr
	if family == unix.AF_INET {
		sa = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}
	} else {
		sa6 := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: ip.As16()}
		if sa6.ZoneId, err = zoneID(ip.Zone()); err != nil {
			return -1, bound, err
		}
		sa = sa6
	}
	if err = bindSocket(fd, sa); err != nil {
		return -1, bound, err
	}
	if sa, err = unix.Getsockname(fd); err != nil {
		return -1, bound, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		bound = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		bound = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).WithZone(ip.Zone()), uint16(sa.Port))
	}
	return fd, bound, nil
}

func setOptions(fd, family int) error {
	set := func(level, option, value int) error { return unix.SetsockoptInt(fd, level, option, value) }
	if family == unix.AF_INET6 {
		if err := errors.Join(
			set(unix.SOL_IPV6, unix.IPV6_V6ONLY, 1),
			set(unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1),
		); err != nil {
			return err
		}
	} else {
		if err := set(unix.SOL_IP, unix.IP_PKTINFO, 1); err != nil {
			return err
		}
		// A packet that must not be cut up needs no number (RFC 6864, section 4.1), which costs the kernel a twelfth of a send. The
		// first reply that is too long for its link ends that: see fragment.
		set(unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	}
	// Kernels before 5.1 have the stamp with the 32-bit seconds alone; without any, time is read after the receive.
	if set(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1) != nil {
		set(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}
	if err := set(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return err
	}
	mmsg.ReceiveBuffer(fd, receiveBuffer)
	return nil
}

// zoneID finds the index of the interface that a zone names.
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if iface, err := net.InterfaceByName(zone); err == nil {
		return uint32(iface.Index), nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	return 0, fmt.Errorf("no interface %q", zone)
}
