package mmsg

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ControlRoom is enough for a stamp, packet info and the overflow count, and for what is said of a datagram that did not arrive.
const ControlRoom = 160

// A Control is a control message: one thing that the kernel says beside a datagram.
type Control struct {
	level, kind int32
	data        []byte
}

// Next cuts the first control message off b; ok is false where there is no whole one.
func Next(b []byte) (c Control, rest []byte, ok bool) {
	if len(b) < unix.SizeofCmsghdr {
		return c, nil, false
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
	n := int(h.Len)
	if n < unix.CmsgLen(0) || n > len(b) {
		return c, nil, false
	}
	return Control{h.Level, h.Type, b[unix.CmsgLen(0):n]}, b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):], true
}

// Stamp is when the datagram came (SO_TIMESTAMPNS, in either form), since 1970.
func (c Control) Stamp() (seconds, nanoseconds int64, ok bool) {
	switch {
	case c.level != unix.SOL_SOCKET:
	case c.kind == unix.SO_TIMESTAMPNS_NEW && len(c.data) >= 16:
		return int64(binary.NativeEndian.Uint64(c.data)), int64(binary.NativeEndian.Uint64(c.data[8:])), true
	case c.kind == unix.SCM_TIMESTAMPNS && len(c.data) >= int(unsafe.Sizeof(unix.Timespec{})):
		seconds, nanoseconds = (*unix.Timespec)(unsafe.Pointer(unsafe.SliceData(c.data))).Unix()
		return seconds, nanoseconds, true
	}
	return 0, 0, false
}

// SoftwareStamp is when the datagram came or left, by SO_TIMESTAMPING, since 1970.
func (c Control) SoftwareStamp() (seconds, nanoseconds int64, ok bool) {
	// struct scm_timestamping64: three times seconds and nanoseconds, of which the first is the software's.
	if c.level == unix.SOL_SOCKET && c.kind == unix.SO_TIMESTAMPING_NEW && len(c.data) >= 16 {
		seconds, nanoseconds = int64(binary.NativeEndian.Uint64(c.data)), int64(binary.NativeEndian.Uint64(c.data[8:]))
	}
	return seconds, nanoseconds, seconds != 0 || nanoseconds != 0
}

// Overflow is how many datagrams were dropped at the socket so far, since its buffer was full (SO_RXQ_OVFL). It wraps.
func (c Control) Overflow() (n uint32, ok bool) {
	if c.level == unix.SOL_SOCKET && c.kind == unix.SO_RXQ_OVFL && len(c.data) >= 4 {
		return binary.NativeEndian.Uint32(c.data), true
	}
	return 0, false
}

// ofSent tells whether it is a struct sock_extended_err: something about a datagram that was sent (IP_RECVERR, of either family).
func (c Control) ofSent() bool {
	return (c.level == unix.SOL_IP && c.kind == unix.IP_RECVERR || c.level == unix.SOL_IPV6 && c.kind == unix.IPV6_RECVERR) && len(c.data) >= 16
}

// Failed is why a datagram that was sent did not arrive.
func (c Control) Failed() (why syscall.Errno, ok bool) {
	if !c.ofSent() {
		return 0, false
	}
	return syscall.Errno(binary.NativeEndian.Uint32(c.data)), true // it begins with its errno
}

// Stamped is the number of the datagram that was sent whose stamp this message comes with (SOF_TIMESTAMPING_OPT_ID).
func (c Control) Stamped() (number uint32, ok bool) {
	if !c.ofSent() || c.data[4] != unix.SO_EE_ORIGIN_TIMESTAMPING {
		return 0, false
	}
	return binary.NativeEndian.Uint32(c.data[12:]), true // its data, at the end
}

// A PacketInfo is which of this host's addresses a datagram came to, and so which one its reply leaves from.
type PacketInfo struct {
	Addr      netip.Addr // of IPv4 in its own form, never mapped; without a zone
	Link      uint32     // the index of the link that it came in on
	Multicast bool       // it was sent to a broadcast or multicast address
}

// PacketInfo is where the datagram came to (IP_PKTINFO, IPV6_PKTINFO).
func (c Control) PacketInfo() (p PacketInfo, ok bool) {
	switch {
	case c.level == unix.SOL_IP && c.kind == unix.IP_PKTINFO && len(c.data) >= unix.SizeofInet4Pktinfo:
		i := (*unix.Inet4Pktinfo)(unsafe.Pointer(unsafe.SliceData(c.data)))
		return PacketInfo{netip.AddrFrom4(i.Spec_dst), uint32(i.Ifindex), i.Addr != i.Spec_dst}, true
	case c.level == unix.SOL_IPV6 && c.kind == unix.IPV6_PKTINFO && len(c.data) >= unix.SizeofInet6Pktinfo:
		i := (*unix.Inet6Pktinfo)(unsafe.Pointer(unsafe.SliceData(c.data)))
		a := netip.AddrFrom16(i.Addr).Unmap()
		return PacketInfo{a, i.Ifindex, a.IsMulticast()}, true
	}
	return PacketInfo{}, false
}

// Put writes the control message that makes a datagram leave from Addr, on Link where that is a link-local address, and returns its
// length: 0 where there is no Addr.
func (p PacketInfo) Put(b *[ControlRoom]byte) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(b))
	data := unsafe.Pointer(&b[unix.CmsgLen(0)])
	switch {
	case p.Addr.Is4():
		h.Level, h.Type = unix.SOL_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		// Interface 0: the route decides, as an answer need not go where the question came from.
		*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{Spec_dst: p.Addr.As4()}
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	case p.Addr.Is6():
		h.Level, h.Type = unix.SOL_IPV6, unix.IPV6_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
		info := unix.Inet6Pktinfo{Addr: p.Addr.As16()}
		if p.Addr.IsLinkLocalUnicast() {
			info.Ifindex = p.Link
		}
		*(*unix.Inet6Pktinfo)(data) = info
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	}
	return 0
}
