package exchange

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestVerdictsHaveWords(t *testing.T) {
	seen := make(map[string]bool)
	for v := range NumVerdicts {
		if s := v.String(); s == "" || strings.HasPrefix(s, "Verdict(") || seen[s] {
			t.Errorf("verdict %d reads %q", v, s)
		} else {
			seen[s] = true
		}
	}
	if got := Verdict(200).String(); got != "Verdict(200)" {
		t.Errorf("no verdict reads %q", got)
	}
}

func TestNotesHaveWords(t *testing.T) {
	seen := make(map[string]bool)
	for i := range NumNotes {
		if s := Notes(1 << i).String(); s == "" || seen[s] {
			t.Errorf("note %d reads %q", i, s)
		} else {
			seen[s] = true
		}
	}
	if last := FaultUnsynchronised; last != 1<<(NumNotes-1) || last.String() != "unsynchronised" {
		t.Errorf("the last note is %d, %q", last, last)
	}
	if got := (FaultDelay | FaultDuplicate).String(); got != "delay, duplicate" {
		t.Errorf("two notes read %q", got)
	}
}

// Only what was answered, or was not on purpose, has notes.
func TestCountNotes(t *testing.T) {
	var c Counts
	c.Count(Answer, FaultDelay|FaultDuplicate)
	c.Count(Answer, FaultDelay)
	c.Count(Fault, FaultLoss)
	c.Count(Unsent, FaultDelay)
	c.Count(Limit, FaultLoss)
	got := make(map[string]uint64)
	for n, count := range c.Noted() {
		got[n.String()] = count
	}
	if want := map[string]uint64{"delay": 2, "duplicate": 1, "loss": 1}; !maps.Equal(got, want) {
		t.Errorf("noted %v, want %v", got, want)
	}
	if c.Answered() != 2 || c.Dropped() != 3 {
		t.Errorf("%d answered and %d dropped, want 2 and 3", c.Answered(), c.Dropped())
	}
}

func TestTell(t *testing.T) {
	told := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &Request{Data: []byte("hi")}
	p := &Reply{Data: []byte("there"), Told: told, Notes: FaultDelay}
	for _, test := range []struct {
		verdict Verdict
		want    Record
	}{
		{Answer, Record{Told: told, Notes: FaultDelay, Answered: 5}},
		{Fault, Record{Notes: FaultDelay}},
		{Limit, Record{}},
	} {
		want := test.want
		want.Service, want.Transport, want.Verdict, want.Asked = "echo", "udp", test.verdict, 2
		var got Record
		if got.Tell("echo", "udp", r, p, test.verdict); got != want {
			t.Errorf("%v: %+v, want %+v", test.verdict, got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	var c Counters
	c.Local.Verdicts[Answer] = 5
	c.Local.Verdicts[Loop] = 2
	c.Local.Overflow = 3
	c.Local.Errors = 1
	c.Local.Untold = 4
	c.Local.Uncopied = 6
	if got := c.Load(); got != (Counts{}) {
		t.Errorf("before Publish: %+v", got)
	}
	c.Publish()
	got := c.Load()
	if got != c.Local {
		t.Errorf("published %+v, want %+v", got, c.Local)
	}
	got.Add(got)
	if got.Answered() != 10 || got.Dropped() != 10 || got.Errors != 2 || got.Untold != 8 || got.Uncopied != 12 {
		t.Errorf("the double is %+v", got)
	}
	causes := maps.Collect(got.Causes())
	if len(causes) != 2 || causes["loop"] != 4 || causes["overflow"] != 6 {
		t.Errorf("causes: %v", causes)
	}
}

func TestTapHandsOnAllInOrder(t *testing.T) {
	const rings, records = 3, 5000 // fits a ring: nothing may be lost
	tap := NewTap()
	ctx, cancel := context.WithCancel(t.Context())
	next := make(map[string]int)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tap.Run(ctx, func(batch []Record, lost uint64) {
			if lost != 0 {
				t.Errorf("%d lost", lost)
			}
			for _, d := range batch {
				if d.Asked != next[d.Service] {
					t.Errorf("%s: record %d, want %d", d.Service, d.Asked, next[d.Service])
				}
				next[d.Service]++
			}
		})
	}()
	var writers sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		r := tap.Ring()
		writers.Go(func() {
			for i := range records {
				*r.Slot() = Record{Service: name, Asked: i}
				if i%7 == 0 {
					r.Flush()
				}
			}
			r.Flush()
		})
	}
	writers.Wait()
	cancel()
	<-done
	for name, n := range next {
		if n != records {
			t.Errorf("%s: %d records, want %d", name, n, records)
		}
	}
	if len(next) != rings {
		t.Errorf("%d rings told, want %d", len(next), rings)
	}
}

func TestRingLosesAndCounts(t *testing.T) {
	tap := NewTap()
	r := tap.Ring()
	for i := range ringSize + 10 {
		if d := r.Slot(); (d == nil) != (i >= ringSize) {
			t.Fatalf("slot %d: %v", i, d)
		}
	}
	if r.Lost() != 10 {
		t.Errorf("%d lost, want 10", r.Lost())
	}
	r.Flush()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var told int
	var lost uint64
	tap.Run(ctx, func(batch []Record, n uint64) { told += len(batch); lost += n })
	if told != ringSize || lost != 10 {
		t.Errorf("%d told and %d lost, want %d and 10", told, lost, ringSize)
	}
	if r.Slot() == nil {
		t.Error("no room after all was taken")
	}
}

// A watcher that sleeps is woken by the first Flush, not by a timer.
func TestTapWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := NewTap()
		r := tap.Ring()
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		go tap.Run(ctx, func(batch []Record, _ uint64) { told += len(batch) })
		for want := range 100 {
			synctest.Wait()
			if told != want {
				t.Fatalf("%d told, want %d", told, want)
			}
			*r.Slot() = Record{}
			r.Flush()
		}
		cancel()
		synctest.Wait()
	})
}

// A busy writer leaves the watcher asleep until a quarter of the ring is taken, or until it rests.
func TestTapSleepsWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := NewTap()
		r := tap.Ring()
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		go tap.Run(ctx, func(batch []Record, _ uint64) { told += len(batch) })
		pass := func(n int) {
			for range n {
				*r.Slot() = Record{}
				r.Pass()
			}
			synctest.Wait()
		}
		synctest.Wait()
		pass(ringSize/4 - 1)
		if told != 0 {
			t.Errorf("%d told, want none before a quarter is taken", told)
		}
		if pass(1); told != ringSize/4 {
			t.Errorf("%d told, want %d", told, ringSize/4)
		}
		if pass(3); told != ringSize/4 {
			t.Errorf("%d told, want %d before the writer rests", told, ringSize/4)
		}
		r.Flush()
		if synctest.Wait(); told != ringSize/4+3 {
			t.Errorf("%d told, want %d", told, ringSize/4+3)
		}
		cancel()
		synctest.Wait()
	})
}

func TestNilTapHasNoRing(t *testing.T) {
	var tap *Tap
	if tap.Ring() != nil {
		t.Error("a ring nobody reads")
	}
}

func TestRingNoAllocation(t *testing.T) {
	r := NewTap().Ring()
	var c Counters
	if n := testing.AllocsPerRun(100, func() {
		if d := r.Slot(); d != nil {
			*d = Record{Service: "time"}
		}
		r.Flush()
		c.Local.Verdicts[Answer]++
		c.Publish()
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func BenchmarkRing(b *testing.B) {
	tap := NewTap()
	go tap.Run(b.Context(), func([]Record, uint64) {})
	r := tap.Ring()
	for b.Loop() {
		if d := r.Slot(); d != nil {
			*d = Record{Service: "time"}
		}
		r.Flush()
	}
}
