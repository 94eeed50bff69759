//go:build !yesterday_portable

package udp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/exchange"
)

// later is a moment at which all is due that these tests hold.
func later() time.Time { return time.Now().Add(2 * time.Hour) }

// delayed answers as echo does, an hour later, with a copy.
var delayed = exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	p.Delay, p.Copies = time.Hour, 1
	return echo.Serve(p, r)
})

// receive turns s until something has been received.
func receive(t *testing.T, s *shard) {
	t.Helper()
	for {
		n, err := s.turn()
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
}

func TestHoldingAllocatesNothing(t *testing.T) {
	tap := exchange.NewTap()
	onEach(t, func(t *testing.T, addr netip.AddrPort) {
		s, conn := still(t, addr, tap.Ring())
		s.handler = delayed
		data, reply := []byte("hello"), make([]byte, 16)
		if n := testing.AllocsPerRun(500, func() {
			conn.Write(data)
			conn.Write(data)
			for held := 0; held < 2; {
				if err := s.wait(); err != nil { // for two hours at most, but a datagram is there
					t.Fatal(err)
				}
				n, err := s.turn()
				if err != nil {
					t.Fatal(err)
				}
				held += n
			}
			if len(s.held.heap) != 4 {
				t.Fatalf("%d are held, want 4", len(s.held.heap))
			}
			if !s.sendDue(later()) {
				t.Fatal("not all were sent")
			}
			s.publish()
			for range 4 {
				conn.Read(reply)
			}
		}); n != 0 {
			t.Errorf("%v allocations a batch", n)
		}
		if got := s.counters.Load().Verdicts[exchange.Answer]; got != 2*501 {
			t.Errorf("%d answered, want %d", got, 2*501)
		}
	})
}

// The reply to a datagram sent to one of many addresses leaves from it, later too, and when others were asked meanwhile.
func TestHeldReplyAddress(t *testing.T) {
	s, _ := still(t, netip.MustParseAddrPort("0.0.0.0:0"), nil)
	s.handler = delayed
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"}
	var conns []*net.UDPConn
	for _, host := range hosts {
		// A connected socket hears nobody but whom it asked.
		conn := dial(t, netip.AddrPortFrom(netip.MustParseAddr(host), s.port))
		write(t, conn, host)
		receive(t, s)
		conns = append(conns, conn)
	}
	s.sendDue(later())
	for i, host := range hosts {
		if got := read(t, conns[i], 2); !slices.Equal(got, []string{host, host}) {
			t.Errorf("%s: replies %q", host, got)
		}
	}
}

// However much there is to receive, what is due goes out in each turn; and also where there is nothing to receive.
func TestDueInEachTurn(t *testing.T) {
	s, conn := still(t, loopback, nil)
	const requests = 2*batchSize + 1
	for i := range requests {
		write(t, conn, fmt.Sprint(i))
	}
	var to destination
	client := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&to.name))
	sa.Family, sa.Addr, to.namelen = unix.AF_INET, client.Addr().As4(), unix.SizeofSockaddrInet4
	binary.BigEndian.PutUint16(to.name[2:], client.Port())
	for received, last := 0, -1; received < requests || last != 0; received += last {
		p := exchange.Reply{Data: []byte("due"), Delay: 1, Copies: 1}
		if !s.held.hold(time.Now().Add(-time.Hour), &p, new(exchange.Record), &to) {
			t.Fatal("full")
		}
		answered := s.counters.Local.Answered()
		var err error
		if last, err = s.turn(); err != nil {
			t.Fatal(err)
		}
		// Both are sent, and the copy does not count.
		if got, want := s.counters.Local.Answered()-answered, uint64(last+1); len(s.held.heap) != 0 || got != want {
			t.Errorf("%d answered and %d are held, want %d and none", got, len(s.held.heap), want)
		}
	}
}

// Many that are due at once do not keep a shard from looking at its socket.
func TestDueBatches(t *testing.T) {
	s, conn := still(t, loopback, nil)
	s.handler = delayed
	const requests = dueBatches*batchSize/2 + 1
	for range requests {
		write(t, conn, "x")
		receive(t, s)
	}
	if all := s.sendDue(later()); all || len(s.held.heap) != 2 {
		t.Errorf("all sent: %v, %d are held, want 2", all, len(s.held.heap))
	}
	if all := s.sendDue(later()); !all || len(s.held.heap) != 0 {
		t.Errorf("all sent: %v, %d are held, want none", all, len(s.held.heap))
	}
	if got := s.counters.Local.Answered(); got != requests {
		t.Errorf("%d answered, want %d", got, requests)
	}
}

// A shard that sleeps wakes when a reply is due, and not before.
func TestWaitEndsWhenDue(t *testing.T) {
	s, conn := still(t, loopback, nil)
	for _, failures := range []int{0, batchSize + 1} {
		s.failures = failures
		for _, delay := range []time.Duration{3 * time.Millisecond, -time.Hour} {
			p := exchange.Reply{Data: []byte("x"), Delay: time.Hour}
			s.held.hold(time.Now().Add(delay-time.Hour), &p, new(exchange.Record), new(destination))
			due := s.held.next()
			woken := make(chan error, 1)
			go func() { woken <- s.wait() }()
			select {
			case err := <-woken:
				if err != nil || time.Now().Before(due) {
					t.Errorf("%v, %v before it is due", err, time.Until(due))
				}
			case <-time.After(patience):
				t.Fatal("it sleeps on")
			}
			s.held.release(s.held.first())
		}
	}
	// A reply that is due much later does not make it sleep longer, nor longer than a system call can wait.
	p := exchange.Reply{Data: []byte("x"), Delay: 1<<63 - 1}
	s.held.hold(time.Now(), &p, new(exchange.Record), new(destination))
	for _, s.failures = range []int{batchSize + 1, 0} {
		if s.failures == 0 {
			write(t, conn, "x")
		}
		woken := make(chan error, 1)
		go func() { woken <- s.wait() }()
		select {
		case err := <-woken:
			if err != nil {
				t.Errorf("with a reply due in centuries: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("it sleeps on")
		}
	}
}

// At a stop what is due within a second goes out, and what is due later does not.
func TestDrainSendsWhatIsDueSoon(t *testing.T) {
	for try := 1; try <= 100; try++ {
		s, _ := still(t, loopback, nil)
		before := time.Now()
		for _, due := range []time.Duration{-time.Hour, 900 * time.Millisecond, 1900 * time.Millisecond, time.Hour} {
			p := exchange.Reply{Data: []byte("x"), Delay: time.Hour}
			s.held.hold(before.Add(due-time.Hour), &p, new(exchange.Record), new(destination))
		}
		if err := s.drain(); err != nil {
			t.Fatal(err)
		}
		if time.Since(before) >= 900*time.Millisecond {
			continue // the third may have been due within a second
		}
		if len(s.held.heap) != 2 {
			t.Errorf("%d are held, want the last two", len(s.held.heap))
		}
		return
	}
	t.Error("a drain takes too long")
}

// What is held when a socket breaks is counted.
func TestHeldAreCountedAtTheEnd(t *testing.T) {
	tap := exchange.NewTap()
	s, conn := still(t, loopback, tap.Ring())
	s.handler = delayed
	write(t, conn, "x", "y")
	receive(t, s)
	for len(s.held.heap) < 4 {
		receive(t, s)
	}
	s.fd = -1
	if err := s.run(); err == nil {
		t.Error("a broken socket is no error")
	}
	if n := s.counters.Load(); n.Verdicts[exchange.Unsent] != 2 || n.Dropped() != 2 {
		t.Errorf("counts %v", n.Verdicts)
	}
	if told := records(t, tap); len(told) != 2 || told[1].Verdict != exchange.Unsent {
		t.Errorf("records %+v", told)
	}
}

// BenchmarkHeld holds back one reply and a copy, and sends them.
func BenchmarkHeld(b *testing.B) {
	s, conn := still(b, loopback, nil)
	s.handler = delayed
	data, reply := []byte("hello"), make([]byte, 16)
	for b.Loop() {
		conn.Write(data)
		s.turn()
		s.sendDue(later())
		conn.Read(reply)
		conn.Read(reply)
	}
}
