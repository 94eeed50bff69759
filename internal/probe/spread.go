package probe

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is what a histogram holds; what is longer counts as this.
const longest = 2 * time.Hour

// A Spread tells how durations are distributed. All are zero where Count is. Min, Max and Mean are exact, the others to 3
// digits: the smallest recorded value that at least that share of all does not exceed.
type Spread struct {
	Count                                 uint64
	Min, Median, P90, P99, P99point9, Max time.Duration
	Mean                                  time.Duration
}

// A recorder takes in durations. It allocates nothing after it was made, and is used by one goroutine.
type recorder struct {
	histogram *hdrhistogram.Histogram
	count     uint64
	min, max  time.Duration
	sum       float64
}

func newRecorder() *recorder {
	return &recorder{histogram: hdrhistogram.New(1, int64(longest), 3)}
}

func (r *recorder) record(d time.Duration) {
	d = min(max(d, 0), longest)
	if r.count == 0 || d < r.min {
		r.min = d
	}
	r.max = max(r.max, d)
	r.count++
	r.sum += float64(d)
	r.histogram.RecordValue(int64(d)) // it is in range
}

func (r *recorder) spread() Spread {
	if r.count == 0 {
		return Spread{}
	}
	at := func(thousandths uint64) time.Duration {
		rank := (r.count*thousandths + 999) / 1000 // the histogram's own rounding takes one too few at times
		return min(max(time.Duration(r.histogram.ValueAtQuantile(100*float64(rank)/float64(r.count))), r.min), r.max)
	}
	return Spread{
		Count: r.count, Min: r.min, Median: at(500), P90: at(900), P99: at(990), P99point9: at(999), Max: r.max,
		Mean: time.Duration(math.Round(r.sum / float64(r.count))),
	}
}

// A jitter is the smoothed difference between one round trip and the next (RFC 3550, section 6.4.1, which takes it of
// transit times one way), in the order in which the replies came.
type jitter struct {
	value  float64 // nanoseconds
	last   time.Duration
	primed bool
}

func (j *jitter) add(roundTrip time.Duration) {
	if j.primed {
		d := math.Abs(float64(roundTrip - j.last))
		j.value += (d - j.value) / 16
	}
	j.last, j.primed = roundTrip, true
}

// An OffsetSpread tells how far the server's clock is from this host's, each offset as RFC 5905, section 8, has it:
// negative is behind. An offset is wrong by at most half its round trip, unless the times in the packet were damaged on the
// way: nothing in it tells. A few such spoil the mean, the deviation and the extremes, but not the median.
type OffsetSpread struct {
	Count     uint64
	Best      time.Duration // the one of the shortest round trip
	Min, Max  time.Duration
	Median    time.Duration // of more than 65,536 that of a random sample of so many
	Mean      time.Duration
	Deviation time.Duration // the standard deviation about the mean
}

// sampled is how many offsets a median is taken of at most.
const sampled = 1 << 16

// offsets takes in offsets. Sums are of differences from the first, so that days lose no nanoseconds.
type offsets struct {
	spread   OffsetSpread    // but for its median
	sample   []time.Duration // all, or as many as are sampled, each with the same chance
	first    time.Duration
	shortest time.Duration
	mean, m2 float64
}

func (o *offsets) add(offset, roundTrip time.Duration) {
	s := &o.spread
	if s.Count == 0 {
		o.first, o.shortest = offset, roundTrip
		s.Best, s.Min, s.Max = offset, offset, offset
	}
	s.Count++
	s.Min, s.Max = min(s.Min, offset), max(s.Max, offset)
	if roundTrip < o.shortest {
		o.shortest, s.Best = roundTrip, offset
	}
	if len(o.sample) < sampled {
		o.sample = append(o.sample, offset)
	} else if i := rand.Uint64N(s.Count); i < sampled {
		o.sample[i] = offset
	}
	x := float64(offset - o.first)
	d := x - o.mean
	o.mean += d / float64(s.Count)
	o.m2 += d * (x - o.mean)
	s.Mean = o.first + time.Duration(math.Round(o.mean))
	s.Deviation = time.Duration(math.Round(math.Sqrt(o.m2 / float64(s.Count))))
}

func (o *offsets) result() OffsetSpread {
	s := o.spread
	if n := len(o.sample); n > 0 {
		s.Median = slices.Sorted(slices.Values(o.sample))[(n-1)/2]
	}
	return s
}
