//go:build !linux || yesterday_portable

package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxPorts bounds the sockets, since each lane has its own here.
const maxPorts = 4096

// A generator is the sockets of a Bench, one for each lane with a goroutine that reads it, and one goroutine that sends.
type generator struct {
	load    *load
	server  netip.AddrPort
	conns   []*net.UDPConn // by socket, then by source
	sources int
	came    chan datagram
	ended   chan struct{}
	readers sync.WaitGroup
	buffer  []byte

	refused, unreachable atomic.Uint64
	failures             int
	reason               error // why a request was last not sent
	sent, answered       atomic.Uint64
}

// A datagram is what a socket received.
type datagram struct {
	socket, source int
	data           []byte
	at             time.Time
}

func newGenerator(b *Bench, l *load) (*generator, error) {
	g := &generator{load: l, server: b.Server, sources: b.sources(), came: make(chan datagram, 4096), ended: make(chan struct{})}
	if n := b.Sockets * g.sources; n > maxPorts {
		return nil, fmt.Errorf("%d ports from %d addresses make %d sockets, want at most %d on this system", b.Sockets, g.sources, n, maxPorts)
	}
	for socket := range b.Sockets {
		for source := range g.sources {
			var local *net.UDPAddr
			if len(b.Sources) > 0 {
				local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(b.Sources[source], 0))
			}
			conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(b.Server))
			if err != nil {
				g.close()
				return nil, err
			}
			conn.SetReadBuffer(1 << 20) // less is no failure
			g.conns = append(g.conns, conn)
			g.readers.Go(func() { g.read(conn, socket, source) })
		}
	}
	return g, nil
}

func (g *generator) close() {
	close(g.ended)
	for _, c := range g.conns {
		c.Close()
	}
	g.readers.Wait()
}

// counts is how many requests were sent and how many answered so far. Any goroutine may ask.
func (g *generator) counts() (sent, answered uint64) { return g.sent.Load(), g.answered.Load() }

// read passes on what comes to a socket until it is closed.
func (g *generator) read(conn *net.UDPConn, socket, source int) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buffer)
		at := time.Now()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case refused(err):
			g.refused.Add(1)
			continue
		case unreachable(err):
			g.unreachable.Add(1)
			continue
		case err != nil:
			return // what it would have received is lost, and counted so
		}
		select {
		case g.came <- datagram{socket, source, append([]byte(nil), buffer[:n]...), at}:
		case <-g.ended:
			return
		}
	}
}

// run puts the server under load.
func (g *generator) run(ctx context.Context) (BenchReport, error) {
	busy, err := g.loop(ctx)
	return BenchReport{Refused: g.refused.Load(), Unreachable: g.unreachable.Load(), Reason: g.reason, Busy: busy}, err
}

// loop sends and takes in until the run is over, and returns for which share of the time until the last request had left it had
// something to do.
func (g *generator) loop(ctx context.Context) (busy float64, err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var idle, sending int64
	for {
		now := g.now()
		if ctx.Err() != nil {
			g.load.stop(now)
		}
		g.load.matcher.expire(now)
		did, err := g.send(now)
		if err != nil {
			return 1 - float64(idle)/float64(cmp.Or(sending, max(now, 1))), err
		}
		g.sent.Store(g.load.matcher.sent)
		g.answered.Store(g.load.matcher.counts[answered])
		if sending == 0 && !g.load.more(now) {
			sending = max(now, 1)
		}
		if g.load.done(now) {
			return 1 - float64(idle)/float64(sending), nil
		}
		wait := time.Duration(0)
		if !did {
			wait = time.Duration(g.load.wake(now) - now)
		}
		timer.Reset(wait)
		select {
		case d := <-g.came:
			g.take(d)
		case <-ctx.Done():
		case <-timer.C:
		}
		for more := true; more; { // what else is there
			select {
			case d := <-g.came:
				g.take(d)
			default:
				more = false
			}
		}
		if !did && sending == 0 {
			idle += g.now() - now
		}
	}
}

func (g *generator) now() int64 { return int64(time.Since(g.load.epoch)) }

func (g *generator) take(d datagram) {
	g.load.reply(d.socket, d.source, d.data, true, int64(d.at.Sub(g.load.epoch)), g.now())
}

// send sends the requests that are due, at most a batch, and tells whether there was one.
func (g *generator) send(now int64) (bool, error) {
	n := g.load.ready(now)
	for range n {
		g.buffer = g.load.request(g.buffer[:0], 0)
		socket, source := g.load.from(0)
		conn := g.conns[int(socket)*g.sources+int(source)]
		handed := g.now()
		_, err := conn.Write(g.buffer)
		if refused(err) { // that was said of an earlier one
			g.refused.Add(1)
			_, err = conn.Write(g.buffer)
		}
		if unreachable(err) { // this may be of an earlier one too
			g.unreachable.Add(1)
			_, err = conn.Write(g.buffer)
		}
		if err == nil {
			g.failures = 0
			g.load.sent(1, handed)
			continue
		}
		g.load.refuse(handed)
		g.reason = err
		if g.failures++; g.failures >= 64 {
			return false, fmt.Errorf("send to %v: %w", g.server, err)
		}
	}
	return n > 0, nil
}

// unreachable tells whether err is the network's word that it cannot reach the host. Windows has numbers of its own.
func unreachable(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EHOSTUNREACH, syscall.ENETUNREACH, 10051, 10065} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
