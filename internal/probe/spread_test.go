package probe

import (
	"math"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	r := newRecorder()
	if r.spread() != (Spread{}) {
		t.Error("of nothing")
	}
	for i := range 1000 { // 1 to 1000 µs, in no order
		r.record(time.Duration((i*7919)%1000+1) * time.Microsecond)
	}
	s := r.spread()
	if s.Count != 1000 || s.Min != time.Microsecond || s.Max != time.Millisecond || s.Mean != 500500*time.Nanosecond {
		t.Errorf("count %d, min %v, max %v, mean %v", s.Count, s.Min, s.Max, s.Mean)
	}
	for name, c := range map[string]struct{ got, want time.Duration }{
		"median": {s.Median, 500 * time.Microsecond}, "p90": {s.P90, 900 * time.Microsecond},
		"p99": {s.P99, 990 * time.Microsecond}, "p99.9": {s.P99point9, 999 * time.Microsecond},
	} {
		if off := math.Abs(float64(c.got-c.want)) / float64(c.want); off > 0.001 {
			t.Errorf("%s is %v, want %v to 3 digits", name, c.got, c.want)
		}
	}
	one := newRecorder()
	one.record(-time.Second) // of a clock that was set
	one.record(24 * time.Hour)
	if s := one.spread(); s.Min != 0 || s.Max != longest || s.Median > s.P99 {
		t.Errorf("%+v", s)
	}
	if n := testing.AllocsPerRun(100, func() { r.record(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// RFC 3550, section 6.4.1: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1))/16.
func TestJitter(t *testing.T) {
	var j jitter
	for _, ms := range []time.Duration{10, 26, 10, 10} {
		j.add(ms * time.Millisecond)
	}
	// 0 -> 16/16 = 1 -> 1 + 15/16 = 1.9375 -> 1.9375 - 1.9375/16 = 1.81640625 ms
	if want := 1.81640625e6; j.value != want {
		t.Errorf("%v ns, want %v", j.value, want)
	}
	var still jitter
	for range 10 {
		still.add(time.Second)
	}
	if still.value != 0 {
		t.Errorf("%v without any", still.value)
	}
}

func TestOffsets(t *testing.T) {
	var o offsets
	const day = -24 * time.Hour
	for _, s := range []struct{ offset, roundTrip time.Duration }{{2, 30}, {4, 20}, {4, 40}, {4, 50}, {5, 25}, {5, 26}, {7, 27}, {9, 28}} {
		o.add(day+s.offset*time.Nanosecond, s.roundTrip)
	}
	want := OffsetSpread{Count: 8, Best: day + 4, Min: day + 2, Max: day + 9, Median: day + 4, Mean: day + 5, Deviation: 2}
	if got := o.result(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := new(offsets).result(); got != (OffsetSpread{}) {
		t.Errorf("of none: %+v", got)
	}
}

// Damaged times spoil the mean, not the median; of a great many offsets it is that of a fair sample, in bounded memory.
func TestMedianOffset(t *testing.T) {
	const n = 4 * sampled
	var o offsets
	for i := range n {
		offset := time.Duration(i) * time.Nanosecond // the first quarter alone would give an eighth
		if i%100 == 7 {
			offset = 60 * 365 * 24 * time.Hour
		}
		o.add(offset, time.Millisecond)
		if i == 1000 {
			if s := o.result(); s.Median < 490 || s.Median > 510 || s.Mean < time.Hour {
				t.Errorf("%+v, want a median of 500 ns", s)
			}
		}
	}
	// The median of so many is off by a standard deviation of 1/(2 sqrt(65536)) of the whole: 25 of them.
	if share := float64(o.result().Median) / n; share < 0.45 || share > 0.55 {
		t.Errorf("the median is %v of the whole", share)
	}
	if len(o.sample) != sampled {
		t.Errorf("a sample of %d", len(o.sample))
	}
}

// A percentile is the smallest value that at least that share of all does not exceed, however few there are.
func TestSpreadOfFew(t *testing.T) {
	for n := 1; n <= 200; n++ {
		r := newRecorder()
		for i := 1; i <= n; i++ {
			r.record(time.Duration(i)) // so short that the histogram is exact
		}
		s := r.spread()
		for share, got := range map[int]time.Duration{500: s.Median, 900: s.P90, 990: s.P99, 999: s.P99point9} {
			want := 1
			for 1000*want < share*n {
				want++
			}
			if got != time.Duration(want) {
				t.Errorf("of %d, %d thousandths: %d, want %d", n, share, got, want)
			}
		}
	}
}
