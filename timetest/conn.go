package timetest

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// A conn is what connections in memory have in common: their addresses, their end, and their deadlines.
type conn struct {
	memory        *memory
	network       string
	local, remote netip.AddrPort

	mu       sync.Mutex
	changed  chan struct{} // closed, and made anew, when those who wait are to look again
	closed   bool
	readEnd  time.Time // the deadlines; zero: none
	writeEnd time.Time
}

func (c *conn) LocalAddr() net.Addr  { return addrOf(c.network, c.local) }
func (c *conn) RemoteAddr() net.Addr { return addrOf(c.network, c.remote) }

// Close frees the local port, and ends every Read and Write.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.failed("close", net.ErrClosed)
	}
	c.closed = true
	c.wake()
	c.mu.Unlock()
	c.memory.leave(c.local.Port())
	return nil
}

func (c *conn) SetDeadline(t time.Time) error      { return c.setDeadlines(t, &c.readEnd, &c.writeEnd) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.readEnd) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writeEnd) }

func (c *conn) setDeadlines(t time.Time, deadlines ...*time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		*d = t
	}
	c.wake()
	return nil
}

// request is what the server makes of data that c brings.
func (c *conn) request(data []byte) *exchange.Request {
	return &exchange.Request{Data: data, From: c.local, To: c.remote, Received: time.Now().Round(0).UTC()}
}

// failed dresses an error as package net does.
func (c *conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// usable tells why nothing can be read or written, be it there or not. mu is held.
func (c *conn) usable(deadline time.Time) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case !deadline.IsZero() && reached(deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// reached tells whether t has come.
func reached(t time.Time) bool { return !time.Now().Before(t) }

// wake makes all who wait look again. mu is held.
func (c *conn) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait lets go of mu until something has changed, or the first of the times has come; a zero time never does.
func (c *conn) wait(times ...time.Time) {
	changed := c.changed
	c.mu.Unlock()
	defer c.mu.Lock()
	var first time.Time
	for _, t := range times {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	var come <-chan time.Time
	if !first.IsZero() {
		timer := time.NewTimer(time.Until(first))
		defer timer.Stop()
		come = timer.C
	}
	select {
	case <-changed:
	case <-come:
	}
}
