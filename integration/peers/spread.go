package peers

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A Spread is the median of some values and how far they lie apart: the least and the greatest. With the few rounds that
// there are, these say more than a deviation would.
type Spread struct {
	Median, Min, Max float64
	N                int // how many values; the others are 0 where it is
}

// SpreadOf returns the Spread of values, which it leaves as they are. Of an even number the median is the mean of the middle
// two.
func SpreadOf(values []float64) Spread {
	n := len(values)
	if n == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	return Spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1], N: n}
}

// times writes a ratio's Spread: "1.52 (1.47–1.60)".
func (s Spread) times() string {
	if s.N == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

// median writes the median alone.
func (s Spread) median(format func(float64) string) string {
	if s.N == 0 {
		return "–"
	}
	return format(s.Median)
}

// count writes a number with three digits that count: 950, 83.2k, 171k, 1.23M.
func count(v float64) string {
	switch {
	case v >= 999_500:
		return digits(v/1e6) + "M"
	case v >= 999.5:
		return digits(v/1e3) + "k"
	}
	return fmt.Sprintf("%.0f", v)
}

// micros writes nanoseconds as microseconds: 8.31 µs, 23.5 µs, 140 µs.
func micros(ns float64) string { return digits(ns/float64(time.Microsecond)) + " µs" }

// digits writes v with three digits, or as many as it has before the point.
func digits(v float64) string {
	switch {
	case math.Abs(v) >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// percent writes a share of 1.
func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// whole writes a share of 1 without decimals.
func whole(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// gibibytes writes bytes.
func gibibytes(n float64) string { return fmt.Sprintf("%.0f GiB", n/(1<<30)) }

// mebibytes writes bytes.
func mebibytes(n float64) string { return fmt.Sprintf("%.1f MiB", n/(1<<20)) }
