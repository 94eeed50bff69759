package mmsg

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is a control message as the kernel writes it, which fills up its last bytes.
func message(level, kind int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func native(words ...uint32) (b []byte) {
	for _, w := range words {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

// One message after the other is cut off, the last with or without what fills it up.
func TestNext(t *testing.T) {
	first := message(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, native(5))
	second := message(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, native(6))
	for _, last := range [][]byte{second, second[:unix.CmsgLen(4)]} {
		var got []uint32
		for b := slices.Clip(slices.Concat(first, last)); ; {
			c, rest, ok := Next(b)
			if !ok {
				break
			}
			n, _ := c.Overflow()
			got, b = append(got, n), rest
		}
		if !slices.Equal(got, []uint32{5, 6}) {
			t.Errorf("of %d bytes: %d, want 5 and 6", len(first)+len(last), got)
		}
	}
}

// What is no whole message is none.
func TestNextOfPieces(t *testing.T) {
	whole := message(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, native(5))
	for n := range unix.CmsgLen(4) {
		if c, _, ok := Next(whole[:n:n]); ok {
			t.Errorf("%d bytes are %+v", n, c)
		}
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(whole)))
	for _, n := range []int{0, 1, unix.CmsgLen(0) - 1, len(whole) + 1, 1 << 30, -1} {
		h.SetLen(n)
		if c, _, ok := Next(slices.Clip(whole)); ok {
			t.Errorf("with a length of %d it is %+v", n, c)
		}
	}
	h.SetLen(unix.CmsgLen(0))
	if c, _, ok := Next(whole); !ok || len(c.data) != 0 {
		t.Errorf("without data: %+v, %v", c, ok)
	}
}

// Each kind is known by its level and its number, is read, and is not where its data is cut.
func TestControls(t *testing.T) {
	stamp := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 1<<32+7), 999)
	old := unix.NsecToTimespec(7_000_000_999)
	oldStamp := unsafe.Slice((*byte)(unsafe.Pointer(&old)), unsafe.Sizeof(old))
	reach := append(native(uint32(unix.EHOSTUNREACH)), make([]byte, 12)...)
	four := append(native(3), 192, 0, 2, 1, 192, 0, 2, 1)
	cast4 := append(native(3), 192, 0, 2, 1, 192, 0, 2, 255)
	six := func(a string) []byte {
		b := netip.MustParseAddr(a).As16()
		return append(b[:], native(3)...)
	}
	info := func(a string, multicast bool) PacketInfo { return PacketInfo{netip.MustParseAddr(a), 3, multicast} }
	type what struct {
		seconds, nanoseconds int64
		overflow             uint32
		failed               unix.Errno
		info                 PacketInfo
	}
	read := func(b []byte) (w what, known int) {
		c, rest, ok := Next(b)
		if !ok || len(rest) != 0 {
			t.Fatalf("% x: %v, with %d bytes behind it", b, ok, len(rest))
		}
		var is [4]bool
		w.seconds, w.nanoseconds, is[0] = c.Stamp()
		w.overflow, is[1] = c.Overflow()
		w.failed, is[2] = c.Failed()
		w.info, is[3] = c.PacketInfo()
		for _, is := range is {
			if is {
				known++
			}
		}
		return w, known
	}
	for name, c := range map[string]struct {
		level, kind int32
		data        []byte
		want        what
	}{
		"stamp":             {unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, stamp, what{seconds: 1<<32 + 7, nanoseconds: 999}},
		"old stamp":         {unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS, oldStamp, what{seconds: 7, nanoseconds: 999}},
		"overflow":          {unix.SOL_SOCKET, unix.SO_RXQ_OVFL, native(1<<32 - 1), what{overflow: 1<<32 - 1}},
		"failed":            {unix.SOL_IP, unix.IP_RECVERR, reach, what{failed: unix.EHOSTUNREACH}},
		"failed, IPv6":      {unix.SOL_IPV6, unix.IPV6_RECVERR, reach, what{failed: unix.EHOSTUNREACH}},
		"to":                {unix.SOL_IP, unix.IP_PKTINFO, four, what{info: info("192.0.2.1", false)}},
		"to all":            {unix.SOL_IP, unix.IP_PKTINFO, cast4, what{info: info("192.0.2.1", true)}},
		"to, IPv6":          {unix.SOL_IPV6, unix.IPV6_PKTINFO, six("2001:db8::1"), what{info: info("2001:db8::1", false)}},
		"to many, IPv6":     {unix.SOL_IPV6, unix.IPV6_PKTINFO, six("ff02::1"), what{info: info("ff02::1", true)}},
		"to, IPv4 over six": {unix.SOL_IPV6, unix.IPV6_PKTINFO, six("::ffff:192.0.2.1"), what{info: info("192.0.2.1", false)}},
	} {
		if got, known := read(message(c.level, c.kind, c.data)); got != c.want || known != 1 {
			t.Errorf("%s: %+v, %d kinds, want %+v, one", name, got, known, c.want)
		}
		for _, other := range []struct {
			level, kind int32
			data        []byte
		}{{c.level, c.kind, c.data[:len(c.data)-1]}, {c.level + 1000, c.kind, c.data}, {c.level, c.kind + 1000, c.data}} {
			if got, known := read(message(other.level, other.kind, slices.Clip(other.data))); got != (what{}) || known != 0 {
				t.Errorf("%s, but of level %d, kind %d and %d bytes: %+v", name, other.level, other.kind, len(other.data), got)
			}
		}
	}
}

// A reply's way is the route's to choose, unless its address is one of a link alone.
func TestPutOfLinks(t *testing.T) {
	var b [ControlRoom]byte
	for from, want := range map[string]uint32{"192.0.2.1": 0, "2001:db8::1": 0, "fe80::1": 3} {
		p := PacketInfo{Addr: netip.MustParseAddr(from), Link: 3}
		c, _, ok := Next(b[:p.Put(&b)])
		got, is := c.PacketInfo()
		if !ok || !is || got.Addr != p.Addr || got.Link != want {
			t.Errorf("%s leaves from %+v, want link %d", from, got, want)
		}
	}
}

// Addresses are the same whatever the kernel says beside them.
func TestSame(t *testing.T) {
	for _, a := range []string{"192.0.2.1:123", "[fe80::1]:123"} {
		s, _ := SockaddrOf(netip.MustParseAddrPort(a), 3)
		o := s
		if s.is4() {
			clear(o[8:])
			o[8] = 1 // sin_zero
		} else {
			o[4], o[24] = 1, 7 // sin6_flowinfo, sin6_scope_id
		}
		if !s.Same(&o) || !o.Same(&s) {
			t.Errorf("%s is not the same as itself", a)
		}
	}
}

// A stamp of SO_TIMESTAMPING is the software's alone, the first of three.
func TestSoftwareStamp(t *testing.T) {
	stamp := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 1<<32+7), 999)
	none := make([]byte, 16)
	for name, c := range map[string]struct {
		level, kind int32
		data        []byte
		ok          bool
	}{
		"software's": {unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, slices.Concat(stamp, none, none), true},
		"hardware's": {unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, slices.Concat(none, none, stamp), false},
		"cut":        {unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stamp[:15], false},
		"other kind": {unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, stamp, false},
		"of IP":      {unix.SOL_IP, unix.SO_TIMESTAMPING_NEW, stamp, false},
	} {
		m, _, _ := Next(message(c.level, c.kind, slices.Clip(c.data)))
		s, ns, ok := m.SoftwareStamp()
		if ok != c.ok || ok && (s != 1<<32+7 || ns != 999) {
			t.Errorf("%s: %d s, %d ns, %v", name, s, ns, ok)
		}
	}
}

// The number of what was sent comes with its stamp, and not with other words about it.
func TestStamped(t *testing.T) {
	word := func(origin byte) []byte {
		return append(native(uint32(unix.ENOMSG)), origin, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4)
	}
	for name, c := range map[string]struct {
		level, kind int32
		data        []byte
		ok          bool
	}{
		"IPv4":       {unix.SOL_IP, unix.IP_RECVERR, word(unix.SO_EE_ORIGIN_TIMESTAMPING), true},
		"IPv6":       {unix.SOL_IPV6, unix.IPV6_RECVERR, word(unix.SO_EE_ORIGIN_TIMESTAMPING), true},
		"refused":    {unix.SOL_IP, unix.IP_RECVERR, word(unix.SO_EE_ORIGIN_ICMP), false},
		"cut":        {unix.SOL_IP, unix.IP_RECVERR, word(unix.SO_EE_ORIGIN_TIMESTAMPING)[:15], false},
		"other kind": {unix.SOL_IP, unix.IP_PKTINFO, word(unix.SO_EE_ORIGIN_TIMESTAMPING), false},
	} {
		m, _, _ := Next(message(c.level, c.kind, slices.Clip(c.data)))
		n, ok := m.Stamped()
		if ok != c.ok || ok && n != binary.NativeEndian.Uint32([]byte{1, 2, 3, 4}) {
			t.Errorf("%s: %d, %v", name, n, ok)
		}
	}
}
