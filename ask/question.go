package ask

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// maxLine is how long a daytime line may be, in bytes; RFC 867 only says that it is likely to be short.
const maxLine = 512

// A question is one call of a Client: what is asked, of whom, how patiently.
type question struct {
	service   service.Kind
	send      []byte
	transport Transport
	servers   []netip.AddrPort // in the order in which they are asked
	timeout   time.Duration    // of the first try
	tries     int
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	now       func() time.Time // real time

	// What has been done so far.
	begun    time.Time // by the host's clock
	attempts int
	dropped  []ServerError // refused or out of reach
	strays   int
	stray    []byte        // the last one
	passed   *Answer       // of NTP, the stray to tell of if nothing better comes
	cookie   ntp.Timestamp // of NTP, the one that was sent for the answer
	failed   error         // how the last connection failed
}

// set takes over the client's settings.
func (q *question) set(c *Client) error {
	q.transport, q.timeout, q.tries, q.dial, q.now = c.Transport, c.Timeout, c.Tries, c.Dial, c.Now
	if q.timeout == 0 {
		q.timeout = time.Second
	}
	if q.tries == 0 {
		q.tries = 3
	}
	if q.dial == nil {
		q.dial = new(net.Dialer).DialContext
	}
	if q.now == nil {
		q.now = time.Now
	}
	switch {
	case q.timeout < 0:
		return fmt.Errorf("ask: time-out is %v, want more than 0, or 0 for 1s", q.timeout)
	case q.tries < 0:
		return fmt.Errorf("ask: tries are %d, want 1 or more, or 0 for 3", q.tries)
	case q.transport != UDP && q.transport != TCP:
		return fmt.Errorf("ask: transport is %v, want UDP or TCP", q.transport)
	case q.transport == TCP && !q.service.OverTCP():
		return fmt.Errorf("ask: transport is %v, want UDP: %v over TCP is no standard", q.transport, q.service)
	case c.Samples < 0:
		return fmt.Errorf("ask: samples are %d, want 1 or more, or 0 for 1", c.Samples)
	case c.Interval < 0:
		return fmt.Errorf("ask: interval is %v, want more than 0, or 0 for 100ms or 2s", c.Interval)
	}
	q.begun = time.Now()
	return nil
}

// patience is how long the given try, from 0, waits for a reply.
func (q *question) patience(try int) time.Duration {
	most := max(q.timeout, time.Minute)
	d := q.timeout
	for range try {
		if d >= most/2 {
			return most
		}
		d *= 2
	}
	return d
}

// check says what is wrong with a reply of any service but NTP.
func (q *question) check(reply []byte) error {
	switch q.service {
	case service.Time:
		_, err := rfc868.Parse(reply)
		return err
	case service.Daytime:
		if n := len(reply); n == 0 || n > maxLine {
			return fmt.Errorf("rfc867: reply has %d bytes, want a line of 1 to %d", n, maxLine)
		}
	case service.Echo:
		if !bytes.Equal(reply, q.send) {
			return fmt.Errorf("echo: reply is %s, want what was sent, %s", shown(reply), shown(q.send))
		}
	}
	return nil
}

// drop gives up on a server that refused or is out of reach. It returns an error once no server is left.
func (q *question) drop(server netip.AddrPort, err error) error {
	q.dropped = append(q.dropped, ServerError{server, err})
	if len(q.dropped) < len(q.servers) {
		return nil
	}
	for _, e := range q.dropped {
		if refused(e.Err) {
			return &RefusedError{q.service, q.transport, q.dropped}
		}
	}
	return &UnreachableError{q.service, q.transport, q.dropped}
}

// silent is the error after the last try, or where ctx ended before it.
func (q *question) silent(ctx context.Context) error {
	e := &NoReplyError{
		Service:   q.service,
		Transport: q.transport,
		Dropped:   q.dropped,
		Attempts:  q.attempts,
		Took:      time.Since(q.begun),
		Strays:    q.strays,
		Stray:     q.stray,
		Err:       q.failed,
	}
	if ctx.Err() != nil {
		e.Err = context.Cause(ctx)
	}
	for _, s := range q.servers {
		if !e.hasDropped(s) {
			e.Servers = append(e.Servers, s)
		}
	}
	return e
}

// bad is the error for a reply that check found wrong.
func (q *question) bad(server netip.AddrPort, reply []byte, err error) error {
	return &BadReplyError{q.service, q.transport, server, reply, err}
}

// shown quotes bytes for an error, the first 32 where there are more.
func shown(b []byte) string {
	const most = 32
	if len(b) > most {
		return fmt.Sprintf("%q… (%d bytes)", b[:most], len(b))
	}
	return fmt.Sprintf("%q", b)
}
