package probe

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/service"
)

func TestLanesAreInversible(t *testing.T) {
	for _, c := range [][3]int{{1, 1, 1}, {1, 1, 64}, {3, 1, 1}, {3, 5, 5}, {2, 1024, 64}, {5, 7, 64}, {4, 100, 64}, {16, 1, 64}} {
		l := newLanes(c[0], c[1], c[2], true)
		count := make(map[[2]uint64]uint64)
		for seq := range uint64(20_000) {
			socket, source := l.of(seq)
			if socket >= uint64(c[0]) || source >= uint64(c[1]) {
				t.Fatalf("%v: request %d leaves from %d, %d", c, seq, socket, source)
			}
			lane := [2]uint64{socket, source}
			if got := l.seq(socket, source, count[lane]); got != seq {
				t.Fatalf("%v: request %d is said to be %d", c, seq, got)
			}
			count[lane]++
			if row := l.row(seq); row < 1 || row > c[2] {
				t.Fatalf("%v: a row of %d", c, row)
			} else if last, _ := l.of(seq + uint64(row) - 1); last != socket {
				t.Fatalf("%v: from %d on %d requests do not leave from one socket", c, seq, row)
			}
		}
		if len(count) != c[0]*c[1] {
			t.Errorf("%v: %d lanes are used", c, len(count))
		}
	}
}

// As long as no lane has two requests under way, replies are matched exactly, however they are lost, doubled and reordered.
func TestLanesMatchExactly(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 2))
		sockets, sources := 1+random.IntN(4), 1+random.IntN(50)
		l := newLanes(sockets, sources, min(sources, batchSize), true)
		m := newMatcher(4096, 1000)
		now := int64(0)
		var lost uint64
		for range 30 { // rounds: each lane once, in any order of replies
			first := m.next
			for range sockets * sources {
				l.add(m.next)
				m.add(now)
			}
			for _, i := range random.Perm(sockets * sources) {
				want := first + uint64(i)
				socket, source := l.of(want)
				copies := random.IntN(3)
				if copies == 0 {
					lost++
				}
				for k := range copies {
					seq, ok := l.match(m, int(socket), int(source))
					if k > 0 {
						if ok {
							t.Fatalf("seed %d: a doubled reply was matched to %d", seed, seq)
						}
						continue
					}
					if !ok || seq != want {
						t.Fatalf("seed %d: matched to %d, %v, want %d", seed, seq, ok, want)
					}
					m.answer(seq, now+5)
				}
			}
			now += 2000
			m.expire(now)
		}
		if m.lost != lost {
			t.Fatalf("seed %d: lost %d, want %d", seed, m.lost, lost)
		}

	}
}

// With several under way on a lane replies count for the first that waits; one that has timed out is late only where none does.
func TestLanesFirstInFirstOut(t *testing.T) {
	l := newLanes(1, 1, 1, true)
	m := newMatcher(64, 1000)
	match := func(want uint64, wantOK bool) {
		t.Helper()
		seq, ok := l.match(m, 0, 0)
		if ok != wantOK || ok && seq != want {
			t.Fatalf("matched to %d, %v, want %d, %v", seq, ok, want, wantOK)
		}
		if ok {
			m.answer(seq, 5000)
		}
	}
	match(0, false) // nothing was asked
	for i := range int64(3) {
		l.add(m.next)
		m.add(i)
	}
	match(0, true)
	m.expire(2000)
	match(1, true) // none waits: late
	l.add(m.next)
	m.add(4500)
	match(3, true) // 2 has timed out, 3 waits
	match(0, false)
	if m.counts[late] != 2 || m.counts[answered] != 1 || m.lost != 1 {
		t.Errorf("late %d, answered %d, lost %d", m.counts[late], m.counts[answered], m.lost)
	}
}

// A lost reply of time shifts those behind it where lanes have several requests under way, and only there: the report says so.
func TestSharedLanesAreSaid(t *testing.T) {
	for name, c := range map[string]struct {
		kind    service.Kind
		sockets int
		lost    bool
		doubled bool
		shared  bool // replies are matched by a guess
		want    bool
	}{
		"one lane":          {service.Time, 1, true, false, true, true},
		"doubled":           {service.Time, 1, false, true, true, true},
		"nothing lost":      {service.Time, 1, false, false, true, false},
		"a lane for each":   {service.Time, 2000, true, false, false, false},
		"echo tells itself": {service.Echo, 1, true, false, false, false},
	} {
		for _, window := range []int{0, 8} {
			b := benchOf(c.kind)
			b.Sockets, b.Timeout = c.sockets, 20*time.Millisecond
			if window > 0 {
				b.Rate, b.Window, b.Duration = 0, window, 200*time.Millisecond
			}
			w := world{load: newLoad(b)}
			w.serve = func(seq uint64, request []byte, now int64) []delivery {
				d := delivery{at: now + ms, data: answerTo(c.kind, request)}
				switch {
				case c.lost && seq%100 == 50:
					return nil
				case c.doubled && seq%100 == 50:
					return []delivery{d, d}
				}
				return []delivery{d}
			}
			r := w.run(t)
			if c.lost == (r.Lost == 0) || c.doubled && r.Doubled == 0 || (r.Shared > 0) != c.shared {
				t.Errorf("%s, window %d: lost %d, doubled %d, shared %d", name, window, r.Lost, r.Doubled, r.Shared)
			}
			if said := slices.Contains(b.limits(&r), LimitShared); said != c.want {
				t.Errorf("%s, window %d: said %v, shared %d of %d", name, window, said, r.Shared, r.Answered)
			}
		}
	}
}
