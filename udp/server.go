// Package udp is the engine: it receives datagrams, hands each to a [exchange.Handler], sends the replies and counts
// what became of each.
//
// On Linux a port is served by shards: sockets with a thread and buffers each, which receive and send in batches
// (recvmmsg, sendmmsg), read the kernel's receive stamps, and answer from the address that was asked. Elsewhere one
// plain socket is read by one goroutine for each shard: the system picks the address of a reply, stamps are read when
// a datagram is, and broadcasts cannot be told from other datagrams.
//
// A Reply with a Delay is held back by its shard, and so are its Copies, those of an undelayed Reply until the batch it
// is in has been sent. A shard holds 16,384 datagrams, and 16 MiB of them, of which one source address has a quarter at
// most. A delayed Reply that does not fit, with all its Copies, is not sent, and its Verdict is [exchange.Full]; one that
// is not delayed goes out without its Copies, which are counted as uncopied, and without the note of a duplicate. A Reply
// is counted and told once it is sent; Copies are neither counted nor told, and those that the system refuses to send are
// passed over.
package udp

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

const (
	// maxDatagram is the longest that UDP's length field allows: no datagram is cut.
	maxDatagram = 65535

	// replyRoom is what a reply may grow to before its buffer has to: an echo over Ethernet.
	replyRoom = 1536

	// staleAfter is how long a request may wait in the socket: NTP clients give up after a second or so, and a late
	// time is a wrong time.
	staleAfter = time.Second

	// drainFor bounds how long a shard goes on answering what has been received when it is told to stop.
	drainFor = 250 * time.Millisecond

	// receiveBuffer is what is asked of the kernel, which doubles it: room for 20,000 requests, an eighth of a second
	// at full speed, so that a burst fits and nothing in it gets stale.
	receiveBuffer = 8 << 20
)

// ErrServerClosed is returned by [Server.Serve] after a call of [Server.Shutdown] or [Server.Close], or when its
// context is done.
var ErrServerClosed = errors.New("udp: server closed")

// A Server answers the datagrams of one Listener.
type Server struct {
	// Service names the service in Records.
	Service string

	// NewHandler makes the Handler of a shard, which calls it from one goroutine alone.
	NewHandler func(shard int) exchange.Handler

	// Tap takes the Records. Nil: none are written.
	Tap *exchange.Tap

	mu       sync.Mutex
	listener *Listener
	shards   []*shard
	done     chan struct{} // closed when all shards have ended
	closed   bool          // no Serve from now on, and one under way is to return ErrServerClosed
}

// Serve answers what l receives until ctx is done, Shutdown or Close is called, or the socket breaks for good. It
// closes l. Errors that pass are counted, and serving goes on.
//
// As with net/http's, the error is never nil, and ErrServerClosed after a Shutdown or Close, which Serve may precede:
// wait for Shutdown to return. When ctx is done Serve stops as Shutdown does: it answers what was received by then, sends
// held replies that are due soon, and returns ErrServerClosed. A Server serves once. Held replies that were not sent when
// it ends, for whatever reason, are counted and told as [exchange.Unsent].
func (s *Server) Serve(ctx context.Context, l *Listener) error {
	s.mu.Lock()
	if s.closed || s.listener != nil {
		s.mu.Unlock()
		l.Close()
		return ErrServerClosed
	}
	s.listener = l
	s.done = make(chan struct{})
	for i := range l.Shards() {
		s.shards = append(s.shards, newShard(l, i, s.Service, s.NewHandler(i), s.Tap.Ring()))
	}
	s.mu.Unlock()

	stop := context.AfterFunc(ctx, s.stop)
	defer stop()

	failed := make(chan error, len(s.shards))
	for _, sh := range s.shards {
		go func() { failed <- sh.run() }()
	}
	var err error
	for range s.shards {
		// One broken shard would leave a part of the clients in silence: end them all.
		if e := <-failed; e != nil && err == nil {
			err = e
			l.stop()
		}
	}
	l.Close()
	close(s.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.closed {
		return err
	}
	return ErrServerClosed
}

// stop makes the shards answer what they have received, and end.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.listener != nil {
		s.listener.stop()
	}
}

// Shutdown stops receiving, answers what has been received, sends at once those held replies that are due within a
// second, closes the Listener and returns nil when Serve has let go of everything. If ctx is done first, it closes at
// once, as Close does, and returns the context's error. Once called, the Server cannot be used again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	if s.listener == nil {
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

// Close ends the shards without answering what still waits or sending what is held, and returns when they have ended.
func (s *Server) Close() error {
	s.mu.Lock()
	for _, sh := range s.shards {
		sh.abandon.Store(true)
	}
	s.mu.Unlock()
	s.stop()
	if s.listener != nil {
		<-s.done
	}
	return nil
}

// Counts returns what became of the requests so far. Any goroutine may call it, at any time.
func (s *Server) Counts() exchange.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n exchange.Counts
	for _, sh := range s.shards {
		n.Add(sh.counters.Load())
	}
	return n
}

// wildcard tells whether addr stands for all of this host's addresses, of IPv6 and IPv4.
func wildcard(addr netip.Addr) bool { return !addr.IsValid() || addr == netip.IPv6Unspecified() }
