package tcp

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	// dueSoon is how early what is held back is written when the server stops. What is due later is not.
	dueSoon = time.Second

	// lastLook is how long after a stop a connection that is held back is still read, to find what had been received.
	lastLook = 20 * time.Millisecond

	// maxEarly is how much a stream keeps of what comes before it is due, in bytes; the rest waits in the system.
	maxEarly = 16 << 10
)

// hold waits for delay, and tells whether the answer is due: it is not when the asker has reset the connection meanwhile,
// or when a stop ends the wait too early. It reads what comes, since a reset shows in no other way, and returns it where
// it is a stream's.
func (s *Server) hold(conn *net.TCPConn, delay time.Duration) (early []byte, due bool) {
	if delay <= 0 {
		return nil, true
	}
	at := time.Now().Add(delay)
	early, err := s.readEarly(conn, nil, at, false)
	switch {
	case err == nil || err == io.EOF: // there is nothing more to read before it is due
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		select {
		case <-timer.C:
			return early, true
		case <-s.stopping:
		}
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return early, false
	case !s.isClosed():
		return early, true
	}
	early, _ = s.readEarly(conn, early, time.Now().Add(lastLook), true)
	s.mu.Lock()
	defer s.mu.Unlock()
	return early, !s.cut && time.Until(at) <= dueSoon
}

// readEarly appends to early what comes until a time, or nothing where the Server is no stream. The error is that of the
// last read, such as os.ErrDeadlineExceeded at that time or, but for the last one, when the server stops; it is nil where
// early is full.
func (s *Server) readEarly(conn *net.TCPConn, early []byte, until time.Time, last bool) ([]byte, error) {
	s.mu.Lock()
	if !s.closed || last && !s.cut { // else the deadline is past, and stays so
		conn.SetReadDeadline(until)
	}
	s.mu.Unlock()
	buf := make([]byte, 4<<10)
	for len(early) < maxEarly {
		n, err := conn.Read(buf[:min(len(buf), maxEarly-len(early))])
		if s.Stream {
			early = append(early, buf[:n]...)
		}
		if err != nil {
			return early, err
		}
	}
	return early, nil
}

// ignore reads what comes, and says nothing, until the asker resets or falls silent, another gets the place, or the server
// stops. Who has sent its last byte may still wait for ours. At a stop it reads what had been received, since closing would
// send a reset for it.
func (s *Server) ignore(p *place) {
	buf := make([]byte, 4<<10)
	for s.extend(p.conn, s.idle()) {
		_, err := p.conn.Read(buf)
		switch {
		case err == io.EOF:
			timer := time.NewTimer(s.idle())
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-p.taken:
			case <-s.stopping:
			}
			return
		case err != nil && !s.isClosed():
			return
		}
	}
	s.readEarly(p.conn, nil, time.Now().Add(lastLook), true)
}
