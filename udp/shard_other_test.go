//go:build !linux || yesterday_portable

package udp

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

func TestHoldingAllocatesNothing(t *testing.T) {
	l, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn := dial(t, l.Addr())
	from := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s := newShard(l, 0, "echo", exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		p.Delay, p.Copies = time.Hour, 1
		return echo.Serve(p, r)
	}), exchange.NewTap().Ring())
	data, reply := []byte("hello"), make([]byte, 16)
	if n := testing.AllocsPerRun(500, func() {
		s.serve(data, from, time.Now())
		s.sendDue(time.Now())
		if len(s.held.heap) != 2 {
			t.Fatalf("%d are held, want 2", len(s.held.heap))
		}
		s.sendDue(time.Now().Add(2 * time.Hour))
		conn.Read(reply)
		conn.Read(reply)
	}); n != 0 {
		t.Errorf("%v allocations a reply", n)
	}
	if got := s.counters.Load().Verdicts[exchange.Answer]; got != 501 {
		t.Errorf("%d answered, want 501", got)
	}
}

// A deadline for a held reply does not undo that of a stop, whichever is set first.
func TestDeadlines(t *testing.T) {
	l, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	due := time.Now().Add(time.Hour)
	l.setDeadline(due)
	if !l.deadline.Equal(due) {
		t.Errorf("deadline %v, want %v", l.deadline, due)
	}
	l.stop()
	for _, due := range []time.Time{due, {}, time.Now().Add(time.Hour)} {
		l.setDeadline(due)
		if !l.deadline.Equal(*l.until.Load()) {
			t.Errorf("deadline %v after a stop, want %v", l.deadline, *l.until.Load())
		}
	}
	if _, _, err := l.conn.ReadFromUDPAddrPort(make([]byte, 1)); err == nil {
		t.Error("a read after a stop")
	}
}

// A shard that waits for its turn to read wakes when its held reply is due, not before, and at least once not much later.
func TestDueWhileAnotherReads(t *testing.T) {
	const delay, late = 5 * time.Millisecond, 5 * time.Millisecond
	l, err := Listen(loopback, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newShard(l, 0, "echo", echo, nil)
	l.reading <- struct{}{} // the other
	p := exchange.Reply{Data: []byte("x"), Delay: delay}
	least := time.Hour
	for try := 0; try < 20 || least >= delay+late && try < 400; try++ {
		before := time.Now()
		s.held.hold(before, &p, new(exchange.Record), new(destination))
		if _, _, err := s.receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		took := time.Since(before)
		if took < delay {
			t.Fatalf("it wakes after %v, want %v at least", took, delay)
		}
		least = min(least, took)
		s.held.release(s.held.first())
	}
	if least >= delay+late {
		t.Errorf("it never woke before %v, want once before %v", least, delay+late)
	}
}
