package probe

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxSources is how many addresses a Bench may ask from.
const MaxSources = 1 << 16

// ParseSources reads a list of addresses to ask from: addresses, prefixes and ranges separated by commas
// ("127.1.0.0/22", "10.0.0.1-10.0.0.200,10.0.1.1"), of a prefix all that are in it; or a number n, for the first n addresses
// from 127.1.0.1 on, all of which are this host's without being set up, on Linux.
func ParseSources(text string) ([]netip.Addr, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > MaxSources {
			return nil, fmt.Errorf("%d sources, want 1 to %d", n, MaxSources)
		}
		return appendRange(nil, netip.AddrFrom4([4]byte{127, 1, 0, 1}), n)
	}
	var list []netip.Addr
	seen := make(map[netip.Addr]bool)
	for entry := range strings.SplitSeq(text, ",") {
		some, err := parseSource(strings.TrimSpace(entry))
		if err != nil {
			return nil, err
		}
		for _, a := range some {
			if !seen[a] {
				seen[a] = true
				list = append(list, a)
			}
		}
		if len(list) > MaxSources {
			return nil, tooMany(text)
		}
	}
	return list, nil
}

func parseSource(entry string) ([]netip.Addr, error) {
	bad := fmt.Errorf("source %q, want an address, a prefix such as 127.1.0.0/22, a range such as 10.0.0.1-10.0.0.200, or a number", entry)
	if p, err := netip.ParsePrefix(entry); err == nil {
		if p != p.Masked() {
			return nil, fmt.Errorf("source %q has bits behind its length: want %v or, for the one address, %v", entry, p.Masked(), p.Addr())
		}
		width := p.Addr().BitLen() - p.Bits()
		if width > 16 {
			return nil, tooMany(entry)
		}
		return appendRange(nil, p.Addr(), 1<<width)
	}
	first, last, isRange := strings.Cut(entry, "-")
	from, err := netip.ParseAddr(first)
	if err != nil {
		return nil, bad
	}
	if !isRange {
		return []netip.Addr{from.Unmap()}, nil
	}
	to, err := netip.ParseAddr(last)
	if err != nil || from.BitLen() != to.BitLen() || to.Less(from) {
		return nil, bad
	}
	var list []netip.Addr
	for a := from; ; a = a.Next() {
		if len(list) == MaxSources {
			return nil, tooMany(entry)
		}
		if list = append(list, a); a == to {
			return list, nil
		}
	}
}

func tooMany(text string) error {
	return fmt.Errorf("sources %q are more than %d addresses", text, MaxSources)
}

// appendRange appends n addresses from first on.
func appendRange(list []netip.Addr, first netip.Addr, n int) ([]netip.Addr, error) {
	for a := first; n > 0; a = a.Next() {
		if !a.IsValid() {
			return nil, fmt.Errorf("no %d addresses from %v on", n, first)
		}
		list = append(list, a)
		n--
	}
	return list, nil
}
