//go:build !yesterday_portable

package udp

import (
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// A control is what the kernel says beside a datagram.
type control struct {
	to       mmsg.PacketInfo // its Addr is invalid where the kernel did not tell
	received time.Time       // zero where there is no stamp
	overflow uint32          // datagrams dropped at this socket so far, if told
	told     bool
}

// parseControl reads the control messages of one datagram. What it does not know, it skips.
func parseControl(b []byte) (c control) {
	for {
		m, rest, ok := mmsg.Next(b)
		if !ok {
			return c
		}
		b = rest
		if s, ns, ok := m.Stamp(); ok {
			c.received = time.Unix(s, ns).UTC()
		} else if to, ok := m.PacketInfo(); ok {
			c.to = to
		} else if n, ok := m.Overflow(); ok {
			c.overflow, c.told = n, true
		}
	}
}

// sourceOf is a datagram's sender. zone names a link by its index.
func sourceOf(s *mmsg.Sockaddr, zone func(uint32) string) netip.AddrPort {
	from := s.AddrPort()
	if addr := from.Addr(); addr.Is6() && addr.IsLinkLocalUnicast() {
		return netip.AddrPortFrom(addr.WithZone(zone(s.Link())), from.Port())
	}
	return from
}
