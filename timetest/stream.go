package timetest

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

const (
	// idleFor and drainFor are how long a connection may be silent, and how long the server goes on to read one that it has
	// answered: as in package tcp.
	idleFor  = 30 * time.Second
	drainFor = time.Second

	// window is how many bytes are on their way until somebody reads them.
	window = 256 << 10
)

// A streamConn is a connection of TCP in memory. What the server does at it follows from the times below, so nobody has to do
// it: whoever reads or writes looks at them.
type streamConn struct {
	conn
	echo   bool // what is written comes back
	silent bool // it is read and not answered
	half   bool // CloseWrite was called

	unread []byte    // sent by the server, from begin on
	begin  time.Time // a Delay's end
	fin    time.Time // the server sends no more; not before begin
	gone   time.Time // the server takes no more; not before fin
}

// greet hears the Handler on the new connection.
func (c *streamConn) greet(h exchange.Handler, echo bool) {
	var p exchange.Reply
	r := c.request(nil)
	verdict := h.Serve(&p, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin = time.Now()
	if verdict != exchange.Answer {
		c.silent = true
		c.extend()
		return
	}
	c.begin = c.begin.Add(p.Delay)
	c.unread = p.Data
	if c.echo = echo; echo {
		c.extend()
		return
	}
	c.fin, c.gone = c.begin, c.begin.Add(drainFor)
}

// extend gives the connection another while of silence.
func (c *streamConn) extend() {
	c.fin = c.begin
	if now := time.Now(); now.After(c.fin) {
		c.fin = now
	}
	c.fin = c.fin.Add(idleFor)
	c.gone = c.fin
	if !c.silent {
		c.gone = c.gone.Add(drainFor)
	}
}

// Read gives what the server sent, as much as is there.
func (c *streamConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.usable(c.readEnd); err != nil {
			return 0, c.failed("read", err)
		}
		switch {
		case len(b) == 0:
			return 0, nil
		case len(c.unread) == 0 && reached(c.fin):
			return 0, io.EOF
		case len(c.unread) == 0:
			c.wait(c.readEnd, c.fin)
		case !reached(c.begin):
			c.wait(c.readEnd, c.begin)
		default:
			n := copy(b, c.unread)
			c.unread = c.unread[n:]
			c.wake() // there is room
			return n, nil
		}
	}
}

// Write has the server read b, and waits where it has no room for all of it.
func (c *streamConn) Write(b []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		err := c.usable(c.writeEnd)
		if err == nil && (c.half || reached(c.gone)) {
			err = os.NewSyscallError("write", syscall.EPIPE)
		}
		switch {
		case err != nil:
			return n, c.failed("write", err)
		case reached(c.fin): // read, and no more
			return len(b), nil
		case n == len(b):
			return n, nil
		case c.silent:
			n = len(b)
			c.extend()
		case !c.echo: // not answered yet
			n = len(b)
		case len(c.unread) == window:
			c.wait(c.writeEnd, c.fin)
		default:
			more := b[n:min(n+window-len(c.unread), len(b))]
			c.unread = append(c.unread, more...)
			n += len(more)
			c.extend()
			c.wake()
		}
	}
}

// CloseWrite ends what the client sends; what the server still has to send can be read, and its silence lasts.
func (c *streamConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed("close", net.ErrClosed)
	}
	c.half = true
	if c.silent { // as long as if this were bytes
		if !reached(c.fin) {
			c.extend()
		}
		return nil
	}
	c.finish(time.Now())
	return nil
}

// finish ends what the server sends, now or once a Delay is over. mu is held.
func (c *streamConn) finish(now time.Time) {
	if now.Before(c.begin) {
		now = c.begin
	}
	if now.Before(c.fin) {
		c.fin = now
	}
	c.gone = c.fin
	c.wake()
}

// end sends what is due soon, or else nothing, and closes the server's end.
func (c *streamConn) end(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begin.Sub(now) > dueSoon {
		c.unread = nil
	}
	if c.begin.After(now) {
		c.begin = now
	}
	c.finish(now)
}
