package udp

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/ipv6"
)

// planned answers a datagram such as "20ms 2 whatever" with itself, a delay of 20 ms and two copies, and any other at once.
var planned = exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	var delay string
	if _, err := fmt.Sscan(string(r.Data), &delay, &p.Copies); err == nil {
		p.Delay, _ = time.ParseDuration(delay)
	}
	if p.Delay > 0 {
		p.Notes |= exchange.FaultDelay
	}
	if p.Copies > 0 {
		p.Notes |= exchange.FaultDuplicate
	}
	r.Clock = clock.Offset(-time.Hour)
	p.Data = append(p.Data, r.Data...)
	p.Told = r.Received.Add(-time.Hour)
	return exchange.Answer
})

func newPlanned(int) exchange.Handler { return planned }

// read returns the next n datagrams.
func read(t *testing.T, conn *net.UDPConn, n int) (got []string) {
	t.Helper()
	buf := make([]byte, 64)
	for len(got) < n {
		k, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, string(buf[:k]))
	}
	return got
}

// noMore fails where another datagram has come.
func noMore(t *testing.T, conn *net.UDPConn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	buf := make([]byte, 64)
	if n, err := conn.Read(buf); !os.IsTimeout(err) {
		t.Errorf("there is also %q, %v", buf[:n], err)
	}
}

func write(t *testing.T, conn *net.UDPConn, all ...string) {
	t.Helper()
	for _, data := range all {
		if _, err := conn.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
}

// records returns all that tap has.
func records(t *testing.T, tap *exchange.Tap) (told []exchange.Record) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tap.Run(ctx, func(batch []exchange.Record, _ uint64) { told = append(told, batch...) })
	return told
}

// No reply comes before its time, all come, and of each it is told once.
func TestDelay(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			tap := exchange.NewTap()
			s := &Server{Service: "echo", Tap: tap, NewHandler: newPlanned}
			addr, _ := serve(t, s, loopback, shards)
			var conns []*net.UDPConn // each is one shard's
			asked := []string{"30ms 0", "-1h 0", "10ms 2", "0s -5", "20ms 0", "0s 1"}
			before := time.Now()
			for range 8 {
				conn := dial(t, addr)
				write(t, conn, asked...)
				conns = append(conns, conn)
			}
			for _, conn := range conns {
				count := make(map[string]int)
				buf := make([]byte, 64)
				for range 9 {
					n, err := conn.Read(buf)
					if err != nil {
						t.Fatalf("after %v: %v", count, err)
					}
					var delay string
					fmt.Sscan(string(buf[:n]), &delay)
					if d, _ := time.ParseDuration(delay); time.Since(before) < d {
						t.Errorf("%q after %v", buf[:n], time.Since(before))
					}
					count[string(buf[:n])]++
				}
				if count["10ms 2"] != 3 || count["0s 1"] != 2 || len(count) != len(asked) {
					t.Errorf("got %v", count)
				}
			}
			s.Close()
			for _, conn := range conns {
				noMore(t, conn)
			}
			n := s.Counts()
			if want := uint64(8 * len(asked)); n.Answered() != want || n.Dropped() != 0 {
				t.Errorf("%d answered, %d dropped, want %d and none", n.Answered(), n.Dropped(), want)
			}
			if got := maps.Collect(n.Noted()); len(got) != 2 || got[exchange.FaultDelay] != 24 || got[exchange.FaultDuplicate] != 16 {
				t.Errorf("notes %v, want 24 delays and 16 duplicates", got)
			}
			told := records(t, tap)
			if len(told) != 8*len(asked) {
				t.Fatalf("%d records", len(told))
			}
			for _, d := range told {
				if d.Verdict != exchange.Answer || d.Answered != d.Asked || d.Answered == 0 || d.To.Port() != addr.Port() ||
					d.Told != d.Received.Add(-time.Hour) || d.Service != "echo" || d.Transport != "udp" || d.Clock == nil ||
					!slices.ContainsFunc(conns, func(c *net.UDPConn) bool { return c.LocalAddr().(*net.UDPAddr).AddrPort() == d.From }) {
					t.Errorf("record %+v", d)
				}
			}
		})
	}
}

// Others overtake a delayed reply; when the server closes, it has not been sent.
func TestDelayedReplyIsOvertaken(t *testing.T) {
	tap := exchange.NewTap()
	s := &Server{Tap: tap, NewHandler: newPlanned}
	addr, _ := serve(t, s, loopback, 1)
	conn := dial(t, addr)
	write(t, conn, "1h 3")
	if got := ask(t, conn, []byte("now")); string(got) != "now" {
		t.Errorf("reply %q", got)
	}
	if n := s.Counts(); n.Dropped() != 0 {
		t.Errorf("counted before its time: %v", n.Verdicts)
	}
	s.Close()
	if n := s.Counts(); n.Answered() != 1 || n.Verdicts[exchange.Unsent] != 1 || n.Dropped() != 1 || n.Notes != [exchange.NumNotes]uint64{} {
		t.Errorf("counts %+v", n)
	}
	told := records(t, tap)
	if len(told) != 2 || told[0].Verdict != exchange.Answer {
		t.Fatalf("records %+v", told)
	}
	if d := told[1]; d.Verdict != exchange.Unsent || d.Asked != 4 || d.Answered != 0 || !d.Told.IsZero() || d.Notes != 0 || d.Clock == nil {
		t.Errorf("record %+v", d)
	}
}

// A stop sends at once what is due within a second, in the order in which it is due, and drops the rest.
func TestShutdownSendsWhatIsDueSoon(t *testing.T) {
	tap := exchange.NewTap()
	s := &Server{Tap: tap, NewHandler: newPlanned}
	addr, _ := serve(t, s, loopback, 1)
	conn := dial(t, addr)
	write(t, conn, "1s 1", "1h 0", "800ms 0", "1m 2", "600ms 0")
	ask(t, conn, []byte("now")) // behind them
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{"600ms 0", "800ms 0", "1s 1", "1s 1"}
	if got := read(t, conn, len(want)); !slices.Equal(got, want) {
		t.Errorf("replies %q, want %q", got, want)
	}
	noMore(t, conn)
	if n := s.Counts(); n.Answered() != 4 || n.Verdicts[exchange.Unsent] != 2 || n.Dropped() != 2 {
		t.Errorf("counts %v", n.Verdicts)
	}
	var unsent []int
	told := records(t, tap)
	for _, d := range told {
		if d.Verdict == exchange.Unsent {
			unsent = append(unsent, d.Asked)
		}
	}
	if len(told) != 6 || !slices.Equal(unsent, []int{4, 4}) {
		t.Errorf("%d records, unsent of %v bytes", len(told), unsent)
	}
}

// Close sends nothing of what is held, however soon it is due.
func TestCloseSendsNothingHeld(t *testing.T) {
	for try := 1; ; try++ {
		s := &Server{NewHandler: newPlanned}
		addr, _ := serve(t, s, loopback, 1)
		conn := dial(t, addr)
		before := time.Now()
		write(t, conn, "1s 1")
		ask(t, conn, []byte("now"))
		s.Close()
		if time.Since(before) >= time.Second && try < 10 {
			continue // it may have been due
		}
		noMore(t, conn)
		if n := s.Counts(); n.Verdicts[exchange.Unsent] != 1 || n.Answered() != 1 {
			t.Errorf("counts %v", n.Verdicts)
		}
		return
	}
}

// Where all of the asker's places are taken, a delayed reply is refused, with its copies; others are answered, without
// copies.
func TestFull(t *testing.T) {
	tap := exchange.NewTap()
	s := &Server{Tap: tap, NewHandler: newPlanned}
	addr, _ := serve(t, s, loopback, 1)
	conn := dial(t, addr)
	write(t, conn, fmt.Sprint("1h ", maxShare-2), "1h 1", "0s 2", "0s 1", "now")
	got := read(t, conn, 4) // the copy may be the last
	slices.Sort(got)
	if want := []string{"0s 1", "0s 1", "0s 2", "now"}; !slices.Equal(got, want) {
		t.Errorf("replies %q, want %q", got, want)
	}
	s.Close()
	noMore(t, conn)
	n := s.Counts()
	if n.Verdicts[exchange.Full] != 1 || n.Answered() != 3 || n.Verdicts[exchange.Unsent] != 1 || n.Uncopied != 2 || n.Notes[4] != 1 {
		t.Errorf("counts %+v, want one full, three answered, one with a copy and one without its two, one unsent", n)
	}
	full, bare := 0, 0
	for _, d := range records(t, tap) {
		switch {
		case d.Verdict == exchange.Full && d.Answered == 0 && d.Notes == 0 && d.Asked == 4:
			full++
		case d.Verdict == exchange.Answer && d.Answered == 4 && d.Notes == 0:
			bare++
		}
	}
	if full != 1 || bare != 1 {
		t.Errorf("%d records of it, and %d without copies, want 1 and 1", full, bare)
	}
}

// Once due, a reply does not wait longer on a shard that has nothing to do. A busy machine may hold up one, or many.
func TestHeldReplyIsNotLate(t *testing.T) {
	const delay, late = 5 * time.Millisecond, 5 * time.Millisecond
	for _, shards := range []int{1, 2} {
		addr, _ := serve(t, &Server{NewHandler: newPlanned}, loopback, shards)
		conn := dial(t, addr)
		conn.SetDeadline(time.Now().Add(6 * patience))
		least := time.Hour
		for try := 0; try < 20 || least >= delay+late && try < 400; try++ {
			before := time.Now()
			ask(t, conn, []byte("5ms 0"))
			took := time.Since(before)
			if took < delay {
				t.Fatalf("%d shards: a reply after %v, want %v at least", shards, took, delay)
			}
			least = min(least, took)
		}
		if least >= delay+late {
			t.Errorf("%d shards: no reply came before %v, want one before %v", shards, least, delay+late)
		}
	}
}

// A held reply that the system will not send is counted and told as such, once, and those behind it go out.
func TestHeldUnsent(t *testing.T) {
	tap := exchange.NewTap()
	s := &Server{Tap: tap, NewHandler: func(int) exchange.Handler {
		return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			v := planned.Serve(p, r)
			if strings.HasSuffix(string(r.Data), "much") {
				p.Data = append(p.Data, make([]byte, 70_000)...)
			}
			return v
		})
	}}
	addr, _ := serve(t, s, loopback, 1)
	conn := dial(t, addr)
	asked := []string{"1ms 1 much", "2ms 0 a", "3ms 0 much", "4ms 0 much", "5ms 1 b", "6ms 0 much", "7ms 0 c"}
	write(t, conn, asked...)
	got := read(t, conn, 4)
	slices.Sort(got)
	if want := []string{"2ms 0 a", "5ms 1 b", "5ms 1 b", "7ms 0 c"}; !slices.Equal(got, want) {
		t.Errorf("replies %q, want %q", got, want)
	}
	s.Close()
	noMore(t, conn)
	if n := s.Counts(); n.Answered() != 3 || n.Verdicts[exchange.Unsent] != 4 || n.Dropped() != 4 {
		t.Errorf("counts %v", n.Verdicts)
	}
	unsent := 0
	told := records(t, tap)
	for _, d := range told {
		if d.Verdict == exchange.Unsent && d.Answered == 0 && d.Told.IsZero() && d.Notes == 0 {
			unsent++
		}
	}
	if len(told) != len(asked) || unsent != 4 {
		t.Errorf("%d records, %d of them unsent, want %d and 4", len(told), unsent, len(asked))
	}
}

// Held replies go where the question came from, whatever it speaks.
func TestHeldSpeakBoth(t *testing.T) {
	s := &Server{NewHandler: newPlanned}
	addr, _ := serve(t, s, netip.AddrPort{}, 1)
	for _, second := range []string{"127.0.0.1", "::1"} {
		t.Run(second, func(t *testing.T) {
			if second == "::1" {
				ipv6.Need(t)
			}
			var conns []*net.UDPConn
			for i, host := range []string{"127.0.0.1", second, "127.0.0.1", second} {
				conns = append(conns, dial(t, netip.AddrPortFrom(netip.MustParseAddr(host), addr.Port())))
				write(t, conns[i], fmt.Sprint("5ms 1 ", i))
			}
			for i, conn := range conns {
				want := fmt.Sprint("5ms 1 ", i)
				if got := read(t, conn, 2); !slices.Equal(got, []string{want, want}) {
					t.Errorf("replies %q, want two of %q", got, want)
				}
			}
		})
	}
}

// A stop and replies that become due at the same moment do not make each other be missed.
func TestStopWhileRepliesAreDue(t *testing.T) {
	for i := range 20 {
		s := &Server{NewHandler: newPlanned}
		addr, ended := serve(t, s, loopback, 1+i%2)
		conn := dial(t, addr)
		for j := range 20 {
			write(t, conn, fmt.Sprintf("%dus 0", (i+j)%20*50))
		}
		write(t, conn, "5s 0")
		write(t, conn, "now")
		for read(t, conn, 1)[0] != "now" { // behind them: all were received
		}
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		select {
		case err := <-stopped:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("Shutdown does not return")
		}
		<-ended
		n := s.Counts()
		if got := n.Answered(); got != 21 || n.Verdicts[exchange.Unsent] != 1 || n.Dropped() != 1 {
			t.Fatalf("round %d: counts %v, want 21 answered and one unsent", i, n.Verdicts)
		}
	}
}
