// Package mmsg has what Linux's recvmmsg(2) and sendmmsg(2) take: batches of datagrams, their addresses as the kernel has them, and
// what is said beside each. Nothing here allocates.
package mmsg

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Message is the kernel's struct mmsghdr. What its header points to must live as long as it is in use.
type Message struct {
	Header unix.Msghdr
	Length uint32 // bytes received or sent
}

// Receive takes what has arrived, at most as many datagrams as there are messages, without waiting. Of flags, MSG_ERRQUEUE takes what
// is said of datagrams that were sent. It is no call of which Go's scheduler is told: that would take the processor away during a
// batch, and give it back late.
func Receive(fd int, messages []Message, flags int) (n int, err syscall.Errno) {
	return call(unix.SYS_RECVMMSG, fd, messages, flags)
}

// Send sends messages without waiting, as Receive does, and returns how many went. An error means that the first did not go.
func Send(fd int, messages []Message) (n int, err syscall.Errno) {
	return call(unix.SYS_SENDMMSG, fd, messages, 0)
}

func call(number uintptr, fd int, messages []Message, flags int) (n int, err syscall.Errno) {
	r, _, err := syscall.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(messages))), uintptr(len(messages)),
		uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(r), 0
}

// ReceiveBuffer asks for room for so many bytes of what comes to a socket while nobody reads it; the kernel doubles it for its own
// needs. Beyond net.core.rmem_max only the administrator may go; less is no failure.
func ReceiveBuffer(fd, bytes int) { buffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, bytes) }

// SendBuffer asks for as much for what leaves.
func SendBuffer(fd, bytes int) { buffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, bytes) }

func buffer(fd, forced, asked, bytes int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, forced, bytes) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, asked, bytes)
	}
}

// A Sockaddr is the kernel's struct sockaddr_in6, or sockaddr_in in its first 16 bytes.
type Sockaddr [unix.SizeofSockaddrInet6]byte

// SockaddrOf returns an address as the kernel has it, with the index of its link where it has a zone, and how many bytes of it count.
func SockaddrOf(a netip.AddrPort, link uint32) (s Sockaddr, n uint32) {
	binary.BigEndian.PutUint16(s[2:], a.Port())
	ip := a.Addr().Unmap()
	if ip.Is4() {
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET)
		b := ip.As4()
		copy(s[4:], b[:])
		return s, unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
	b := ip.As16()
	copy(s[8:], b[:])
	binary.NativeEndian.PutUint32(s[24:], link)
	return s, unix.SizeofSockaddrInet6
}

func (s *Sockaddr) is4() bool { return binary.NativeEndian.Uint16(s[:]) == unix.AF_INET }

// AddrPort returns the address without its zone.
func (s *Sockaddr) AddrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s[2:])
	if s.is4() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s[8:24])), port)
}

// Link returns the index of the link that an address of IPv6 belongs to; 0: it is none's.
func (s *Sockaddr) Link() uint32 {
	if s.is4() {
		return 0
	}
	return binary.NativeEndian.Uint32(s[24:])
}

// Same tells whether both have the same address, without its zone, and port.
func (s *Sockaddr) Same(o *Sockaddr) bool {
	if s.is4() {
		return [8]byte(s[:8]) == [8]byte(o[:8])
	}
	return [4]byte(s[:4]) == [4]byte(o[:4]) && [16]byte(s[8:24]) == [16]byte(o[8:24])
}
