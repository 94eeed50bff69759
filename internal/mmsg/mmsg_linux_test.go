package mmsg

import (
	"net/netip"
	"testing"
)

func TestPacketInfo(t *testing.T) {
	var b [ControlRoom]byte
	for _, want := range []PacketInfo{
		{Addr: netip.MustParseAddr("192.0.2.1")},
		{Addr: netip.MustParseAddr("2001:db8::1")},
		{Addr: netip.MustParseAddr("fe80::1"), Link: 3},
	} {
		c, rest, ok := Next(b[:want.Put(&b)])
		got, is := c.PacketInfo()
		got.Multicast = false // ipi_addr is the kernel's to fill in
		if !ok || !is || got != want || len(rest) != 0 {
			t.Errorf("%v comes back as %v, %v, with %d bytes behind it", want, got, is, len(rest))
		}
		if _, _, stamp := c.Stamp(); stamp {
			t.Errorf("%v has a stamp", want)
		}
	}
	if n := (PacketInfo{}).Put(&b); n != 0 {
		t.Errorf("no address takes %d bytes", n)
	}
	if n := (PacketInfo{Addr: netip.MustParseAddr("2001:db8::1"), Link: 3}).Put(&b); n == 0 {
		t.Error("an address takes nothing")
	} else if c, _, _ := Next(b[:n]); c.data[16] != 0 {
		t.Error("an address of all links is bound to one")
	}
}

func TestSockaddr(t *testing.T) {
	var all []Sockaddr
	for text, size := range map[string]uint32{
		"192.0.2.1:123": 16, "192.0.2.1:124": 16, "192.0.2.2:123": 16, "[2001:db8::1]:123": 28, "[2001:db8::1]:124": 28, "[2001:db8::2]:123": 28,
	} {
		want := netip.MustParseAddrPort(text)
		s, n := SockaddrOf(want, 0)
		if got := s.AddrPort(); got != want || n != size || s.Link() != 0 {
			t.Errorf("%v comes back as %v of link %d, in %d bytes", want, got, s.Link(), n)
		}
		for i := range all {
			if s.Same(&all[i]) || all[i].Same(&s) {
				t.Errorf("%v is the same as %v", want, all[i].AddrPort())
			}
		}
		if again, _ := SockaddrOf(want, 0); !s.Same(&again) {
			t.Errorf("%v is not the same as itself", want)
		}
		all = append(all, s)
	}
	if s, _ := SockaddrOf(netip.MustParseAddrPort("[fe80::1%eth0]:123"), 7); s.Link() != 7 || s.AddrPort().Addr().Zone() != "" {
		t.Errorf("%v of link %d, want 7", s.AddrPort(), s.Link())
	}
	if s, n := SockaddrOf(netip.MustParseAddrPort("[::ffff:192.0.2.1]:123"), 0); n != 16 || !s.AddrPort().Addr().Is4() {
		t.Errorf("a mapped address takes %d bytes", n)
	}
}
