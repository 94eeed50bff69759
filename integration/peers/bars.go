package peers

import (
	"fmt"
	"slices"
)

// A Bar is something that is to hold of a Run, by its median.
type Bar struct {
	What     string
	Want     float64
	Below    bool // the median is to be less than Want; else Want or more
	Measured Spread
	Limited  string // "≤" where the generator was the bottleneck for the other server, "≥" where for ours
	format   func(float64) string
}

// Holds tells whether the Bar was measured and holds.
func (b Bar) Holds() bool {
	switch {
	case b.Measured.N == 0:
		return false
	case b.Below:
		return b.Measured.Median < b.Want
	}
	return b.Measured.Median >= b.Want
}

// String is the Bar as one line.
func (b Bar) String() string {
	return fmt.Sprintf("%s: %s, want %s: %s", b.What, b.measured(), b.want(), b.verdict())
}

func (b Bar) want() string {
	if b.Below {
		return "under " + b.format(b.Want)
	}
	return b.format(b.Want)
}

func (b Bar) measured() string {
	if b.Measured.N == 0 {
		return "–"
	}
	text := fmt.Sprintf("%s (%s–%s)", b.format(b.Measured.Median), b.format(b.Measured.Min), b.format(b.Measured.Max))
	if b.Limited != "" {
		text = b.Limited + " " + text
	}
	return text
}

func (b Bar) verdict() string {
	switch {
	case b.Measured.N == 0:
		return "not measured"
	case b.Holds() && b.Limited == "≤", !b.Holds() && b.Limited == "≥":
		return "open: the generator's limit"
	case b.Holds():
		return "holds"
	}
	return "does not hold"
}

// Bars is all that is to hold, in the order of the page.
func (r *Run) Bars() []Bar {
	var bars []Bar
	ratio := func(path, service, server string, m Measure, want float64) {
		what := fmt.Sprintf("ours / %s, %s, %s, %s", server, service, m.Name, path)
		if m.Lower {
			what = fmt.Sprintf("%s / ours, %s, %s with one request outstanding, %s", server, service, m.Name, path)
		}
		bar := Bar{What: what, Want: want, Measured: r.ratio(path, service, server, m), format: ratioFormat}
		if m.Name == Rate.Name {
			ours, other := r.limited(path, service, Ours), r.limited(path, service, server)
			switch {
			case ours && !other:
				bar.Limited = "≥"
			case other:
				bar.Limited = "≤"
			}
		}
		bars = append(bars, bar)
	}
	ratio(Veth, NTP, Chronyd, Rate, 1.4)
	ratio(Loopback, NTP, Chronyd, Rate, 1.2)
	ratio(Loopback, NTP, Ceiling, Rate, 0.95)
	for _, b := range []struct {
		server string
		want   float64
	}{{PlainGo, 1.4}, {Lesson, 1.5}} {
		i := slices.IndexFunc(r.Servers, func(s Server) bool { return s.Name == b.server })
		if i < 0 {
			continue
		}
		for _, service := range services {
			for _, path := range paths {
				if slices.Contains(r.Servers[i].Answers, service) {
					ratio(path, service, b.server, Rate, b.want)
				}
			}
		}
	}
	ratio(Loopback, NTP, Chronyd, Median, 2)
	return append(bars,
		Bar{What: "CPU while idle, of one core", Want: 0.005, Below: true, Measured: r.rest(func(s Rest) float64 { return s.CPU }), format: percent},
		Bar{What: "resident memory at rest, all services", Want: 40 << 20, Below: true, format: mebibytes,
			Measured: r.rest(func(s Rest) float64 { return float64(max(s.Before, s.After)) })},
	)
}

func (r *Run) rest(of func(Rest) float64) Spread {
	var values []float64
	for _, s := range r.Rests {
		values = append(values, of(s))
	}
	return SpreadOf(values)
}

func ratioFormat(v float64) string { return fmt.Sprintf("%.2f", v) }
