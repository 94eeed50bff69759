//go:build !yesterday_portable

package udp

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A pktinfo is which of this host's addresses a datagram came to, and so which one its reply leaves from.
type pktinfo struct {
	addr      netip.Addr // invalid where the kernel did not tell; without a zone
	link      uint32     // the interface it came in on
	multicast bool       // it was sent to a broadcast or multicast address, not to addr
}

// A control is what the kernel says beside a datagram.
type control struct {
	to       pktinfo
	received time.Time // zero where there is no stamp
	overflow uint32    // datagrams dropped at this socket so far, if told
	told     bool
}

// parseControl reads the control messages of one datagram. What it does not know, it skips.
func parseControl(b []byte) (c control) {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
		n := int(h.Len)
		if n < unix.CmsgLen(0) || n > len(b) {
			return c
		}
		data := b[unix.CmsgLen(0):n]
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS_NEW && len(data) >= 16:
			c.received = time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:]))).UTC()
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			ts := (*unix.Timespec)(unsafe.Pointer(unsafe.SliceData(data)))
			c.received = time.Unix(ts.Unix()).UTC()
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			c.overflow, c.told = binary.NativeEndian.Uint32(data), true
		case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			p := (*unix.Inet4Pktinfo)(unsafe.Pointer(unsafe.SliceData(data)))
			c.to = pktinfo{addr: netip.AddrFrom4(p.Spec_dst), link: uint32(p.Ifindex), multicast: p.Addr != p.Spec_dst}
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			p := (*unix.Inet6Pktinfo)(unsafe.Pointer(unsafe.SliceData(data)))
			a := netip.AddrFrom16(p.Addr).Unmap()
			c.to = pktinfo{addr: a, link: p.Ifindex, multicast: a.IsMulticast()}
		}
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
	return c
}

// put writes the control message that makes a reply leave from p and returns its length, 0 where p is not known.
func (p pktinfo) put(b *[controlRoom]byte) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(b))
	data := unsafe.Pointer(&b[unix.CmsgLen(0)])
	switch {
	case p.addr.Is4():
		h.Level, h.Type = unix.SOL_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		// Interface 0: the route decides, as the answer need not go where the question came from.
		*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{Spec_dst: p.addr.As4()}
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	case p.addr.Is6():
		h.Level, h.Type = unix.SOL_IPV6, unix.IPV6_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
		info := unix.Inet6Pktinfo{Addr: p.addr.As16()}
		if p.addr.IsLinkLocalUnicast() {
			info.Ifindex = p.link
		}
		*(*unix.Inet6Pktinfo)(data) = info
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	}
	return 0
}

// source reads the name of a datagram's sender. zone names an interface by its index.
func (s *sockaddr) source(zone func(uint32) string) netip.AddrPort {
	port := binary.BigEndian.Uint16(s[2:])
	if binary.NativeEndian.Uint16(s[:]) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	}
	addr := netip.AddrFrom16([16]byte(s[8:24]))
	if addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(zone(binary.NativeEndian.Uint32(s[24:])))
	}
	return netip.AddrPortFrom(addr, port)
}
