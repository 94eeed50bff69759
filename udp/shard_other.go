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

// A Listener is a bound port. Until a Server serves it, what arrives waits in the system.
type Listener struct {
	addr     netip.AddrPort
	conn     *net.UDPConn
	readers  int
	stopping chan struct{}
	closing  atomic.Bool
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
	}, nil
}

// Addr returns the address and the port that were bound.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Close closes a Listener that no Server serves (a Server closes its own).
func (l *Listener) Close() error { return l.conn.Close() }

func (l *Listener) shards() int { return l.readers }

func (l *Listener) stop() {
	if l.closing.CompareAndSwap(false, true) {
		close(l.stopping)
		l.conn.SetReadDeadline(time.Now().Add(lastLook))
	}
}

// A shard is a goroutine that reads the socket with buffers of its own. Its loop allocates nothing.
type shard struct {
	listener *Listener
	service  string
	handler  exchange.Handler
	ring     *exchange.Ring
	counters exchange.Counters
	abandon  atomic.Bool // end without answering what waits

	in      []byte
	out     []byte
	request exchange.Request
	reply   exchange.Reply
}

func newShard(l *Listener, _ int, service string, h exchange.Handler, ring *exchange.Ring) *shard {
	return &shard{listener: l, service: service, handler: h, ring: ring, in: make([]byte, maxDatagram), out: make([]byte, 0, maxDatagram)}
}

// run answers until it is stopped, which is no error, or the socket breaks.
func (s *shard) run() error {
	for failures := 0; !s.abandon.Load(); {
		n, from, err := s.listener.conn.ReadFromUDPAddrPort(s.in)
		switch {
		case err == nil:
			failures = 0
			s.serve(s.in[:n], from, time.Now())
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
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
	}
	return nil
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
		s.ring.Flush()
		s.counters.Local.Untold = s.ring.Lost()
	}
	s.counters.Publish()
}
