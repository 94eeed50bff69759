package tcp

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// A crowd is a Server whose connections are what they are to be, one after the other.
type crowd struct {
	*testing.T
	server *Server
	addr   netip.AddrPort
	next   chan exchange.Handler
}

func newCrowd(t *testing.T, maxConns int) *crowd {
	c := &crowd{T: t, next: make(chan exchange.Handler, 1)}
	c.server = &Server{Stream: true, MaxConns: maxConns, IdleTimeout: time.Hour,
		Handler: exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			return (<-c.next).Serve(p, r)
		})}
	c.addr, _ = serve(t, c.server)
	return c
}

// join opens a connection that h is to meet.
func (c *crowd) join(h exchange.Handler) *net.TCPConn {
	c.Helper()
	c.next <- h
	conn := dial(c.T, c.addr)
	for len(c.next) > 0 {
		runtime.Gosched()
	}
	return conn
}

// refused opens a connection that h is to meet, and that finds no place.
func (c *crowd) refused(h exchange.Handler) {
	c.Helper()
	c.next <- h
	if conn, ok := greeted(c.addr, 1); ok {
		conn.Close()
		c.Error("one more was greeted")
	}
}

// want says how many wait, are silent, and are open in all.
func (c *crowd) want(delayed, silent, open int) {
	c.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		c.server.mu.Lock()
		p := &c.server.places
		d, s, o := p.delayed, p.silent.Len(), len(p.open)
		c.server.mu.Unlock()
		if d == delayed && s == silent && o == open {
			return
		}
		if time.Now().After(end) {
			c.Fatalf("%d wait, %d are silent, %d are open, want %d, %d, %d", d, s, o, delayed, silent, open)
		}
	}
}

// greeted says that conn was greeted; ended, that the server has closed it; quiet, that neither has happened.
func (c *crowd) greeted(conn net.Conn) {
	c.Helper()
	if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil {
		c.Errorf("not greeted: %v", err)
	}
}

func (c *crowd) ended(conn net.Conn) {
	c.Helper()
	if n, err := conn.Read(make([]byte, 2)); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.Errorf("read %d bytes, %v, want the end", n, err)
	}
}

func (c *crowd) quiet(conn net.Conn) {
	c.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := conn.Read(make([]byte, 2)); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.Errorf("read %d bytes, %v, want silence", n, err)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
}

func (c *crowd) full(n uint64) {
	c.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() { // it is counted once it is closed
		got := c.server.Counts().Verdicts[exchange.Full]
		if got == n {
			return
		}
		if got > n || time.Now().After(end) {
			c.Fatalf("full: %d, want %d", got, n)
		}
	}
}

// The silent take half of the places at most, the newest of them, whether or not their askers have gone.
func TestSilentTakeHalf(t *testing.T) {
	c := newCrowd(t, 8)
	var all []*net.TCPConn
	for i := range 50 {
		conn := c.join(mute)
		switch i % 3 {
		case 1:
			conn.CloseWrite()
		case 2:
			if i < 40 {
				conn.Close()
			}
		}
		all = append(all, conn)
		c.want(0, min(i+1, 4), min(i+1, 4))
	}
	for i, conn := range all {
		switch {
		case i >= 46:
			c.quiet(conn)
		case i%3 != 2:
			c.ended(conn)
		}
	}
	for range 4 {
		c.greeted(c.join(saying("hi")))
	}
	c.want(0, 4, 8)
	c.full(0)
	c.server.Close()
	if n := c.server.Counts(); n.Verdicts[exchange.Fault] != 50 || n.Answered() != 4 {
		t.Errorf("counts %v, want 50 faults and 4 answered", n.Verdicts)
	}
}

// Who is closed for another leaves no goroutine behind, though the asker has sent the last byte.
func TestEvictedEnd(t *testing.T) {
	c := newCrowd(t, 2)
	before := runtime.NumGoroutine()
	for range 50 {
		c.join(mute).CloseWrite()
	}
	c.want(0, 1, 1)
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before+5; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
		}
	}
}

// An answer's connection gets the place of one that is silent, the longest so, and is never closed for another.
func TestHealthyBeforeSilent(t *testing.T) {
	c := newCrowd(t, 4)
	first, second := c.join(mute), c.join(mute)
	var healthy []*net.TCPConn
	for range 4 {
		conn := c.join(saying("hi"))
		c.greeted(conn)
		healthy = append(healthy, conn)
		if len(healthy) == 3 {
			c.ended(first)
			c.quiet(second)
		}
	}
	c.ended(second)
	c.want(0, 0, 4)
	for _, h := range []exchange.Handler{saying("hi"), mute, late(time.Hour)} {
		c.refused(h)
	}
	c.full(3)
	for _, conn := range healthy {
		c.quiet(conn)
	}
}

// Who waits for a delay is counted with the silent, and before them, and is not closed for another.
func TestDelayedTakeHalf(t *testing.T) {
	c := newCrowd(t, 4)
	muted := c.join(mute)
	var waiting []*net.TCPConn
	for range 2 {
		conn := c.join(late(time.Hour))
		waiting = append(waiting, conn)
	}
	c.ended(muted)
	c.want(2, 0, 2)
	c.refused(late(time.Hour))
	c.refused(mute)
	c.full(2)
	c.greeted(c.join(saying("hi")))
	c.greeted(c.join(saying("hi")))
	c.refused(saying("hi"))
	c.full(3)
	for _, conn := range waiting {
		c.quiet(conn)
	}
	waiting[0].SetLinger(0)
	waiting[0].Close() // gives up the place
	c.want(1, 0, 3)
	c.join(mute)
	c.want(1, 1, 4)
}

// Once answered, who has waited is as others are.
func TestDelayEnds(t *testing.T) {
	c := newCrowd(t, 2)
	first := c.join(late(time.Millisecond))
	c.greeted(first)
	c.want(0, 0, 1)
	c.join(late(time.Hour))
	c.want(1, 0, 2)
	c.refused(saying("hi"))
	c.full(1)
	first.Close()
	c.want(1, 0, 1)
}

// A single place is one for all, but a silent one gives it up.
func TestOnePlace(t *testing.T) {
	c := newCrowd(t, 1)
	first := c.join(mute)
	second := c.join(mute)
	c.ended(first)
	third := c.join(late(time.Hour))
	c.ended(second)
	c.refused(saying("hi"))
	c.quiet(third)
	c.want(1, 0, 1)
	c.full(1)
	none := newCrowd(t, -1)
	none.refused(mute)
	none.full(1)
}

// Without a number there are 1,024 places.
func TestDefaultPlaces(t *testing.T) {
	s := new(Server)
	for i := range 1024 {
		if !s.enter(new(place)) {
			t.Fatalf("%d places", i)
		}
	}
	if s.enter(new(place)) {
		t.Error("one more")
	}
}

// A Server that is closed has no places.
func TestNoPlacesAtTheEnd(t *testing.T) {
	s := new(Server)
	s.stop(false)
	if s.enter(new(place)) {
		t.Error("there is one")
	}
}
