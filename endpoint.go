package yesterday

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/guard"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/tcp"
	"github.com/yesterday-time/yesterday/udp"
)

// Transports is a set of transports.
type Transports uint8

const (
	UDP Transports = 1 << iota
	TCP
)

// String names a set as log lines do: "udp", "tcp" or "udp,tcp".
func (t Transports) String() string {
	switch t {
	case UDP:
		return "udp"
	case TCP:
		return "tcp"
	case UDP | TCP:
		return "udp,tcp"
	}
	return fmt.Sprintf("Transports(%d)", uint8(t))
}

// An Endpoint is one bound port of one transport.
type Endpoint struct {
	Kind      service.Kind
	Transport Transports     // UDP or TCP
	Addr      netip.AddrPort // with the port that was bound
}

// A ListenError says what could not be bound.
type ListenError struct {
	Kind      service.Kind
	Transport Transports
	Addr      netip.AddrPort // as it was asked for
	Err       error          // wraps the system's
}

// Error names the service, the transport and the address, as in
// "time/udp: listen on [::]:12345: address already in use".
func (e *ListenError) Error() string {
	cause := e.Err
	for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
		cause = next // the system's word; what is around it says the address again
	}
	return fmt.Sprintf("%v/%v: listen on %v: %v", e.Kind, e.Transport, e.Addr, cause)
}

func (e *ListenError) Unwrap() error { return e.Err }

// An endpoint is an Endpoint with what serves it.
type endpoint struct {
	Endpoint
	udpListener *udp.Listener
	tcpListener *net.TCPListener
	udp         *udp.Server // one of the two
	tcp         *tcp.Server
}

func (e *endpoint) serve(ctx context.Context) error {
	var err error
	if e.udp != nil {
		err = e.udp.Serve(ctx, e.udpListener)
	} else {
		err = e.tcp.Serve(ctx, e.tcpListener)
	}
	if err == udp.ErrServerClosed || err == tcp.ErrServerClosed {
		return nil
	}
	return fmt.Errorf("%v/%v: %w", e.Kind, e.Transport, err)
}

func (e *endpoint) shutdown(ctx context.Context) error {
	if e.udp != nil {
		return e.udp.Shutdown(ctx)
	}
	return e.tcp.Shutdown(ctx)
}

func (e *endpoint) counts() exchange.Counts {
	if e.udp != nil {
		return e.udp.Counts()
	}
	return e.tcp.Counts()
}

func (e *endpoint) close() {
	if e.udpListener != nil {
		e.udpListener.Close()
	}
	if e.tcpListener != nil {
		e.tcpListener.Close()
	}
}

// Listen binds all services. Nothing is answered before Serve, and nothing stays bound after an error, which is a
// *ListenError where the system refused an address.
func (s *Server) Listen() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != fresh {
		return errors.New("yesterday: a Server listens once")
	}
	defer func() {
		if err != nil {
			for _, e := range s.endpoints {
				e.close()
			}
			s.endpoints = nil
		}
	}()
	if err := s.setDefaults(); err != nil {
		return err
	}
	s.loops = guard.NewLoops()
	for _, want := range s.Services {
		if want.Addr == (netip.AddrPort{}) {
			want.Addr = netip.AddrPortFrom(netip.IPv6Unspecified(), DefaultPort(want.Kind))
		}
		bound, err := s.bind(want)
		if err != nil {
			return err
		}
		s.endpoints = append(s.endpoints, bound...)
		if p := want.Addr.Port(); p != 0 {
			s.loops.AddTold(p)
		}
		for _, e := range bound {
			s.loops.AddOwn(e.Addr.Port())
		}
	}
	type likes struct {
		service.Kind
		Transports
	}
	alike := make(map[likes]uint64) // endpoints so far, so that what else is served changes no endpoint's faults
	for _, e := range s.endpoints {
		l := likes{e.Kind, e.Transport}
		s.equip(e, alike[l])
		alike[l]++
	}
	s.state = bound
	return nil
}

// setDefaults fills in what was left zero.
func (s *Server) setDefaults() error {
	if s.Clock != nil && s.Lab != nil {
		return errors.New("yesterday: a Server has a Clock or a Lab, not both")
	}
	if s.Clock == nil {
		s.Clock = clock.Offset(-24 * time.Hour)
	}
	if s.Services == nil {
		for _, k := range service.Kinds() {
			s.Services = append(s.Services, Service{Kind: k})
		}
	}
	if s.Transports == 0 {
		s.Transports = UDP | TCP
	}
	s.host = new(guard.Host)
	if err := s.host.Refresh(); err != nil {
		return fmt.Errorf("yesterday: read this host's addresses: %w", err)
	}
	if s.Allow == nil {
		allow, err := guard.ParseAllow("private")
		if err != nil {
			return err
		}
		s.Allow = allow
	}
	s.hostClock.refresh()
	if s.Limit == 0 {
		s.Limit = DefaultLimit
	}
	if s.Watch != nil {
		s.tap = exchange.NewTap()
	}
	return nil
}

// listenTCP is where tests have a port taken.
var listenTCP = tcp.Listen

// bind binds one service for each of its transports: with port 0, to one port that is free for all of them.
func (s *Server) bind(want Service) ([]*endpoint, error) {
	const tries = 20
	for try := 1; ; try++ {
		out, err := s.bindOnce(want)
		if err == nil {
			return out, nil
		}
		for _, e := range out {
			e.close()
		}
		if want.Addr.Port() != 0 || len(out) == 0 || try == tries {
			return nil, err
		}
	}
}

// bindOnce returns what it bound, also with an error.
func (s *Server) bindOnce(want Service) (out []*endpoint, err error) {
	addr := want.Addr
	fail := func(t Transports, err error) error {
		return &ListenError{Kind: want.Kind, Transport: t, Addr: want.Addr, Err: err}
	}
	if s.Transports&UDP != 0 {
		l, err := udp.Listen(addr, s.Shards)
		if err != nil {
			return out, fail(UDP, err)
		}
		out = append(out, &endpoint{Endpoint: Endpoint{want.Kind, UDP, l.Addr()}, udpListener: l})
		addr = netip.AddrPortFrom(addr.Addr(), l.Addr().Port())
	}
	if s.Transports&TCP != 0 && want.Kind.OverTCP() {
		l, err := listenTCP(addr)
		if err != nil {
			return out, fail(TCP, err)
		}
		bound := l.Addr().(*net.TCPAddr).AddrPort()
		bound = netip.AddrPortFrom(bound.Addr().Unmap().WithZone(addr.Addr().Zone()), bound.Port())
		out = append(out, &endpoint{Endpoint: Endpoint{want.Kind, TCP, bound}, tcpListener: l})
	}
	return out, nil
}

// equip gives the nth endpoint of its service and transport its server: the guard before the clock before the service, whose
// answers meet the faults.
func (s *Server) equip(e *endpoint, nth uint64) {
	answering := s.handler(e.Kind)
	loops := s.loops
	if e.Kind == service.NTP || e.Transport == TCP {
		// NTP answers questions alone, and those of other servers too, which ask from its own port. A connection cannot be
		// forged, nor does it ask by itself.
		loops = nil
	}
	handler := func(shard int) exchange.Handler {
		h := s.living(answering)
		if s.Lab != nil {
			in := fault.NewInjector(e.Kind, e.Transport == TCP, s.Seed, nth<<16|uint64(shard))
			h = s.Lab.Middleware(in)(answering)
		}
		g := &guard.Guard{Host: s.host, Allow: s.Allow, Loops: loops}
		if s.Limit > 0 {
			g.Limit = guard.NewLimiter(s.Limit)
			g.Limit.Loopback = s.LimitLoopback
		}
		h = g.Middleware(h)
		if s.Wrap != nil {
			h = s.Wrap(e.Endpoint, h)
		}
		return h
	}
	if e.Transport == UDP {
		e.udp = &udp.Server{Service: e.Kind.String(), NewHandler: handler, Tap: s.tap}
		return
	}
	e.tcp = &tcp.Server{Service: e.Kind.String(), Handler: handler(0), Stream: e.Kind == service.Echo, Tap: s.tap}
}

func (s *Server) handler(k service.Kind) exchange.Handler {
	switch k {
	case service.Daytime:
		return service.DaytimeHandler{Zone: s.Zone}
	case service.Echo:
		return service.EchoHandler{}
	case service.NTP:
		h := s.NTP
		if h.Precision == 0 {
			h.Precision = clockPrecision()
		}
		if h.Root == nil {
			h.Root = s.hostClock.root
		}
		return h
	}
	return service.TimeHandler{}
}

// living makes every client live by the Server's clock.
func (s *Server) living(next exchange.Handler) exchange.Handler {
	return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		r.Clock = s.Clock
		return next.Serve(p, r)
	})
}
