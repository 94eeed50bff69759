package timetest

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
)

// A Server is a time server for one test, which ends it: NewServer and NewMemoryServer make one. Its methods may be called
// from any number of goroutines, but those that end the test on an error, as tb.Fatal does, from the test's own alone.
type Server struct {
	tb      testing.TB
	network network
	started time.Time
	closing sync.Once

	mu        sync.Mutex // held while a request is served: what is set is set between two requests
	lab       lab.Lab
	config    lab.Config // that lab was set to
	exchanges []exchange.Record
}

// A network is how a Server is reached.
type network interface {
	addr(service.Kind) string
	// dial connects from that address, or if it is the zero Addr, from any.
	dial(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error)
	close() error
}

// NewServer starts a server on 127.0.0.1 that serves the time, the daytime, echo and NTP by the clock of a clock text, such
// as "leap-second", over UDP, and but for NTP over TCP, each on a free port. Whoever can reach this host's loopback
// addresses can ask it. The test fails at once where text is none, or the system gives no ports.
func NewServer(tb testing.TB, text string) *Server {
	tb.Helper()
	s := newServer(tb, text)
	network, err := listen(s)
	if err != nil {
		tb.Fatalf("timetest: %v", err)
	}
	s.begin(network)
	return s
}

// NewMemoryServer is as NewServer, but without sockets: Dial alone reaches it. In a testing/synctest bubble it lives by the
// bubble's time, and waits for nothing outside; it is to be made in the bubble that uses it. Nothing is lost on the way to it
// or back, nor takes any time, but by a fault. It has no guard: every address is answered, as often as it asks.
//
// It sends and takes what the server of NewServer would, but for what is of the operating system. A connection over UDP holds
// any number of replies that nobody reads, or that a fault holds back. One over TCP takes as much as 256 KiB that nobody reads;
// it is closed by the server when it was silent for 30 seconds, as is usual there, and never for another's sake.
func NewMemoryServer(tb testing.TB, text string) *Server {
	tb.Helper()
	s := newServer(tb, text)
	s.begin(newMemory(s))
	return s
}

// newServer returns a Server of that clock, which nobody can reach yet.
func newServer(tb testing.TB, text string) *Server {
	tb.Helper()
	s := &Server{tb: tb, started: time.Now()}
	s.SetClock(text)
	return s
}

// begin opens the server to n until the end of the test.
func (s *Server) begin(n network) {
	s.network = n
	s.tb.Cleanup(func() {
		s.tb.Helper()
		s.Close()
		if s.tb.Failed() {
			s.tb.Log(s.report())
		}
	})
}

// Close ends the server before the test does, as a server that goes away: from then on it refuses. What it has received is
// answered, and what a fault holds back is sent if it is due within a second. The test fails where the server does not end in
// good order, within ten seconds.
func (s *Server) Close() {
	s.tb.Helper()
	s.closing.Do(func() {
		s.tb.Helper()
		if err := s.network.close(); err != nil {
			s.tb.Errorf("timetest: %v", err)
		}
	})
}

// Addr returns where a service is, as "127.0.0.1:34567": the same port for UDP and TCP. A server in memory is at the default
// ports, which nothing outside of it knows of.
func (s *Server) Addr(k service.Kind) string { return s.network.addr(k) }

// Dial connects to an address that Addr returned, over "udp" or "tcp", from a port of its own of 127.0.0.1. With NewServer it is
// net.Dial. In memory an address where nothing is served is refused, over UDP too, with the errors of net.Dial.
//
// In memory the connection takes deadlines as others do; what comes at the moment of a deadline comes too late. Over TCP it has
// the method CloseWrite.
func (s *Server) Dial(network, address string) (net.Conn, error) {
	return Dialer{s: s}.Dial(network, address)
}

// DialContext is Dial with a context, as ask.Client and others want it. Once it has returned, ctx does not matter any more.
func (s *Server) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return Dialer{s: s}.DialContext(ctx, network, address)
}

// From returns a Dialer for a client at the given address, for tests of rules: each client has its clock and its faults. In
// memory it may be any address; with NewServer one that this host has, which on Linux are all of 127.0.0.0/8.
func (s *Server) From(client netip.Addr) Dialer { return Dialer{s, client} }

// A Dialer connects to a Server from one address. Server.From makes one.
type Dialer struct {
	s    *Server
	from netip.Addr
}

// Dial is Server.Dial from the Dialer's address.
func (d Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext is Server.DialContext from the Dialer's address.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.s.network.dial(ctx, d.from, network, address)
}

// SetClock changes the clock, for all but those who have one by a rule of SetLab. It starts now unless the text says "at", also
// if it is the clock as before. The test fails at once where text is no clock text, or where it says "at" and a rule has it start
// at a client's first request.
func (s *Server) SetClock(text string) {
	s.tb.Helper()
	recipe, err := clock.Parse(text)
	if err != nil {
		s.tb.Fatalf("timetest: %v", err)
	}
	s.set(func(c *lab.Config) {
		if c.Clock.Equal(recipe) {
			// To the Lab an equal clock goes on; another one in between, which nobody sees, ends it.
			c.Clock = clock.Recipe{}
			s.lab.Set(*c, time.Now())
		}
		c.Clock = recipe
	})
}

// SetFaults changes the faults, for all but those whose rule, of SetLab, has faults of its own: each text is one fault, as
// "delay 50ms..90ms 10%" is. Without any there are none. The clock goes on. The test fails at once where a text is none.
// Chances come out the same each time that a test asks the same questions in the same order.
func (s *Server) SetFaults(texts ...string) {
	s.tb.Helper()
	faults := make([]fault.Fault, len(texts))
	for i, text := range texts {
		var err error
		if faults[i], err = fault.Parse(text); err != nil {
			s.tb.Fatalf("timetest: %v", err)
		}
	}
	s.set(func(c *lab.Config) { c.Faults = faults })
}

// SetLab changes everything: all clocks, all faults, and which client has which. A clock that is in force already, by the same
// name, goes on. The test fails at once where c is not right.
func (s *Server) SetLab(c lab.Config) {
	s.tb.Helper()
	c.Clocks, c.Rules, c.Faults = maps.Clone(c.Clocks), slices.Clone(c.Rules), slices.Clone(c.Faults) // which stay the caller's
	for i := range c.Rules {
		c.Rules[i].Faults = slices.Clone(c.Rules[i].Faults)
	}
	s.set(func(now *lab.Config) { *now = c })
}

// set changes what clients live by, between two requests.
func (s *Server) set(change func(*lab.Config)) {
	s.tb.Helper()
	s.mu.Lock()
	config := s.config
	change(&config)
	err := s.lab.Set(config, time.Now())
	if err == nil {
		s.config = config
	}
	s.mu.Unlock()
	if err != nil {
		s.tb.Fatalf("timetest: %v", err)
	}
}

// Exchanges returns what the server was asked so far, and told, in its order. An exchange is there before its reply can be
// read, so whoever has read the reply need not wait for it. It is as the server meant it: whether the system sent the reply is
// not known yet. Over TCP it is written down when the connection is made, so an echo's bytes are not in it.
//
// Record.Clock is a *lab.Clock, which has the clock's name and, as a String, its text.
func (s *Server) Exchanges() []exchange.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// writeDown goes around a Handler, and writes down each exchange before the reply leaves.
func (s *Server) writeDown(k service.Kind, transport string, next exchange.Handler) exchange.Handler {
	return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		s.mu.Lock()
		defer s.mu.Unlock()
		v := next.Serve(p, r)
		var d exchange.Record
		d.Tell(k.String(), transport, r, p, v)
		s.exchanges = append(s.exchanges, d)
		return v
	})
}
