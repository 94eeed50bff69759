// Package peers holds what was measured of this project's server and of others beside it, compares them round by round,
// and writes it down: [Run.Page] as a page, [Run.Plot] as a picture. It measures nothing itself: the test in the folder above
// does, by `make peers`.
//
// A machine may be faster in one minute than in the next, so figures of two servers are compared only where they come from
// the same round: what is told is the median, over the rounds, of ratios. Every ratio is turned so that more than 1 means
// that this project's server is better.
package peers

import (
	"fmt"
	"iter"
	"time"
)

// Ours is the name of this project's server.
const Ours = "yesterday"

// The other servers that bars name.
const (
	Chronyd = "chronyd"
	Ceiling = "C loop"
	PlainGo = "plain Go"
	Lesson  = "the lesson's Python"
)

// The services that are measured.
const (
	NTP  = "ntp"
	Time = "time"
	Echo = "echo"
)

// The paths between generator and server.
const (
	Veth     = "veth"
	Loopback = "loopback"
)

// EchoSize is how many bytes an echo has.
const EchoSize = 64

// Order in which paths and services are told.
var (
	paths    = []string{Veth, Loopback}
	services = []string{NTP, Time, Echo}
)

// A Run is all that one measurement found.
type Run struct {
	Began   time.Time
	Took    time.Duration
	Machine Machine
	Load    Load
	Servers []Server // in the order in which they are told; Ours is the first
	Samples []Sample
	Rests   []Rest
	Remarks []string // what a reader must know beside the figures: whole sentences
}

// A Machine is where a Run was made.
type Machine struct {
	CPU    string
	Cores  int
	Memory uint64 // bytes
	System string // as /etc/os-release has it
	Kernel string
	Go     string
	C      string // the compiler of the ceiling
}

// A Load is what each server was put under.
type Load struct {
	Rounds    int
	Saturated time.Duration // how long at saturation
	Slices    int           // in how many parts, between which the other servers have theirs
	Single    time.Duration // how long with one request outstanding
	Window    int           // requests outstanding at saturation
	Sources   int           // addresses that they came from
	Resting   time.Duration // how long this project's server was watched at rest
}

// A Server is one that was to be measured.
type Server struct {
	Name    string
	Version string
	How     string   // how it was started
	Answers []string // the services that it was asked for
	Absent  string   // why it could not be had; empty where it was measured
}

// A Sample is one server's figures for one service over one path in one round.
type Sample struct {
	Round                 int // from 1
	Path, Service, Server string

	Rate   float64 // replies a second at saturation
	PerCPU float64 // of these, replies per second that the server's core was busy
	Busy   float64 // share of the time that it was, 0 to 1
	Lost   float64 // share of the requests that were not answered, 0 to 1
	Limit  string  // why Rate is the generator's rather than the server's; empty: it is not

	Median, P99 time.Duration // round trips with one request outstanding
	Held        float64       // share of them that the generator held the request or the reply, 0 to 1

	Parts Parts // where the core's time went, at saturation once more
}

// A Rest is what this project's server, with all its services, took in one round while nobody asked.
type Rest struct {
	Round         int
	CPU           float64 // share of one core, 0 to 1, after it was under load
	Before, After uint64  // resident memory before and after it was under load, bytes
}

// A Measure is one figure of a Sample.
type Measure struct {
	Name   string
	Of     func(Sample) float64 // 0 where it was not measured
	Lower  bool                 // less is better
	Format func(float64) string
}

var (
	// Rate is replies a second at saturation.
	Rate = Measure{"replies a second", func(s Sample) float64 { return s.Rate }, false, count}
	// PerCPU is replies for each second that the server's core was busy.
	PerCPU = Measure{"per CPU-second", func(s Sample) float64 { return s.PerCPU }, false, count}
	// Median is the median round trip with one request outstanding.
	Median = Measure{"p50", func(s Sample) float64 { return float64(s.Median) }, true, micros}
	// P99 is its 99th percentile.
	P99 = Measure{"p99", func(s Sample) float64 { return float64(s.P99) }, true, micros}
)

// busy is how busy the server's core was at saturation.
var busy = Measure{"core busy", func(s Sample) float64 { return s.Busy }, false, whole}

// limited tells whether the generator was the bottleneck in most rounds.
func (r *Run) limited(path, service, server string) bool {
	limited, all := 0, 0
	for s := range r.samples(path, service, server) {
		all++
		if s.Limit != "" {
			limited++
		}
	}
	return 2*limited > all
}

// losses tells who left more than one request in a thousand unanswered at saturation, by the median.
func (r *Run) losses() []string {
	lost := Measure{Of: func(s Sample) float64 { return s.Lost }}
	var lines []string
	for _, path := range paths {
		for _, service := range services {
			for _, name := range r.measured(path, service) {
				s := r.of(path, service, name, lost) // of the rounds in which any were
				if 2*s.N > r.Load.Rounds && s.Median > 0.001 {
					lines = append(lines, fmt.Sprintf("%s left %s of the requests for %s over %s unanswered at saturation.",
						name, percent(s.Median), service, path))
				}
			}
		}
	}
	return lines
}

// samples yields those of a server for a service over a path.
func (r *Run) samples(path, service, server string) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for _, s := range r.Samples {
			if s.Path == path && s.Service == service && s.Server == server && !yield(s) {
				return
			}
		}
	}
}

// of is a server's figures for a service over a path, one a round that has one.
func (r *Run) of(path, service, server string, m Measure) Spread {
	var values []float64
	for s := range r.samples(path, service, server) {
		if m.Of(s) > 0 {
			values = append(values, m.Of(s))
		}
	}
	return SpreadOf(values)
}

// value writes the median of a server's figures, with ≥ before a rate that is the generator's.
func (r *Run) value(path, service, server string, m Measure) string {
	text := r.of(path, service, server, m).median(m.Format)
	if m.Name == Rate.Name && r.limited(path, service, server) {
		text = "≥ " + text
	}
	return text
}

// ratio is how many times better ours did than a server, one value for each round that has both.
func (r *Run) ratio(path, service, server string, m Measure) Spread {
	ours := make(map[int]float64)
	for s := range r.samples(path, service, Ours) {
		ours[s.Round] = m.Of(s)
	}
	var values []float64
	for s := range r.samples(path, service, server) {
		mine, theirs := ours[s.Round], m.Of(s)
		if mine <= 0 || theirs <= 0 {
			continue
		}
		if m.Lower {
			mine, theirs = theirs, mine
		}
		values = append(values, mine/theirs)
	}
	return SpreadOf(values)
}

// measured is the servers that have samples for a service over a path, as they are told.
func (r *Run) measured(path, service string) []string {
	var names []string
	for _, s := range r.Servers {
		if r.of(path, service, s.Name, Rate).N > 0 || r.of(path, service, s.Name, Median).N > 0 {
			names = append(names, s.Name)
		}
	}
	return names
}
