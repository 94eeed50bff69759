//go:build !linux || yesterday_portable

package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// lastLook is how long after a stop a shard still reads, to find what had been received.
const lastLook = 20 * time.Millisecond

// A destination is where a held reply goes.
type destination = netip.AddrPort

// A Listener is a bound port. Until a Server serves it, what arrives waits in the system.
type Listener struct {
	addr     netip.AddrPort
	conn     *net.UDPConn
	readers  int
	stopping chan struct{}
	until    atomic.Pointer[time.Time] // the end of the last look; nil until a stop

	reading  chan struct{} // holds one element while a shard reads: the deadline is its own
	deadline time.Time     // the last that a shard has set
}

// Listen binds a socket to addr, which shards (at least one) will read. No address, or ::, means all addresses of IPv6
// and IPv4, as far as the host has them; port 0 means one that is free. The error wraps the system's: a port is not
// shared with another Listener.
func Listen(addr netip.AddrPort, shards int) (*Listener, error) {
	network, local := "udp", net.UDPAddrFromAddrPort(addr)
	switch {
	case wildcard(addr.Addr()):
		local = &net.UDPAddr{Port: int(addr.Port())}
	case addr.Addr().Unmap().Is4():
		network = "udp4"
	}
	conn, err := net.ListenUDP(network, local)
	if err != nil {
		return nil, fmt.Errorf("udp: listen on %v: %w", addr, err)
	}
	conn.SetReadBuffer(receiveBuffer) // less is no failure
	bound := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return &Listener{
		addr:     netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port()),
		conn:     conn,
		readers:  max(shards, 1),
		stopping: make(chan struct{}),
		reading:  make(chan struct{}, 1),
	}, nil
}

// Addr returns the address and the port that were bound.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Close closes a Listener that no Server serves (a Server closes its own).
func (l *Listener) Close() error { return l.conn.Close() }

// Shards is how many loops read the socket.
func (l *Listener) Shards() int { return l.readers }

func (l *Listener) stop() {
	until := time.Now().Add(lastLook)
	if l.until.CompareAndSwap(nil, &until) {
		close(l.stopping)
		l.conn.SetReadDeadline(until) // a shard that sets another from now on sees until, and mends it
	}
}

// setDeadline makes reads end when the first held reply is due (zero: none is), or, after a stop, with the last look.
// Only the shard that reads may call it.
func (l *Listener) setDeadline(due time.Time) {
	for {
		if until := l.until.Load(); until != nil {
			due = *until
		}
		if due.Equal(l.deadline) {
			return
		}
		l.conn.SetReadDeadline(due)
		l.deadline = due
	}
}

// A shard is a goroutine that reads the socket, in turn with the others, with buffers of its own. Its loop allocates
// nothing but the error that a read ends with when a held reply is due.
type shard struct {
	listener *Listener
	service  string
	handler  exchange.Handler
	ring     *exchange.Ring
	counters exchange.Counters
	abandon  atomic.Bool // end without answering what waits

	in      []byte
	out     []byte
	held    heldQueue
	timer   *time.Timer // for the first held reply, while another shard reads
	request exchange.Request
	reply   exchange.Reply
}

func newShard(l *Listener, _ int, service string, h exchange.Handler, ring *exchange.Ring) *shard {
	return &shard{
		listener: l,
		service:  service,
		handler:  h,
		ring:     ring,
		in:       make([]byte, maxDatagram),
		out:      make([]byte, 0, maxDatagram),
		timer:    time.NewTimer(time.Hour),
	}
}

// run answers until it is stopped, which is no error, or the socket breaks.
func (s *shard) run() error {
	defer s.timer.Stop()
	defer s.dropHeld()
	for failures := 0; !s.abandon.Load(); {
		n, from, err := s.receive()
		switch {
		case err == nil:
			failures = 0
			s.serve(s.in[:n], from, time.Now())
		case errors.Is(err, os.ErrDeadlineExceeded):
			if until := s.listener.until.Load(); until != nil && !time.Now().Before(*until) {
				s.sendDue(time.Now().Add(dueSoon))
				return nil
			}
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("udp: the socket of port %d is gone: %w", s.listener.addr.Port(), err)
		default: // a former reply was refused, or what the network or the memory lacks at the moment
			s.counters.Local.Errors++
			s.counters.Publish()
			if failures++; failures > 64 {
				select { // an error that stays must not keep a core busy
				case <-s.listener.stopping:
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		if len(s.held.heap) > 0 {
			s.sendDue(time.Now())
		}
	}
	return nil
}

// receive waits for a datagram. The error is os.ErrDeadlineExceeded once a held reply is due, or the last look is over.
func (s *shard) receive() (n int, from netip.AddrPort, err error) {
	l := s.listener
	first := s.held.next()
	var due <-chan time.Time
	if !first.IsZero() {
		s.timer.Reset(time.Until(first))
		due = s.timer.C
	}
	select {
	case l.reading <- struct{}{}:
	case <-due:
		return 0, from, os.ErrDeadlineExceeded
	}
	l.setDeadline(first)
	n, from, err = l.conn.ReadFromUDPAddrPort(s.in)
	<-l.reading
	return n, from, err
}

// serve handles one datagram.
func (s *shard) serve(data []byte, from netip.AddrPort, now time.Time) {
	r := &s.request
	*r = exchange.Request{
		Data:     data,
		From:     netip.AddrPortFrom(from.Addr().Unmap(), from.Port()),
		To:       s.listener.addr,
		Received: now.Round(0).UTC(),
	}
	s.reply = exchange.Reply{Data: s.out}
	verdict := s.handler.Serve(&s.reply, r)
	if verdict == exchange.Answer && holds(&s.reply) {
		if !s.hold(&from) {
			verdict = exchange.Full
		} else if s.reply.Delay > 0 {
			return // counted and told when it is sent
		}
	}
	if verdict == exchange.Answer {
		if _, err := s.listener.conn.WriteToUDPAddrPort(s.reply.Data, from); err != nil {
			verdict = exchange.Unsent
		}
	}
	s.counters.Local.Count(verdict, s.reply.Notes)
	if s.ring != nil {
		if told := s.ring.Slot(); told != nil {
			told.Tell(s.service, "udp", r, &s.reply, verdict)
		}
	}
	s.publish()
	s.rest()
}

// sendDue sends what was held back and is due at now.
func (s *shard) sendDue(now time.Time) {
	for !s.abandon.Load() {
		h := s.held.take(now)
		if h == nil {
			break
		}
		verdict := exchange.Answer
		if _, err := s.listener.conn.WriteToUDPAddrPort(h.data, h.to); err != nil {
			verdict = exchange.Unsent
		}
		s.settle(h, verdict)
	}
	s.publish()
	s.rest()
}
