// Package tcp serves on connect: a [exchange.Handler]'s reply is written when a connection is opened, and the
// connection is closed (RFC 868, RFC 867), or its bytes are sent back as they come (RFC 862).
//
// A Reply's Delay holds back the first byte, of a stream too; its Copies are not sent. A connection whose Verdict is
// [exchange.Fault] is left open and silent, until the asker resets it or IdleTimeout ends it.
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

	// dueSoon is how early a greeting that is held back is written when the server stops. What is due later is not.
	dueSoon = time.Second

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

	// MaxConns is how many connections may be open, those that wait for a Delay and the silent ones among them; one
	// more is closed at once. 0: 1,024.
	MaxConns int

	// IdleTimeout is how long a connection may be silent, or not take what is written; a Delay is not part of it. 0:
	// 30 seconds.
	IdleTimeout time.Duration

	mu       sync.Mutex
	listener *net.TCPListener
	conns    map[*net.TCPConn]struct{}
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
	s.conns = make(map[*net.TCPConn]struct{})
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
	if (verdict == exchange.Answer || verdict == exchange.Fault) && !s.enter(conn) {
		verdict = exchange.Full
	}
	switch verdict {
	case exchange.Answer:
		open.Go(func() {
			defer s.leave(conn)
			s.answer(conn, &r, &reply)
		})
	case exchange.Fault:
		s.ended(&r, &reply, verdict, 0, 0) // what it sends counts no more
		open.Go(func() {
			defer s.leave(conn)
			s.ignore(conn)
		})
	default:
		conn.SetLinger(0) // who is refused leaves no state here
		conn.Close()
		s.ended(&r, &reply, verdict, 0, 0)
	}
}

// answer writes the Reply when it is due, and tells of it.
func (s *Server) answer(conn *net.TCPConn, r *exchange.Request, p *exchange.Reply) {
	verdict := exchange.Unsent
	var asked, answered int
	if s.hold(p.Delay) {
		var err error
		asked, answered, err = s.talk(conn, p.Data)
		if err == nil || answered > 0 || len(p.Data) == 0 {
			verdict = exchange.Answer
		}
	}
	s.ended(r, p, verdict, asked, answered) // what it sends from now on counts no more
	s.drain(conn)
}

// hold waits for delay, and tells whether the first byte is to be written. A stop ends the wait.
func (s *Server) hold(delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	due := time.Now().Add(delay)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stopping:
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.cut && time.Until(due) <= dueSoon
	}
}

// ignore reads what comes, and says nothing, until the asker resets or falls silent, or the server stops. Who has sent its
// last byte may still wait for ours.
func (s *Server) ignore(conn *net.TCPConn) {
	buf := make([]byte, 4<<10)
	for s.extend(conn, s.idle()) {
		_, err := conn.Read(buf)
		switch {
		case err == io.EOF:
			timer := time.NewTimer(s.idle())
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-s.stopping:
			}
			return
		case err != nil:
			return
		}
	}
}

// enter keeps conn among the open ones, if there is room for one more.
func (s *Server) enter(conn *net.TCPConn) bool {
	limit := s.MaxConns
	if limit == 0 {
		limit = defaultMaxConns
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= limit {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) leave(conn *net.TCPConn) {
	conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
}

// talk writes the greeting, and streams if it is to. It returns how many bytes came and went.
func (s *Server) talk(conn *net.TCPConn, greeting []byte) (asked, answered int, err error) {
	s.mu.Lock()
	if !s.cut { // else the deadline is past, and stays so
		conn.SetWriteDeadline(time.Now().Add(s.idle()))
	}
	s.mu.Unlock()
	if answered, err = conn.Write(greeting); err != nil {
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
	for conn := range s.conns {
		conn.SetReadDeadline(time.Unix(1, 0))
		if s.cut {
			conn.SetWriteDeadline(time.Unix(1, 0))
		}
	}
}

// Shutdown takes no more connections, lets each write what it has read, and its greeting at once where a Delay ends
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
