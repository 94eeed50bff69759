package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/internal/nearest"
	"github.com/yesterday-time/yesterday/service"
)

// services reads what is bound where.
func (s Settings) services(transports yesterday.Transports) ([]yesterday.Service, error) {
	bad := func(format string, args ...any) ([]yesterday.Service, error) {
		return nil, &Error{Key: "services", Err: fmt.Errorf(format, args...)}
	}
	listen, err := s.listen()
	if err != nil {
		return nil, err
	}
	offset, err := strconv.Atoi(string(*s.PortOffset))
	if err != nil {
		return nil, &Error{"port-offset", strconv.Quote(string(*s.PortOffset)), errors.New("want a whole number, such as 12308 or 0")}
	}
	args := s.Services.Words()
	if s.Services != nil && len(args) == 0 {
		return bad("none, want some of echo, daytime, time and ntp")
	}
	if len(args) == 0 {
		for _, k := range service.Kinds() {
			if transports != yesterday.TCP || k.OverTCP() {
				args = append(args, k.String())
			}
		}
	}
	var services []yesterday.Service
	for _, arg := range args {
		if arg == "" {
			return bad("a service is missing, want echo, daytime, time or ntp")
		}
		name, where, given := strings.Cut(arg, "=")
		kind, err := service.ParseKind(name)
		if err != nil {
			return bad("unknown service %q, want echo, daytime, time or ntp%s", name, nearest.Hint(name, kindNames()...))
		}
		if transports == yesterday.TCP && !kind.OverTCP() {
			return bad("%s over TCP is no standard: leave out %s, or have transport udp too", name, name)
		}
		addrs := listen
		port := int(kind.WellKnownPort()) + offset
		if given {
			if addrs, port, err = parseWhere(arg, where, listen, port); err != nil {
				return nil, err
			}
		}
		if port < 0 || port > 65535 || port == 0 && !given {
			return nil, &Error{"port-offset", strconv.Itoa(offset), fmt.Errorf("%s would be on port %d, want 1 to 65535", name, port)}
		}
		for _, addr := range addrs {
			if addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "" {
				return bad("%v is a link-local address, want its interface too, such as %v%%eth0", addr, addr)
			}
			srv := yesterday.Service{Kind: kind, Addr: netip.AddrPortFrom(addr, uint16(port))}
			if i := slices.IndexFunc(services, func(o yesterday.Service) bool { return overlap(srv.Addr, o.Addr) }); i >= 0 {
				return bad("%v on %v and %v on %v cannot both be had", services[i].Kind, services[i].Addr, kind, srv.Addr)
			}
			services = append(services, srv)
		}
	}
	return services, nil
}

// Unused tells of a setting that says where services are bound while each of them says that itself; nil: there is none. The
// settings have a Plan.
func (s Settings) Unused() *Error {
	address, port := false, false // a service has none of its own
	for _, arg := range s.Services.Words() {
		_, where, given := strings.Cut(arg, "=")
		_, bare := bareAddr(where)
		address = address || !given || strings.HasPrefix(where, ":") && !bare
		port = port || !given || bare
	}
	switch {
	case s.Services == nil:
	case s.Listen != nil && !address:
		return &Error{"listen", strconv.Quote(s.Listen.String()), errors.New("each service has an address of its own, want it there")}
	case s.PortOffset != nil && !port:
		return &Error{"port-offset", string(*s.PortOffset), errors.New("each service has a port of its own, want it there")}
	}
	return nil
}

// bareAddr reads an address without a port, an IPv6 one with brackets or without.
func bareAddr(where string) (netip.Addr, bool) {
	if strings.HasPrefix(where, "[") && strings.HasSuffix(where, "]") {
		where = where[1 : len(where)-1]
	}
	addr, err := netip.ParseAddr(where)
	return addr.Unmap(), err == nil
}

// listen reads the addresses that stand for those that a service has none of its own for.
func (s Settings) listen() ([]netip.Addr, error) {
	if s.Listen == nil {
		return []netip.Addr{netip.IPv6Unspecified()}, nil
	}
	words := s.Listen.Words()
	if len(words) == 0 { // an unset variable of a shell must not mean everywhere
		words = []string{""}
	}
	var addrs []netip.Addr
	for _, text := range words {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, &Error{"listen", strconv.Quote(text), errors.New("want IP addresses without a port, such as 127.0.0.1 or ::1")}
		}
		addr = addr.Unmap()
		if i := slices.IndexFunc(addrs, func(o netip.Addr) bool { return holds(o, addr) || holds(addr, o) }); i >= 0 {
			return nil, &Error{"listen", strconv.Quote(text), fmt.Errorf("cannot be had with %v, want addresses that do not overlap", addrs[i])}
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// overlap tells whether two sockets would want the same port of the same address. :: is all addresses, of IPv4 too.
func overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() || a.Port() == 0 {
		return false
	}
	return holds(a.Addr(), b.Addr()) || holds(b.Addr(), a.Addr())
}

// holds tells whether a socket on all has the datagrams to one, too.
func holds(all, one netip.Addr) bool {
	return all == one || all == netip.IPv6Unspecified() || all == netip.IPv4Unspecified() && one.Is4()
}

// parseWhere reads what stands after SERVICE=: an address, a port, or both. What is not said is as by default.
func parseWhere(arg, where string, listen []netip.Addr, port int) ([]netip.Addr, int, error) {
	if addr, ok := bareAddr(where); ok {
		return []netip.Addr{addr}, port, nil
	}
	bad := &Error{Key: "services", Err: fmt.Errorf("%q: want an IP address, a port, or both after the =, such as :37, 127.0.0.1 or [::1]:37", arg)}
	colon := strings.LastIndexByte(where, ':')
	if colon < 0 {
		return nil, 0, bad
	}
	n, err := strconv.ParseUint(where[colon+1:], 10, 16)
	if err != nil {
		return nil, 0, bad
	}
	if colon == 0 {
		return listen, int(n), nil
	}
	ap, err := netip.ParseAddrPort(where)
	if err != nil {
		return nil, 0, bad
	}
	return []netip.Addr{ap.Addr().Unmap()}, int(ap.Port()), nil
}

func kindNames() []string {
	var names []string
	for _, k := range service.Kinds() {
		names = append(names, k.String())
	}
	return names
}
