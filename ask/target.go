package ask

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/yesterday-time/yesterday/internal/nearest"
	"github.com/yesterday-time/yesterday/service"
)

// A Target names a server: a host, and a port on it.
type Target struct {
	Host string // a name or an address, without brackets, with its zone ("fe80::1%eth0"); never empty once parsed
	Port string // a number, the name of a service, or empty for the default port of what is asked
}

// ParseTarget reads a target as a user writes it:
//
//	host             a name, or an IPv4 or IPv6 address, a link-local one with its zone: fe80::1%eth0
//	host:37          a port by number, 1 to 65535; an IPv6 address then stands in brackets: [fe80::1%eth0]:37
//	host:time        a port by the name of its service
//	:time            on localhost, as is the empty text
//
// It asks no system: whether the names exist shows when the target is asked. Its error is a [*TargetError].
func ParseTarget(text string) (Target, error) {
	bad := func(format string, args ...any) (Target, error) {
		return Target{}, &TargetError{text, fmt.Sprintf(format, args...)}
	}
	host, port, hasPort := text, "", false
	_, err := netip.ParseAddr(text)
	switch {
	case strings.Contains(text, "://"):
		return bad("want HOST, HOST:PORT or HOST:SERVICE, not a URL")
	case err == nil: // an address alone, whose colons are its own
	case strings.HasPrefix(text, "["):
		var rest string
		var closed bool
		host, rest, closed = strings.Cut(text[1:], "]")
		if !closed {
			return bad("no ] after [")
		}
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is6() {
			return bad("%q in brackets, want an IPv6 address as in [::1]:37", host)
		}
		port, hasPort = strings.CutPrefix(rest, ":")
		if !hasPort && rest != "" {
			return bad("%q after ], want :PORT or nothing", rest)
		}
	default:
		host, port, hasPort = strings.Cut(text, ":")
		if strings.Contains(port, ":") {
			return bad("more than one colon, want HOST:PORT, or an IPv6 address in brackets: [::1]:37")
		}
	}
	if hasPort && port == "" {
		return bad("no port after the colon, want a number or a service's name")
	}
	if host == "" {
		host = "localhost"
	}
	if problem := hostProblem(host); problem != "" {
		return bad("%s", problem)
	}
	if problem := portProblem(port); problem != "" {
		return bad("%s", problem)
	}
	return Target{host, port}, nil
}

// String returns the target as [ParseTarget] reads it.
func (t Target) String() string {
	if t.Port == "" {
		return t.Host
	}
	return net.JoinHostPort(t.Host, t.Port)
}

// Service returns the service that the target's port names, as "localhost:daytime" does, and whether it names one.
func (t Target) Service() (service.Kind, bool) {
	k, err := service.ParseKind(strings.ToLower(t.Port))
	return k, err == nil
}

// hostProblem says what is wrong with an address or a name, or nothing.
func hostProblem(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addrProblem(addr)
	}
	for _, r := range host {
		if r <= ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune(`/\@%[]"'<>|&;$`, r) {
			return fmt.Sprintf("%q in the host's name, want a name or an address", r)
		}
	}
	if len(host) > 255 {
		return fmt.Sprintf("a host's name of %d bytes, want at most 255", len(host))
	}
	return ""
}

// addrProblem says why an address cannot be a server's, or nothing.
func addrProblem(addr netip.Addr) string {
	switch addr = addr.Unmap(); {
	case strings.Contains(addr.Zone(), ":"):
		return "an IPv6 address with a port, want the address in brackets: [fe80::1%eth0]:37"
	case strings.ContainsFunc(addr.Zone(), func(r rune) bool { return r <= ' ' || r == 0x7f || r == ']' || r == '/' }):
		return fmt.Sprintf("zone %q, want the name of an interface", addr.Zone())
	case addr.IsMulticast():
		return "a multicast address, want that of one server"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address, want that of one server"
	case addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
		return fmt.Sprintf("a link-local address, want its zone too, as in %v%%eth0", addr)
	}
	return ""
}

// portProblem says what is wrong with a port's form, or nothing.
func portProblem(port string) string {
	digits := port != ""
	for _, r := range port {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.+*/", r)) {
			return fmt.Sprintf("%q in the port, want a number or a service's name", r)
		}
		digits = digits && '0' <= r && r <= '9'
	}
	if !digits {
		return ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "port " + port + ", want 1 to 65535"
	}
	return ""
}

// A Resolver finds what names stand for. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupPort(ctx context.Context, network, service string) (int, error)
}

// wellKnown is for systems that have no table of services, as small containers have none.
var wellKnown = map[string]uint16{"echo": 7, "daytime": 13, "time": 37, "ntp": 123}

// Resolve finds the addresses that addr, a text as [ParseTarget] reads it, stands for, in the order in which they are to be
// asked for kind, each once. A port that addr does not name is that of yesterday serve. It looks at Resolver and Transport alone.
func (c *Client) Resolve(ctx context.Context, addr string, kind service.Kind) ([]netip.AddrPort, error) {
	target, err := ParseTarget(addr)
	if err != nil {
		return nil, err
	}
	return c.resolve(ctx, target, kind)
}

// resolve finds the addresses that target stands for, in the order in which to ask them, each once.
func (c *Client) resolve(ctx context.Context, target Target, kind service.Kind) ([]netip.AddrPort, error) {
	resolver := c.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	port, err := resolvePort(ctx, resolver, c.Transport, target, kind)
	if err != nil {
		return nil, err
	}
	addrs, err := resolveHost(ctx, resolver, target)
	if err != nil {
		return nil, err
	}
	servers := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		if s := netip.AddrPortFrom(a.Unmap(), port); !slices.Contains(servers, s) {
			servers = append(servers, s)
		}
	}
	return servers, nil
}

// resolvePort finds the target's port.
func resolvePort(ctx context.Context, r Resolver, transport Transport, target Target, kind service.Kind) (uint16, error) {
	if target.Port == "" {
		return kind.WellKnownPort() + service.PortOffset, nil
	}
	if n, err := strconv.ParseUint(target.Port, 10, 16); err == nil {
		return uint16(n), nil
	}
	n, err := r.LookupPort(ctx, transport.String(), target.Port)
	if err == nil && 0 < n && n <= 65535 {
		return uint16(n), nil
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("ask: %w", context.Cause(ctx))
	}
	if n, ok := wellKnown[strings.ToLower(target.Port)]; ok {
		return n, nil
	}
	problem := fmt.Sprintf("unknown service %q, want a port's number or the name of a service", target.Port)
	if near := nearest.Word(target.Port, "echo", "daytime", "time", "ntp"); near != "" {
		problem += ", perhaps " + near
	}
	return 0, &TargetError{target.String(), problem}
}

// resolveHost finds the addresses of the target's host.
func resolveHost(ctx context.Context, r Resolver, target Target) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(target.Host); err == nil {
		if problem := zoneProblem(addr.Zone()); problem != "" {
			return nil, &TargetError{target.String(), problem}
		}
		return []netip.Addr{addr}, nil
	}
	found, err := r.LookupNetIP(ctx, "ip", target.Host)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("ask: %w", context.Cause(ctx))
	}
	if err != nil && strings.EqualFold(target.Host, "localhost") { // RFC 6761, section 6.3: it needs no looking up
		return []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	addrs := slices.DeleteFunc(slices.Clone(found), func(a netip.Addr) bool { return addrProblem(a) != "" })
	if len(addrs) == 0 {
		return nil, fmt.Errorf("ask: %s has no address that can be asked, but %v", target.Host, found)
	}
	return addrs, nil
}

// zoneProblem says what is wrong with the zone of an address, the name or the index of an interface, or nothing.
func zoneProblem(zone string) string {
	if zone == "" {
		return ""
	}
	if _, err := strconv.Atoi(zone); err == nil {
		return ""
	}
	if _, err := net.InterfaceByName(zone); err == nil {
		return ""
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return "" // asking will tell
	}
	names := make([]string, len(interfaces))
	for i, f := range interfaces {
		names[i] = f.Name
	}
	return fmt.Sprintf("no interface %q here, want one of %s", zone, strings.Join(names, ", "))
}
