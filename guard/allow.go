package guard

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

// An Allow is an allow-list: whose requests are answered. The zero Allow lets nobody pass; ParseAllow makes others. It
// is not changed after it is made, so any number of goroutines may use it.
type Allow struct {
	any      bool
	private  bool
	prefixes bart.Lite
	texts    []string
}

// private is what "private" stands for, besides loopback, link-local, the host's own addresses and its links.
var private = func() *bart.Lite {
	t := new(bart.Lite)
	for _, p := range []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1918
		"100.64.0.0/10", // RFC 6598
		"fc00::/7",      // RFC 4193
		"127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10",
	} {
		t.Insert(netip.MustParsePrefix(p))
	}
	return t
}()

// ParseAllow reads an allow-list: words and prefixes separated by commas. "any" is everybody; "private" is loopback,
// private (RFC 1918, RFC 4193, RFC 6598) and link-local addresses, the host's own and the IPv6 prefixes on its links,
// as the Host knows them at each request; "none" is nobody. A prefix is as 192.0.2.0/24 or 2001:db8::/32; an address alone
// is itself.
func ParseAllow(text string) (*Allow, error) {
	a := new(Allow)
	none := false
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		switch entry {
		case "":
			return nil, fmt.Errorf("allow-list %q has an empty entry, want private, any, none or prefixes such as 192.0.2.0/24, separated by commas", text)
		case "any":
			a.any = true
		case "none":
			none = true
		case "private":
			a.private = true
		default:
			p, err := parsePrefix(entry)
			if err != nil {
				return nil, err
			}
			a.prefixes.Insert(p)
			entry = p.String()
		}
		a.texts = append(a.texts, entry)
	}
	if none && len(a.texts) > 1 {
		return nil, fmt.Errorf("allow-list %q: none stands alone", text)
	}
	return a, nil
}

func parsePrefix(entry string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(entry)
	if err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(entry)
	switch {
	case err != nil:
		return p, fmt.Errorf("allow-list entry %q is no address, prefix or word, want private, any, none or prefixes such as 192.0.2.0/24, separated by commas", entry)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("allow-list entry %q is an IPv4 address in IPv6 dress, want it as %s", entry, unmapped(p))
	case p != p.Masked():
		return p, fmt.Errorf("allow-list entry %q has bits behind its length: want %s or, for the one address, %s", entry, p.Masked(), p.Addr())
	}
	return p, nil
}

func unmapped(p netip.Prefix) string {
	if p.Bits() < 96 {
		return "0.0.0.0/0"
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked().String()
}

// Has tells whether addr may be answered; host tells what is this host's own. A zone is not looked at. It allocates
// nothing and takes no lock.
func (a *Allow) Has(addr netip.Addr, host *Host) bool {
	if a.any {
		return true
	}
	addr = addr.WithZone("")
	if a.prefixes.Lookup(addr) {
		return true
	}
	return a.private && (private.Lookup(addr) || host.Owns(addr) || host.OnLink(addr))
}

// String returns the list as ParseAllow reads it.
func (a *Allow) String() string {
	if len(a.texts) == 0 {
		return "none"
	}
	return strings.Join(a.texts, ",")
}
