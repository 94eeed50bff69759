package clock

import "time"

// A Clock tells served time as a pure function of real time: the same t always gives the same Segment. A Clock may be
// used by many goroutines at once.
type Clock interface {
	// Segment gives the piece that holds at the real time t.
	Segment(t time.Time) Segment
}

// Read gives what c reads at a real time, in UTC.
func Read(c Clock, real time.Time) time.Time { return c.Segment(real).At(real) }

// A Segment is one straight piece of a clock. At Real it reads Served, and it advances Rate served seconds a real second
// until Until. Both times are in the years 1 to 9999, in UTC and without a monotonic reading. A segment holds
// from Real on, but one that holds before the clock was started may hold since long before Real.
type Segment struct {
	Real, Served time.Time
	Rate         Rate
	Leap         Leap      // what NTP announces while it lasts
	Until        time.Time // real time, exclusive; zero: forever
	smear        bool      // a leap second is being spread: for Changes
}

// At gives what the segment reads at a real time, rounded down to the nanosecond, in UTC. The arithmetic is exact. It
// looks at the line alone: whether the segment holds at real, before Real and from Until on, is the caller's to know.
// Served time stops at 0001-01-01T00:00:00Z and at 9999-12-31T23:59:59.999999999Z, and a real time outside these years
// counts as the nearer edge.
func (s Segment) At(real time.Time) time.Time {
	passed := instantOf(real).sub(instantOf(s.Real))
	return instantOf(s.Served).add(passed.scale(s.Rate)).within().time()
}

// When is the inverse of At: it gives the first real time before Until at which At gives served or later, and false when
// there is none. Like At it looks at the line alone, also before Real.
func (s Segment) When(served time.Time) (real time.Time, ok bool) {
	first, target := earliest, instantOf(served)
	if earliest.less(target) { // at the edge At always is
		first = later(first, s.line().reaches(target))
	}
	if latest.less(first) || !s.Until.IsZero() && !first.time().Before(s.Until) {
		return time.Time{}, false
	}
	return first.time(), true
}

func (s Segment) line() line { return line{instantOf(s.Real), instantOf(s.Served), s.Rate} }

// A line is a Segment that knows no end and no edges: served may leave the years 1 to 9999.
type line struct {
	real, served span
	rate         Rate
}

// at gives what the line reads at a real instant.
func (l line) at(real span) span { return l.served.add(real.sub(l.real).scale(l.rate)) }

// reaches gives the first real instant at which the line reads served or later: forever if it never does, never if it
// always does.
func (l line) reaches(served span) span {
	switch {
	case l.rate != Frozen:
		ahead := served.sub(l.served).unscale(l.rate)
		if ahead == forever || ahead == never {
			return ahead
		}
		return l.real.add(ahead)
	case l.served.less(served):
		return forever
	}
	return never
}

// segment gives the segment that holds at the real instant now, when the line is taken up at begin and left at end: the
// line itself, or the edge of time where it waits or has stopped. A line that is outside the years 1 to 9999 at l.real is
// pivoted anew where it comes in.
func (l line) segment(begin, now, end span) Segment {
	if l.rate == Frozen {
		return segment(line{l.real, l.served.within(), Frozen}, end)
	}
	out := l.reaches(latest)
	if !now.less(out) {
		return segment(line{later(out, begin), latest, Frozen}, end)
	}
	if l.served.isWithin() && !now.less(l.real) {
		return segment(l, sooner(out, end))
	}
	in := l.reaches(earliest)
	if now.less(in) {
		return segment(line{begin, earliest, Frozen}, sooner(in, end))
	}
	if !l.served.isWithin() {
		in = later(in, begin)
		l.real, l.served = in, l.at(in)
	}
	return segment(l, sooner(out, end))
}

// segment gives the line until end as a Segment. What ends after the year 9999 lasts forever.
func segment(l line, end span) Segment {
	s := Segment{Real: l.real.time(), Served: l.served.time(), Rate: l.rate}
	if !latest.less(end) {
		s.Until = end.time()
	}
	return s
}

func sooner(a, b span) span {
	if b.less(a) {
		return b
	}
	return a
}

func later(a, b span) span {
	if a.less(b) {
		return b
	}
	return a
}
