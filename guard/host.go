package guard

import (
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// A Host knows this host's own addresses and the IPv6 prefixes on its links. They change while a server runs: Refresh
// reads them anew. Its methods may be called by any number of goroutines; the look-ups take no lock. A nil Host and
// one before its first Refresh know loopback alone.
type Host struct {
	known atomic.Pointer[hostAddresses]
}

type hostAddresses struct {
	own    bart.Lite // this host's addresses, a whole prefix each
	onLink bart.Lite // the IPv6 prefixes of its interfaces
}

// interfaceAddrs is another host's in tests.
var interfaceAddrs = net.InterfaceAddrs

// Refresh reads the host's addresses. After an error it goes on with those it knew.
func (h *Host) Refresh() error {
	addrs, err := interfaceAddrs()
	if err != nil {
		return err
	}
	known := new(hostAddresses)
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(ipnet.IP)
		if !ok {
			continue
		}
		addr = addr.Unmap()
		known.own.Insert(netip.PrefixFrom(addr, addr.BitLen()))
		// A default route's ::/0 is no link; a /128 says nothing of the neighbours.
		if ones, _ := ipnet.Mask.Size(); addr.Is6() && ones > 0 {
			known.onLink.Insert(netip.PrefixFrom(addr, ones).Masked())
		}
	}
	h.known.Store(known)
	return nil
}

// Owns tells whether addr is this host's own: one of its addresses, or any loopback address.
func (h *Host) Owns(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	known := h.load()
	return known != nil && known.own.Lookup(addr.WithZone(""))
}

// OnLink tells whether addr lies in an IPv6 prefix of one of this host's links.
func (h *Host) OnLink(addr netip.Addr) bool {
	known := h.load()
	return known != nil && known.onLink.Lookup(addr.WithZone(""))
}

func (h *Host) load() *hostAddresses {
	if h == nil {
		return nil
	}
	return h.known.Load()
}
