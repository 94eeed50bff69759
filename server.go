// Package yesterday is a time server for any time but now. It answers NTP (RFC 5905), Time (RFC 868) and Daytime (RFC 867)
// by a clock of the caller's choice, and Echo (RFC 862): over UDP, and but for NTP over TCP.
//
// A zero [Server] serves yesterday's time on the default ports:
//
//	var s yesterday.Server
//	log.Fatal(s.ListenAndServe(ctx))
package yesterday

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/guard"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
)

const (
	// DefaultLimit is how many replies a second one source gets from one shard.
	DefaultLimit = 1000

	// hostRefresh is how often the host's own addresses, and the state of its clock, are read anew.
	hostRefresh = 30 * time.Second
)

// ErrServerClosed is returned by [Server.Serve] after a call of [Server.Shutdown], or when its context is done.
var ErrServerClosed = errors.New("yesterday: server closed")

// A Server serves some services by one clock, or by one for each client. Its fields must not be changed after Listen.
type Server struct {
	// Clock is what is served to all. Nil: 24 hours behind, or as Lab says.
	Clock clock.Clock

	// Lab gives each client its clock and its faults, instead of Clock. It may be set anew at any time. Nil: all live by
	// Clock, without faults.
	//
	// What faults hold back is bounded: of each UDP shard 16,384 replies and 16 MiB, and of one source address a quarter
	// of that; of each TCP endpoint 512 connections that wait or are silent, half of those that may be open.
	Lab *lab.Lab

	// Seed chooses the random numbers of Lab's faults: those of each endpoint and shard follow from it.
	Seed uint64

	// Services are what is bound. Nil: all, each on all addresses at its default port.
	Services []Service

	// Transports are those of each service. Zero: UDP and TCP.
	Transports Transports

	// Allow says who is answered. Nil: private addresses, as guard.ParseAllow's word.
	Allow *guard.Allow

	// Limit is how many replies a second a source gets, of each shard. 0: DefaultLimit; negative: no limit. Loopback
	// addresses have none, unless LimitLoopback is set.
	Limit         int
	LimitLoopback bool

	// Shards is how many sockets and threads a UDP port has, of IPv6 and IPv4 each where it has all addresses. 0: 1.
	Shards int

	// Zone is what Daytime's line is written in. Nil: the host's.
	Zone *time.Location

	// NTP is how NTP is answered. Where they are zero, its Precision is measured, and its Root is the host's clock's.
	NTP service.NTPHandler

	// Wrap, if not nil, goes around the Handler of each endpoint, or of each of its shards, and around the guard in it.
	Wrap func(Endpoint, exchange.Handler) exchange.Handler

	// Watch is told of every exchange, in batches, from one goroutine, while Serve runs; lost is how many went untold
	// because it was too slow. It never makes anybody wait for an answer. The slice is its own during the call alone.
	Watch func(batch []exchange.Record, lost uint64)

	mu        sync.Mutex
	endpoints []*endpoint
	host      *guard.Host
	hostClock hostClock
	loops     *guard.Loops
	tap       *exchange.Tap
	state     state
	done      chan struct{} // closed when Serve has let go of everything; nil until Serve
}

type state uint8

const (
	fresh state = iota
	bound
	serving
	closed
)

// A Service is one service at one address.
type Service struct {
	Kind service.Kind

	// Addr is where it listens. The zero AddrPort is all addresses at the default port; an address that is not valid,
	// or ::, is all addresses of IPv6 and IPv4; port 0 is one that is free, the same for UDP and TCP.
	Addr netip.AddrPort
}

// DefaultPort returns where a service listens by default: its well-known port plus 12308.
func DefaultPort(k service.Kind) uint16 { return k.WellKnownPort() + service.PortOffset }

// ListenAndServe calls Listen, then Serve.
func (s *Server) ListenAndServe(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Serve answers on all that Listen has bound, until ctx is done, Shutdown is called, or a socket breaks for good: then
// it ends all and returns that error. Otherwise, as with net/http's, the error is ErrServerClosed. When ctx is done it
// stops as Shutdown does, having answered what was received by then. A Server serves once.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	if state := s.state; state != bound {
		s.mu.Unlock()
		if state == closed {
			return ErrServerClosed
		}
		return errors.New("yesterday: Serve needs one Listen before it")
	}
	s.state = serving
	s.done = make(chan struct{})
	s.mu.Unlock()
	defer close(s.done)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var aside sync.WaitGroup
	aside.Go(func() { s.refreshHost(ctx) })

	watching, unwatch := context.WithCancel(context.Background())
	if s.tap != nil {
		aside.Go(func() { s.tap.Run(watching, s.Watch) })
	}

	ended := make(chan error, len(s.endpoints))
	for _, e := range s.endpoints {
		go func() { ended <- e.serve(ctx) }()
	}
	var err error
	for range s.endpoints {
		if e := <-ended; e != nil {
			err = errors.Join(err, e)
			cancel() // a service that broke must not hide behind those that go on
		}
	}
	cancel()
	unwatch()
	aside.Wait()
	s.mu.Lock()
	s.state = closed
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return ErrServerClosed
}

// Shutdown stops receiving, answers what has been received, and returns nil when all is closed. If ctx is done first, it
// closes at once what is still open and returns the context's error. What was bound but never served is closed too.
// Once called, the Server cannot be used again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.state = closed
	done := s.done
	s.mu.Unlock()
	if done == nil { // it never served, and now never will
		for _, e := range s.endpoints {
			e.close()
		}
		return nil
	}
	errs := make(chan error, len(s.endpoints))
	for _, e := range s.endpoints {
		go func() { errs <- e.shutdown(ctx) }()
	}
	var err error
	for range s.endpoints {
		if e := <-errs; e != nil {
			err = e
		}
	}
	if err == nil {
		select {
		case <-done: // Watch has been told all
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return err
}

// refreshHost keeps what is known of the host up to date until ctx is done.
func (s *Server) refreshHost(ctx context.Context) {
	tick := time.NewTicker(hostRefresh)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.host.Refresh() // after an error the old ones are the best there are
			s.hostClock.refresh()
		case <-ctx.Done():
			return
		}
	}
}

// Synchronised tells whether the host's clock is, as far as the system knows. Where it is not, NTP announces a root
// dispersion of a millisecond: clients refuse a server that owns up to more.
func (s *Server) Synchronised() bool { return s.hostClock.synchronised.Load() }

// Endpoints returns what is bound, in the order of Services, UDP before TCP. It is empty before Listen.
func (s *Server) Endpoints() []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Endpoint
	for _, e := range s.endpoints {
		out = append(out, e.Endpoint)
	}
	return out
}

// Threads returns how many threads the UDP ports have. It is 0 before Listen. On Linux each keeps its processor for a batch of
// datagrams: with fewer processors (GOMAXPROCS) than threads that are busy at once, one waits for another as long as a goroutine may
// run, which is 10 ms. The system shares its CPUs out in a finer way, so GOMAXPROCS is best above Threads, also on few CPUs.
func (s *Server) Threads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.endpoints {
		if e.udpListener != nil {
			n += e.udpListener.Shards()
		}
	}
	return n
}

// Counts returns what became of the requests so far, of each endpoint in the order of Endpoints.
func (s *Server) Counts() []exchange.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []exchange.Counts
	for _, e := range s.endpoints {
		out = append(out, e.counts())
	}
	return out
}
