package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/guard"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// stopWithin is how long the server takes to stop at the most. With flushWithin, which whoever does not read its output
// may add, it stays under a second.
const stopWithin = 500 * time.Millisecond

type serveCmd struct {
	Services   []string  `arg:"" optional:"" name:"service[=addr]" help:"What to serve: echo, daytime, time, ntp (default: all), each on its default port, or where ADDR says: :37, 127.0.0.1, 127.0.0.1:7, [::1]:7. Port 0 is one that is free."`
	Clock      clockText `default:"yesterday" placeholder:"TEXT" help:"The clock to serve: yesterday, -1h30m, 2036-02-07T06:28:06Z, 'now x60', unix-rollover … (default: yesterday). Try one with: yesterday clock TEXT"`
	Listen     []string  `placeholder:"ADDR" help:"Addresses to listen on, without a port, separated by commas (default: all)."`
	PortOffset int       `default:"12308" placeholder:"N" help:"Added to the well-known ports 7, 13, 37 and 123; 0 gives those themselves (default: 12308)."`
	Transport  string    `default:"udp,tcp" placeholder:"LIST" help:"udp, tcp, or both (default: udp,tcp); NTP has udp alone."`
	Allow      string    `default:"private" placeholder:"LIST" help:"Who is answered: private (this host, its networks, private addresses), any, none, or prefixes such as 192.0.2.0/24, separated by commas (default: private). Behind NAT or a container's proxy everybody has the gateway's address."`
	Limit      string    `default:"1000" placeholder:"N" help:"Replies a second to one address (of IPv6: to one /64) from each port and transport, or off. Loopback has no limit (default: 1000)."`
	Shards     int       `default:"1" placeholder:"N" help:"Sockets and threads for each UDP port (default: 1; more pay only with cores to run on)."`
	Stratum    int       `default:"1" placeholder:"N" help:"NTP: how far from the source of the time, 1 to 15, or 16: not synchronised (default: 1)."`
	RefID      string    `name:"refid" placeholder:"ID" help:"NTP: the source's name, up to 4 characters; those that begin with X are for experiments (default: XDAY, or INIT at stratum 16)."`
	Quiet      bool      `short:"q" help:"No request lines."`
	LogFormat  string    `default:"text" placeholder:"FORMAT" help:"text or json (default: text)."`
}

// Help is what --help says below the usage.
func (*serveCmd) Help() string {
	return `Examples:
  yesterday serve                                  all services, 24 hours behind
  yesterday serve time --clock 'ntp-rollover'      the last ten seconds before 2036 rolls over
  yesterday serve time=:37 echo=127.0.0.1:7        ports of your own
  yesterday serve --port-offset 0                  the well-known ports (needs the right to)

SIGUSR1 prints the counters, SIGINT and SIGTERM stop the server. Each flag can also be set by an environment
variable: YESTERDAY_CLOCK, YESTERDAY_PORT_OFFSET, …`
}

// A clockText is a flag's clock text. It may begin with a minus.
type clockText struct{ recipe clock.Recipe }

// Decode takes the next word, whatever it looks like.
func (c *clockText) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Pop()
	if token.IsEOL() {
		return errors.New("want a clock text, such as yesterday or -1h30m")
	}
	recipe, err := clock.Parse(token.String())
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "clock: ")) // the flag's name is enough
	}
	c.recipe = recipe
	return nil
}

// Run serves until the env's context is done.
func (c *serveCmd) Run(e *env) error {
	srv, err := c.server(e)
	if err != nil {
		return err
	}
	format, err := oneOf("--log-format", c.LogFormat, "text", "json")
	if err != nil {
		return err
	}
	// A server outlives whoever reads its lines.
	ignoreBrokenPipe()
	out, errs := newPrinter(e.stdout), newPrinter(e.stderr)
	defer closePrinters(out, errs)
	lines := newReporter(out, errs, e, format == "json", c.Quiet)
	srv.Watch = lines.watch

	counters := make(chan os.Signal, 1)
	notifyCounters(counters)
	defer signal.Stop(counters)

	if err := srv.Listen(); err != nil {
		return bindError(err)
	}
	lines.listening(srv, c.Allow)

	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.WithoutCancel(e.ctx)) }()
	for {
		select {
		case <-counters:
			lines.counters(srv)
			continue
		case err = <-ended: // a socket broke
		case <-e.ctx.Done():
			ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
			if err = srv.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
				err = nil // somebody was cut off; the counts say what was answered
			}
			cancel()
		}
		lines.stopped(srv)
		return err
	}
}

// server makes the Server that the flags describe.
func (c *serveCmd) server(e *env) (*yesterday.Server, error) {
	srv := &yesterday.Server{Clock: c.Clock.recipe.Start(e.now()), Shards: c.Shards}
	if c.Shards < 1 || c.Shards > 1024 {
		return nil, usagef("--shards %d: want 1 to 1024", c.Shards)
	}
	var err error
	if srv.Allow, err = guard.ParseAllow(c.Allow); err != nil {
		return nil, usagef("--allow: %w", err)
	}
	if srv.Limit, err = parseLimit(c.Limit); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(c.Transport, ",") {
		name, err := oneOf("--transport", strings.TrimSpace(name), "udp", "tcp")
		if err != nil {
			return nil, err
		}
		srv.Transports |= map[string]yesterday.Transports{"udp": yesterday.UDP, "tcp": yesterday.TCP}[name]
	}
	if c.Stratum < 1 || c.Stratum > service.Unsynchronised {
		return nil, usagef("--stratum %d: want 1 to 15, or 16 for a server that is not synchronised", c.Stratum)
	}
	srv.NTP.Stratum = uint8(c.Stratum)
	if c.RefID != "" {
		if srv.NTP.ReferenceID, err = ntp.ParseReferenceID(c.RefID); err != nil {
			return nil, usagef("--refid: %w", err)
		}
	}
	srv.Services, err = c.services(srv.Transports)
	return srv, err
}

func parseLimit(text string) (int, error) {
	if text == "off" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, usagef("--limit %q: want a whole number of replies a second, at least 1, or off", text)
	}
	return n, nil
}

// services reads the arguments: what is bound where.
func (c *serveCmd) services(transports yesterday.Transports) ([]yesterday.Service, error) {
	var listen []netip.Addr
	for _, text := range c.Listen {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, usagef("--listen %q: want IP addresses without a port, such as 127.0.0.1 or ::1", text)
		}
		listen = append(listen, addr.Unmap())
	}
	if c.Listen != nil && listen == nil { // an unset variable of a shell must not mean everywhere
		return nil, usagef("--listen \"\": want IP addresses without a port, such as 127.0.0.1 or ::1")
	}
	if listen == nil {
		listen = []netip.Addr{netip.IPv6Unspecified()}
	}
	args := c.Services
	if len(args) == 0 {
		for _, k := range service.Kinds() {
			if transports != yesterday.TCP || k.OverTCP() {
				args = append(args, k.String())
			}
		}
	}
	var services []yesterday.Service
	for _, arg := range args {
		name, where, given := strings.Cut(arg, "=")
		kind, err := service.ParseKind(name)
		if err != nil {
			return nil, usagef("unknown service %q, want echo, daytime, time or ntp%s", name, didYouMean(name, kindNames()...))
		}
		if transports == yesterday.TCP && !kind.OverTCP() {
			return nil, usagef("%s over TCP is no standard: leave out --transport tcp, or %s", name, name)
		}
		addrs := listen
		port := int(kind.WellKnownPort()) + c.PortOffset
		if given {
			if addrs, port, err = parseWhere(arg, where, listen, port); err != nil {
				return nil, err
			}
		}
		if port < 0 || port > 65535 || port == 0 && !given {
			return nil, usagef("--port-offset %d: %s would be on port %d, want 1 to 65535", c.PortOffset, name, port)
		}
		for _, addr := range addrs {
			if addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "" {
				return nil, usagef("%v is a link-local address, want its interface too, such as %v%%eth0", addr, addr)
			}
			s := yesterday.Service{Kind: kind, Addr: netip.AddrPortFrom(addr, uint16(port))}
			if i := slices.IndexFunc(services, func(o yesterday.Service) bool { return overlap(s.Addr, o.Addr) }); i >= 0 {
				return nil, usagef("%v on %v and %v on %v cannot both be had", services[i].Kind, services[i].Addr, kind, s.Addr)
			}
			services = append(services, s)
		}
	}
	return services, nil
}

// overlap tells whether two sockets would want the same port of the same address. :: is all addresses, of IPv4 too.
func overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() || a.Port() == 0 {
		return false
	}
	holds := func(all, one netip.Addr) bool {
		return all == one || all == netip.IPv6Unspecified() || all == netip.IPv4Unspecified() && one.Is4()
	}
	return holds(a.Addr(), b.Addr()) || holds(b.Addr(), a.Addr())
}

// parseWhere reads what stands after SERVICE=: an address, a port, or both. What is not said is as by default.
func parseWhere(arg, where string, listen []netip.Addr, port int) ([]netip.Addr, int, error) {
	bare := where
	if strings.HasPrefix(where, "[") && strings.HasSuffix(where, "]") {
		bare = where[1 : len(where)-1]
	}
	if addr, err := netip.ParseAddr(bare); err == nil {
		return []netip.Addr{addr.Unmap()}, port, nil
	}
	bad := usagef("%q: want an IP address, a port, or both after the =, such as :37, 127.0.0.1 or [::1]:37", arg)
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

// oneOf returns value if it is one of words.
func oneOf(flag, value string, words ...string) (string, error) {
	if !slices.Contains(words, value) {
		last := len(words) - 1
		want := strings.Join(words[:last], ", ") + " or " + words[last]
		return "", usagef("%s %q: want %s%s", flag, value, want, didYouMean(value, words...))
	}
	return value, nil
}

// bindError says what to do about an address that could not be bound.
func bindError(err error) error {
	l, ok := errors.AsType[*yesterday.ListenError](err)
	if !ok {
		return err
	}
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = fmt.Sprintf("; another program has that port: end it, or choose a port with %v=:PORT or --port-offset", l.Kind)
	case errors.Is(err, syscall.EACCES):
		advice = "; ports below 1024 need root or CAP_NET_BIND_SERVICE (setcap cap_net_bind_service+ep PROGRAM), --port-offset 12308 needs neither"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "; no interface of this host has that address"
	}
	return fmt.Errorf("%w%s", err, advice)
}
