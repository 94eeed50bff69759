package timetest

import (
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// maxDatagram is what UDP carries over IPv4, in bytes.
const maxDatagram = 65535 - 20 - 8

// A datagramConn is a connected socket of UDP in memory.
type datagramConn struct {
	conn
	handler exchange.Handler
	inbox   []arrival // the first due first; of those due at once, the first sent
}

// An arrival is a datagram on its way back, or the system's word that nobody took what was sent.
type arrival struct {
	due  time.Time
	data []byte
	err  error
}

// Write has the server handle one datagram.
func (c *datagramConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	err := c.usable(c.writeEnd)
	c.mu.Unlock()
	if err == nil && len(b) > maxDatagram {
		err = os.NewSyscallError("write", syscall.EMSGSIZE)
	}
	if err != nil {
		return 0, c.failed("write", err)
	}
	if c.memory.hasEnded() {
		c.arrive(arrival{due: time.Now(), err: os.NewSyscallError("read", syscall.ECONNREFUSED)}, 1)
		return len(b), nil
	}
	var p exchange.Reply
	if c.handler.Serve(&p, c.request(b)) == exchange.Answer {
		c.arrive(arrival{due: time.Now().Add(p.Delay), data: p.Data}, 1+p.Copies)
	}
	return len(b), nil
}

// arrive puts n times a into the inbox.
func (c *datagramConn) arrive(a arrival, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := len(c.inbox)
	for i > 0 && c.inbox[i-1].due.After(a.due) {
		i--
	}
	c.inbox = slices.Insert(c.inbox, i, slices.Repeat([]arrival{a}, n)...)
	c.wake()
}

// Read gives one datagram, cut to what b holds.
func (c *datagramConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.usable(c.readEnd); err != nil {
			return 0, c.failed("read", err)
		}
		if len(b) == 0 {
			return 0, nil
		}
		if len(c.inbox) == 0 {
			c.wait(c.readEnd)
			continue
		}
		a := c.inbox[0]
		if !reached(a.due) {
			c.wait(c.readEnd, a.due)
			continue
		}
		c.inbox = slices.Delete(c.inbox, 0, 1)
		if a.err != nil {
			return 0, c.failed("read", a.err)
		}
		return copy(b, a.data), nil
	}
}

// end sends what is due soon, and never the rest.
func (c *datagramConn) end(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox = slices.DeleteFunc(c.inbox, func(a arrival) bool { return a.due.Sub(now) > dueSoon })
	for i := range c.inbox {
		if c.inbox[i].due.After(now) {
			c.inbox[i].due = now
		}
	}
	c.wake()
}
