// Package tcp serves on connect: a [exchange.Handler]'s reply is written when a connection is opened, and the
// connection is closed (RFC 868, RFC 867), or its bytes are sent back as they come (RFC 862).
//
// A Reply's Delay holds back the first byte, of a stream too; its Copies are not sent. An asker who resets the
// connection meanwhile gives up the answer, one who has sent its last byte does not. A connection whose Verdict is
// [exchange.Fault] is left open and silent, until the asker resets it, IdleTimeout ends it, or another needs its place.
package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

const (
	// defaultMaxConns and defaultIdleTimeout stand for zeros in Server.
	defaultMaxConns    = 1024
	defaultIdleTimeout = 30 * time.Second

	// drainFor is how long an answered connection is read before it is closed: closing over unread bytes sends a
	// reset, which may overtake the answer.
	drainFor = time.Second

	// maxPause bounds the wait after a failed accept, which doubles while they go on failing.
	maxPause = time.Second
)

// ErrServerClosed is returned by [Server.Serve] after a call of [Server.Shutdown] or [Server.Close], or when its
// context is done.
var ErrServerClosed = errors.New("tcp: server closed")

// Listen binds addr. No address, or ::, means all addresses of IPv6 and IPv4, or of IPv4 alone where the host has no
// IPv6; port 0 means one that is free. The error wraps the system's, such as EADDRINUSE.
func Listen(addr netip.AddrPort) (*net.TCPListener, error) {
	network, local := "tcp", net.TCPAddrFromAddrPort(addr)
	switch ip := addr.Addr(); {
	case !ip.IsValid() || ip == netip.IPv6Unspecified():
		local = &net.TCPAddr{Port: int(addr.Port())}
	case ip.Unmap().Is4():
		network = "tcp4"
	}
	l, err := net.ListenTCP(network, local)
	if err != nil {
		return nil, fmt.Errorf("tcp: listen on %v: %w", addr, err)
	}
	return l, nil
}

// A Server answers the connections of one listener.
type Server struct {
	// Service names the service in Records.
	Service string

	// Handler is called for each new connection, with an empty Request, from one goroutine. Where it gives another
	// Verdict than Answer or Fault, the connection is closed.
	Handler exchange.Handler

	// Stream keeps a connection open after the Reply is written, and sends back what comes.
	Stream bool

	// Tap takes the Records, one for each connection when it has been answered: a stream when it ends, a fault when it
	// begins. Nil: none are written.
	Tap *exchange.Tap

	// MaxConns is how many connections may be open; one more is closed at once. 0: 1,024.
	//
	// Those that wait for a Delay and those that are silent by a Fault may be half of them, rounded up. Where there is no
	// place for a connection, of whichever kind, the one that has been silent longest is closed for it, if there is one.
	MaxConns int

	// IdleTimeout is how long a connection may be silent, or not take what is written; a Delay is not part of it. 0:
	// 30 seconds.
	IdleTimeout time.Duration

	mu       sync.Mutex
	listener *net.TCPListener
	places   places
	closed   bool
	cut      bool          // closed, and nothing more is written
	stopping chan struct{} // closed with closed; nil until Serve
	done     chan struct{} // closed when Serve has let go of everything; nil until Serve
	counts   exchange.Counts
	ring     *exchange.Ring
}

// Serve answers the connections of l until ctx is done, Shutdown or Close is called, or l breaks for good. It closes l,
// and returns when all connections have ended.
//
// As with net/http's, the error is never nil, and ErrServerClosed after a Shutdown or Close. When ctx is done Serve
// stops as Shutdown does, and returns ErrServerClosed. A Server serves once.
func (s *Server) Serve(ctx context.Context, l *net.TCPListener) error {
	s.mu.Lock()
	if s.closed || s.listener != nil {
		s.mu.Unlock()
		l.Close()
		return ErrServerClosed
	}
	s.listener = l
	s.stopping = make(chan struct{})
	s.done = make(chan struct{})
	s.ring = s.Tap.Ring()
	s.mu.Unlock()

	stop := context.AfterFunc(ctx, func() { s.stop(false) })
	defer stop()

	var open sync.WaitGroup
	err := s.accept(l, &open)
	l.Close()
	if err != nil {
		s.stop(false)
	}
	open.Wait()
	close(s.done)
	if err != nil {
		return err
	}
	return ErrServerClosed
}

// accept takes connections until the server stops, which is no error, or the listener breaks.
func (s *Server) accept(l *net.TCPListener, open *sync.WaitGroup) error {
	var pause time.Duration
	for {
		conn, err := l.AcceptTCP()
		switch {
		case err == nil:
			pause = 0
			s.greet(conn, open)
			continue
		case s.isClosed():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("tcp: the socket of %v is gone: %w", l.Addr(), err)
		}
		// Out of file descriptors or memory, or the caller hung up: it passes.
		s.mu.Lock()
		s.counts.Errors++
		s.mu.Unlock()
		pause = min(max(2*pause, 5*time.Millisecond), maxPause)
		select {
		case <-time.After(pause):
		case <-s.stopping:
		}
	}
}

// greet hears the Handler on a new connection and answers, ignores or closes it.
func (s *Server) greet(conn *net.TCPConn, open *sync.WaitGroup) {
	from, to := conn.RemoteAddr().(*net.TCPAddr).AddrPort(), conn.LocalAddr().(*net.TCPAddr).AddrPort()
	r := exchange.Request{
		From:     netip.AddrPortFrom(from.Addr().Unmap(), from.Port()),
		To:       netip.AddrPortFrom(to.Addr().Unmap(), to.Port()),
		Received: time.Now().Round(0).UTC(),
	}
	var reply exchange.Reply
	verdict := s.Handler.Serve(&reply, &r)
	p := &place{conn: conn}
	switch {
	case verdict == exchange.Fault:
		p.kind, p.taken = silent, make(chan struct{})
	case reply.Delay > 0:
		p.kind = delayed
	}
	if (verdict == exchange.Answer || verdict == exchange.Fault) && !s.enter(p) {
		verdict = exchange.Full
	}
	switch verdict {
	case exchange.Answer:
		open.Go(func() {
			defer s.leave(p)
			s.answer(p, &r, &reply)
		})
	case exchange.Fault:
		s.ended(&r, &reply, verdict, 0, 0) // what it sends counts no more
		open.Go(func() {
			defer s.leave(p)
			s.ignore(p)
		})
	default:
		s.ended(&r, &reply, verdict, 0, 0) // before the asker can know
		conn.SetLinger(0)                  // who is refused leaves no state here
		conn.Close()
	}
}

// answer writes the Reply when it is due, and tells of it.
func (s *Server) answer(at *place, r *exchange.Request, p *exchange.Reply) {
	verdict, answered := exchange.Unsent, 0
	early, due := s.hold(at.conn, p.Delay)
	asked := len(early)
	if due {
		s.settle(at)
		var err error
		asked, answered, err = s.talk(at.conn, p.Data, early)
		if err == nil || answered > 0 || len(p.Data)+asked == 0 {
			verdict = exchange.Answer
		}
	}
	s.ended(r, p, verdict, asked, answered) // what it sends from now on counts no more
	s.drain(at.conn)
}

// talk writes the greeting, and streams if it is to, beginning with what came early. It returns how many bytes came and
// went.
func (s *Server) talk(conn *net.TCPConn, greeting, early []byte) (asked, answered int, err error) {
	asked = len(early)
	s.mu.Lock()
	if !s.cut { // else the deadline is past, and stays so
		conn.SetWriteDeadline(time.Now().Add(s.idle()))
	}
	s.mu.Unlock()
	if answered, err = conn.Write(append(greeting, early...)); err != nil {
		return asked, answered, err
	}
	if s.Stream {
		buf := make([]byte, 16<<10)
		for err == nil {
			if !s.extend(conn, s.idle()) {
				break
			}
			var n, m int
			n, err = conn.Read(buf)
			asked += n
			if n > 0 {
				var failed error
				m, failed = conn.Write(buf[:n])
				answered += m
				err = errors.Join(err, failed)
			}
		}
	}
	return asked, answered, err
}

// idle returns IdleTimeout, or what a zero stands for.
func (s *Server) idle() time.Duration {
	if s.IdleTimeout == 0 {
		return defaultIdleTimeout
	}
	return s.IdleTimeout
}

// drain ends the answer and reads what still comes, so that closing sends no reset.
func (s *Server) drain(conn *net.TCPConn) {
	conn.CloseWrite()
	if s.extend(conn, drainFor) {
		io.Copy(io.Discard, conn)
	}
}

// extend gives conn another while, unless the server stops.
func (s *Server) extend(conn *net.TCPConn, while time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	conn.SetDeadline(time.Now().Add(while))
	return true
}

// ended counts and records one connection.
func (s *Server) ended(r *exchange.Request, p *exchange.Reply, v exchange.Verdict, asked, answered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Count(v, p.Notes)
	if s.ring == nil {
		return
	}
	if d := s.ring.Slot(); d != nil {
		d.Tell(s.Service, "tcp", r, p, v)
		d.Asked, d.Answered = asked, answered // of the whole connection
	}
	s.ring.Flush()
	s.counts.Untold = s.ring.Lost()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// stop ends the listener and wakes every connection. What was read is still written, unless cut.
func (s *Server) stop(cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = s.cut || cut
	if !s.closed {
		s.closed = true
		if s.listener != nil {
			close(s.stopping)
			s.listener.Close()
		}
	}
	for p := range s.places.open {
		p.conn.SetReadDeadline(time.Unix(1, 0))
		if s.cut {
			p.conn.SetWriteDeadline(time.Unix(1, 0))
		}
	}
}

// Shutdown takes no more connections, lets each write what it has read, and what a Delay holds back at once if that ends
// within a second (else it is counted and told as [exchange.Unsent]), and returns nil when Serve has let go of
// everything. If ctx is done first, it closes all at once, as Close does, and returns the context's error. Once called,
// the Server cannot be used again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(false)
	if s.done == nil {
		return nil
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.Close()
		return ctx.Err()
	}
}

// Close closes the listener and all connections, and returns when they have ended.
func (s *Server) Close() error {
	s.stop(true)
	if s.done != nil {
		<-s.done
	}
	return nil
}

// Counts returns what became of the connections so far. Any goroutine may call it, at any time.
func (s *Server) Counts() exchange.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}
