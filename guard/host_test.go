package guard

import (
	"errors"
	"net"
	"testing"
)

func TestHostKnowsItself(t *testing.T) {
	var h Host
	if !h.Owns(addr("127.0.0.1")) || h.Owns(addr("10.0.0.1")) || h.OnLink(addr("fe80::1")) {
		t.Error("a Host before its Refresh knows something else than loopback")
	}
	if err := h.Refresh(); err != nil {
		t.Fatal(err)
	}
	if !h.Owns(addr("127.0.0.1")) || h.Owns(addr("203.0.113.77")) {
		t.Error("a Host does not know itself")
	}
}

// live has the host live with interfaces of these addresses, each with the length of its prefix.
func live(t *testing.T, addrs ...string) {
	t.Helper()
	t.Cleanup(func() { interfaceAddrs = net.InterfaceAddrs })
	interfaceAddrs = func() (all []net.Addr, err error) {
		for _, a := range addrs {
			ip, link, err := net.ParseCIDR(a)
			if err != nil {
				return nil, err
			}
			all = append(all, &net.IPNet{IP: ip, Mask: link.Mask})
		}
		return append(all, &net.IPAddr{IP: net.IPv4(203, 0, 113, 99)}, &net.IPNet{}), nil // whatever they are
	}
}

// A Host owns its addresses; on its links are their neighbours of IPv6 alone, whose prefixes are one site's.
func TestHostOfInterfaces(t *testing.T) {
	type is struct{ own, onLink bool }
	var h Host
	live(t, "127.0.0.1/8", "203.0.113.5/24", "198.51.100.1/0", "2001:db8:1::5/64", "2001:db8:2::5/128", "2001:db8:3::5/0", "fe80::5/64")
	check := func(want map[string]is) {
		t.Helper()
		for s, want := range want {
			if got := (is{h.Owns(addr(s)), h.OnLink(addr(s))}); got != want {
				t.Errorf("%s: %+v, want %+v", s, got, want)
			}
		}
	}
	if err := h.Refresh(); err != nil {
		t.Fatal(err)
	}
	all := map[string]is{
		"127.0.0.1": {true, false}, "127.3.4.5": {true, false}, "::1": {true, false},
		"203.0.113.5": {true, false}, "203.0.113.6": {}, "203.0.113.99": {}, "198.51.100.1": {true, false}, "198.51.100.2": {}, "192.0.2.1": {},
		"2001:db8:1::5": {true, true}, "2001:db8:1::6": {false, true}, "2001:db8:1:1::5": {},
		"2001:db8:2::5": {true, true}, "2001:db8:2::6": {}, "2001:db8:3::5": {true, false}, "2001:db8:3::6": {}, "2001:db8:4::1": {},
		"fe80::5": {true, true}, "fe80::5%eth0": {true, true}, "fe80::6%eth0": {false, true}, "fe80:0:0:1::6%eth0": {},
	}
	check(all)
	// Where they cannot be read, it goes on with those it knew.
	interfaceAddrs = func() ([]net.Addr, error) { return nil, errors.New("none") }
	if err := h.Refresh(); err == nil {
		t.Error("no error")
	}
	check(all)
	live(t, "192.0.2.1/24")
	if err := h.Refresh(); err != nil {
		t.Fatal(err)
	}
	check(map[string]is{"127.0.0.1": {true, false}, "192.0.2.1": {true, false}, "203.0.113.5": {}, "2001:db8:1::6": {}, "fe80::6": {}})
}
