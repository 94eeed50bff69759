//go:build !yesterday_portable

package probe

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlRoom holds a stamp, packet info of both families and the overflow count.
const controlRoom = 160

// A message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	length uint32 // bytes received or sent
}

// A sockaddr is the kernel's struct sockaddr_in6, or sockaddr_in in its first 16 bytes.
type sockaddr [unix.SizeofSockaddrInet6]byte

// rawSockaddr returns an address as the kernel has it, and how many bytes of it count.
func rawSockaddr(a netip.AddrPort, zone uint32) (s sockaddr, n uint32) {
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
	binary.NativeEndian.PutUint32(s[24:], zone)
	return s, unix.SizeofSockaddrInet6
}

// same tells whether two names have the same port and address.
func (s *sockaddr) same(o *sockaddr) bool {
	if binary.NativeEndian.Uint16(s[:]) == unix.AF_INET {
		return [8]byte(s[:8]) == [8]byte(o[:8])
	}
	return [4]byte(s[:4]) == [4]byte(o[:4]) && [16]byte(s[8:24]) == [16]byte(o[8:24])
}

// A batch is datagrams to send, or to receive into, all from or to one socket. Everything a message points to lives as long
// as the batch and is reached from it.
type batch struct {
	messages [batchSize]message
	names    [batchSize]sockaddr
	controls [batchSize][controlRoom]byte
	vectors  [batchSize]unix.Iovec
	buffers  [batchSize][]byte
}

// newBatch makes room for datagrams of size bytes.
func newBatch(size int) *batch {
	b := new(batch)
	stride := (size+63)&^63 + 64 // apart by more than a power of two: their starts would compete for the same cache lines
	data := make([]byte, batchSize*stride)
	for i := range b.messages {
		b.buffers[i] = data[i*stride : i*stride+size : i*stride+stride]
		b.vectors[i].Base = unsafe.SliceData(b.buffers[i][:1])
		b.vectors[i].SetLen(size)
		h := &b.messages[i].header
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
	return b
}

// reset readies the first n messages to be received into.
func (b *batch) reset(n int) {
	for i := range n {
		h := &b.messages[i].header
		h.Name, h.Namelen = &b.names[i][0], uint32(len(b.names[i]))
		h.Control = &b.controls[i][0]
		h.SetControllen(controlRoom)
		h.Flags = 0
	}
}

// receive takes what has arrived, at most a batch, without waiting; with MSG_ERRQUEUE what is said of what was sent.
func (b *batch) receive(fd int, flags uintptr) (int, syscall.Errno) {
	n, _, err := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), batchSize, unix.MSG_DONTWAIT|flags, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}

// send sends the first n messages without waiting, and returns how many went. An error means that the first did not go.
func (b *batch) send(fd, n int) (int, syscall.Errno) {
	r, _, err := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(r), 0
}

// A note is what the kernel says beside a datagram.
type note struct {
	stamp    int64 // nanoseconds since 1970; 0: none
	to       netip.Addr
	overflow uint32 // datagrams dropped at this socket so far, if told
	told     bool
	failed   syscall.Errno // why a datagram that was sent did not arrive; 0: this is no such word
}

// readNote reads the control messages of one datagram. What it does not know, it skips.
func readNote(b []byte) (c note) {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
		n := int(h.Len)
		if n < unix.CmsgLen(0) || n > len(b) {
			return c
		}
		data := b[unix.CmsgLen(0):n]
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS_NEW && len(data) >= 16:
			c.stamp = int64(binary.NativeEndian.Uint64(data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(data[8:]))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			c.overflow, c.told = binary.NativeEndian.Uint32(data), true
		// struct sock_extended_err begins with its errno.
		case (h.Level == unix.SOL_IP && h.Type == unix.IP_RECVERR || h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_RECVERR) && len(data) >= 16:
			c.failed = syscall.Errno(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			c.to = netip.AddrFrom4((*unix.Inet4Pktinfo)(unsafe.Pointer(unsafe.SliceData(data))).Spec_dst)
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			c.to = netip.AddrFrom16((*unix.Inet6Pktinfo)(unsafe.Pointer(unsafe.SliceData(data))).Addr)
		}
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
	return c
}

// An origin is the control message that makes a datagram leave from an address.
type origin struct {
	data [controlRoom]byte
	size int
}

func originOf(a netip.Addr) (o origin) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&o.data))
	data := unsafe.Pointer(&o.data[unix.CmsgLen(0)])
	if a.Is4() {
		h.Level, h.Type = unix.SOL_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{Spec_dst: a.As4()}
		o.size = unix.CmsgSpace(unix.SizeofInet4Pktinfo)
		return o
	}
	h.Level, h.Type = unix.SOL_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	*(*unix.Inet6Pktinfo)(data) = unix.Inet6Pktinfo{Addr: a.As16()}
	o.size = unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	return o
}
