package probe

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// A network that loses, doubles, delays and reorders at random: what the matcher counts is what was done.
func TestMatcherAgreesWithWhatWasDone(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		const timeout, spacing, n = 1000, 10, 500
		type event struct {
			at  int64
			seq uint64
		}
		m := newMatcher(n, timeout)
		var replies []event
		var want [stray + 1]uint64
		var lost uint64
		for seq := range uint64(n) {
			due := int64(seq * spacing)
			first := int64(-1)
			for range random.IntN(4) {
				at := due + random.Int64N(1500)
				if first < 0 || at < first {
					first = at
				}
				replies = append(replies, event{at, seq})
				want[doubled]++
			}
			switch {
			case first < 0:
				lost++
				continue
			case first-due > timeout:
				want[late]++
			default:
				want[answered]++
			}
			want[doubled]--
		}
		slices.SortStableFunc(replies, func(a, b event) int { return cmp.Compare(a.at, b.at) })
		next := 0
		for now := int64(0); now < n*spacing+5000; now += int64(1 + random.IntN(40)) {
			for m.next < n && int64(m.next*spacing) <= now {
				m.add(int64(m.next * spacing))
			}
			if random.IntN(2) == 0 {
				m.expire(now) // whether before or after what had come is read
			}
			for ; next < len(replies) && replies[next].at <= now; next++ {
				m.answer(replies[next].seq, replies[next].at)
			}
		}
		m.expire(1 << 40)
		if m.counts != want || m.lost != lost || m.waiting != 0 || m.sent != n {
			t.Fatalf("seed %d: counts %v, lost %d, waiting %d, sent %d; want %v, %d, 0, %d", seed, m.counts, m.lost, m.waiting, m.sent, want, lost, n)
		}
		if m.sent != m.counts[answered]+m.counts[late]+m.lost {
			t.Fatalf("seed %d: the fates do not add up", seed)
		}
	}
}

func TestMatcherForgets(t *testing.T) {
	m := newMatcher(64, 1000)
	for i := range int64(100) {
		m.add(i)
	}
	if m.waiting != 64 || m.lost != 36 {
		t.Errorf("waiting %d, lost %d, want 64 and the 36 that had to make room", m.waiting, m.lost)
	}
	for seq, want := range map[uint64]fate{0: stray, 35: stray, 36: answered, 99: answered, 100: stray, 1 << 63: stray} {
		if f, _ := m.answer(seq, 100); f != want {
			t.Errorf("a reply to %d: %v, want %v", seq, f, want)
		}
	}
	if m.lost != 36 || m.waiting != 62 {
		t.Errorf("waiting %d, lost %d, want 62 and 36", m.waiting, m.lost)
	}
}

// What counts is when a reply came, not when it was read.
func TestMatcherReadsLate(t *testing.T) {
	m := newMatcher(64, 1000)
	m.add(0)
	m.expire(5000)
	if m.lost != 1 {
		t.Fatal("not lost")
	}
	if f, after := m.answer(0, 900); f != answered || after != 900 || m.lost != 0 {
		t.Errorf("%v after %d, lost %d, want it answered", f, after, m.lost)
	}
	m.add(6000)
	m.skip(6001)
	if at, ok := m.expiry(); !ok || at != 7001 {
		t.Errorf("expires at %d, %v, want 7001", at, ok)
	}
	m.expire(7000)
	if m.lost != 0 {
		t.Error("lost at its time-out already")
	}
	m.expire(7001)
	if m.lost != 1 || m.sent != 2 || m.waiting != 0 {
		t.Errorf("lost %d, sent %d, waiting %d; want 1, 2, 0", m.lost, m.sent, m.waiting)
	}
	if _, ok := m.expiry(); ok {
		t.Error("nothing waits")
	}
}
