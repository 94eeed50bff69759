package probe

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/service"
)

func TestSearchFindsTheHighestGoodRate(t *testing.T) {
	for _, start := range []int{1, 1000, 1_000_000} {
		for _, capacity := range []int{1, 7, 999, 1000, 1001, 123_456, MaxRate, 2 * MaxRate} {
			if start > 64*capacity || capacity > start<<16 {
				continue // too far for 24 runs
			}
			runs := 0
			r, err := search(start, func(rate int) (Trial, error) {
				runs++
				if rate < 1 || rate > MaxRate {
					t.Fatalf("a run at %d", rate)
				}
				return Trial{Rate: rate, Good: rate <= capacity, Report: BenchReport{Sent: uint64(rate), Limits: []Limit{LimitBehind}}}, nil
			})
			want := min(capacity, MaxRate)
			if err != nil || r.Rate > want || float64(r.Rate) < 0.97*float64(want)-1 {
				t.Errorf("from %d: found %d, %v, want %d", start, r.Rate, err, want)
			}
			if runs > maxRates+12 || runs != len(r.Trials) {
				t.Errorf("from %d to %d: %d runs, %d trials", start, capacity, runs, len(r.Trials))
			}
			if best, ok := r.Best(); ok != (r.Rate > 0) || ok && best.Sent != uint64(r.Rate) {
				t.Errorf("the best run's report is of %d, want %d", best.Sent, r.Rate)
			}
		}
	}
}

func TestSearchEndsWhereNothingIsGood(t *testing.T) {
	r, err := search(1000, func(rate int) (Trial, error) { return Trial{Rate: rate}, nil })
	if _, ok := r.Best(); err != nil || r.Rate != 0 || ok || len(r.Trials) > 2*maxRates {
		t.Errorf("%+v, %v", r.Rate, err)
	}
	broken := errors.New("broken")
	r, err = search(1000, func(rate int) (Trial, error) {
		if rate > 2000 {
			return Trial{}, broken
		}
		return Trial{Rate: rate, Good: true}, nil
	})
	if err != broken || r.Rate != 2000 {
		t.Errorf("found %d, %v; want what was found until it broke", r.Rate, err)
	}
}

// A machine that cannot send a thousand requests a second in time finds nothing out, and says so before long.
func TestSearchEndsWhereTheGeneratorFails(t *testing.T) {
	for start, want := range map[int]int{40_000: 2 * 7, 1000: 2, 10: 2} {
		runs := 0
		r, err := search(start, func(rate int) (Trial, error) {
			runs++
			return Trial{Rate: rate, Limits: []Limit{LimitBehind}}, nil
		})
		if err != nil || r.Rate != 0 || runs != want || len(r.Limits) != 1 {
			t.Errorf("from %d: %d runs, %+v, %v", start, runs, r, err)
		}
	}
}

// A rate that is bad by a hiccup is tried once more; one that is bad again is.
func TestSearchRepeatsABadTrial(t *testing.T) {
	tried := make(map[int]int)
	r, err := search(1000, func(rate int) (Trial, error) {
		tried[rate]++
		return Trial{Rate: rate, Good: rate <= 8000 && tried[rate] == 2 || rate == 1000}, nil
	})
	if err != nil || r.Rate != 8000 {
		t.Errorf("found %d, %v, want 8000", r.Rate, err)
	}
	for rate, n := range tried {
		if want := 2; rate == 1000 && n != 1 || rate != 1000 && n != want {
			t.Errorf("%d tries at %d", n, rate)
		}
	}
}

// A trial has 3,000 requests, if 10 seconds are enough for them, and never fewer than were asked for.
func TestTrialsAreLongEnough(t *testing.T) {
	for _, c := range []struct {
		rate            int
		asked, duration time.Duration
	}{
		{1000, time.Second, 3 * time.Second},
		{1000, 5 * time.Second, 5 * time.Second},
		{300, time.Second, 10 * time.Second},
		{299, time.Second, 10 * time.Second},
		{1, time.Second, 10 * time.Second},
		{1, time.Minute, time.Minute},
		{MaxRate, time.Millisecond, time.Millisecond},
		{1_000_000, time.Millisecond, 3 * time.Millisecond},
	} {
		b := Bench{Rate: 1, Duration: c.asked}
		if one := b.trial(c.rate); one.Duration != c.duration || one.Rate != c.rate || b.Duration != c.asked {
			t.Errorf("%d a second for %v: %d for %v", c.rate, c.asked, one.Rate, one.Duration)
		}
	}
}

// What the first trial has measured when the search is ended is there.
func TestSearchIsCutShort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	to := server(t, "127.0.0.1:0", func(data []byte) [][]byte {
		if asked++; asked == 20 {
			cancel()
		}
		return [][]byte{data}
	})
	b := Bench{Service: service.Echo, Server: to, Rate: 100, Duration: time.Hour, Timeout: 10 * time.Second, Size: 16, Sockets: 1}
	r, err := b.Search(ctx, func(Trial) { t.Error("a trial that was cut short is told of") })
	if err != context.Canceled || len(r.Trials) != 0 || r.Rate != 0 || r.Cut == nil || r.Cut.Sent < 20 || r.Cut.Sent != r.Cut.Answered+r.Cut.Late+r.Cut.Pending {
		t.Errorf("%+v, cut %+v, %v", r, r.Cut, err)
	}
}

// Where the server lost too much, it is not for the generator that a run is not good, whatever that fell short in.
func TestWhoIsToBlame(t *testing.T) {
	behind, overflow := []Limit{LimitBehind}, []Limit{LimitBehind, LimitOverflow}
	for name, c := range map[string]struct {
		report BenchReport
		want   int
	}{
		"good":                      {BenchReport{Sent: 1000}, 0},
		"behind, all answered":      {BenchReport{Sent: 1000, Limits: behind}, 1},
		"behind, and lost":          {BenchReport{Sent: 1000, Lost: 20, Limits: behind}, 0},
		"lost in our own socket":    {BenchReport{Sent: 1000, Lost: 20, Overflow: 20, Limits: overflow}, 2},
		"on shared lanes":           {BenchReport{Sent: 1000, Lost: 1, Limits: []Limit{LimitShared}}, 1},
		"lost, and it was not slow": {BenchReport{Sent: 1000, Lost: 20}, 0},
	} {
		if got := blame(&c.report); len(got) != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestGoodRun(t *testing.T) {
	for name, c := range map[string]struct {
		report BenchReport
		want   bool
	}{
		"all answered":     {BenchReport{Sent: 1000, Answered: 1000}, true},
		"0.1 % lost":       {BenchReport{Sent: 1000, Answered: 999, Lost: 1}, true},
		"0.2 % lost":       {BenchReport{Sent: 1000, Answered: 998, Lost: 1, Late: 1}, false},
		"nothing":          {BenchReport{}, false},
		"not as it is due": {BenchReport{Sent: 1000, Answered: 1000, Limits: []Limit{LimitBehind}}, false},
		"shared lanes":     {BenchReport{Sent: 1000, Answered: 999, Lost: 1, Limits: []Limit{LimitShared}}, false},
		"not all":          {BenchReport{Sent: 900, Answered: 900, Unsent: 100}, false},
	} {
		if good(&c.report) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

// The request of a wrong reply is lost as well: it counts once.
func TestWrongCountsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		report BenchReport
		want   bool
	}{
		"wrong, and so lost":   {BenchReport{Sent: 1000, Wrong: 1, Lost: 1}, true},
		"more wrong than lost": {BenchReport{Sent: 1000, Wrong: 2, Lost: 1}, false},
		"lost, and late":       {BenchReport{Sent: 1000, Late: 1, Lost: 1}, false},
	} {
		if replied(&c.report) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}
