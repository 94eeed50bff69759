package clock

import (
	"math/bits"
	"slices"
	"time"
)

// A Timeline is a started clock: one piece, pieces in a row, or a loop of pieces. Offset and Recipe.Start make one; the
// zero Timeline reads real time. It never changes, so it may be shared.
type Timeline struct {
	recipe Recipe
	start  span     // real; the zero span where it changes no reading
	offset *Segment // of an offset to real time, which most clocks are: what holds from 1970 on
	ends   []int64  // for each piece with a duration, when it ends: nanoseconds of real time since start, or since the repeat began
}

// Offset gives the clock that differs from real time by d.
func Offset(d time.Duration) *Timeline {
	return Recipe{pieces: []piece{{relative: true, value: durationOf(d), rate: Normal}}}.Start(time.Time{})
}

// Segment gives the piece that holds at the real time t. Until is always after t. It allocates nothing.
func (t *Timeline) Segment(real time.Time) Segment {
	if s := t.offset; s != nil && real.Unix() >= 0 && (s.Until.IsZero() || real.Before(s.Until)) {
		return *s
	}
	now := instantOf(real)
	p, start, end := t.piece(now)
	begin := start
	if start == t.start { // the first piece, which also holds before
		begin = earliest
	}
	return p.segment(start, begin, now, end)
}

// piece gives the piece that holds at the real instant now, and the real instants at which it began (after now only
// before the timeline's start) and ends.
func (t *Timeline) piece(now span) (p *piece, start, end span) {
	switch {
	case len(t.recipe.pieces) == 0:
		return &realTime, span{}, forever
	case len(t.ends) == 0:
		return &t.recipe.pieces[0], t.start, forever
	case now.less(t.start):
		return &t.recipe.pieces[0], t.start, t.start.add(nanoseconds(t.ends[0]))
	}
	passed, total := now.sub(t.start), t.ends[len(t.ends)-1]
	var phase int64
	switch {
	case t.recipe.repeat:
		hi, lo := passed.wide()
		phase = int64(bits.Rem64(hi, lo, uint64(total)))
	case passed.less(nanoseconds(total)):
		phase = passed.sec*nanosecondsPerSecond + passed.nsec
	default:
		return &t.recipe.pieces[len(t.ends)], t.start.add(nanoseconds(total)), forever
	}
	i, found := slices.BinarySearch(t.ends, phase)
	if found { // a piece's end belongs to the next
		i++
	}
	round := now.sub(nanoseconds(phase))
	start = round
	if i > 0 {
		start = round.add(nanoseconds(t.ends[i-1]))
	}
	return &t.recipe.pieces[i], start, round.add(nanoseconds(t.ends[i]))
}

// Recipe gives the recipe that starts an equal clock whenever it is started.
func (t *Timeline) Recipe() Recipe {
	r := t.recipe
	if r.needsStart() {
		r.at, r.anchored = t.start, true
	}
	return r
}

// String gives the canonical clock text, with the "at" wherever that changes a reading: parsed and started, at whatever
// time, it gives an equal clock.
func (t *Timeline) String() string { return t.Recipe().String() }

// Equal tells whether both were made of the same canonical text, and so read the same at all times.
func (t *Timeline) Equal(other *Timeline) bool { return t.Recipe().Equal(other.Recipe()) }
