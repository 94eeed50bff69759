package clock

import (
	"slices"
	"strings"
	"time"
)

// A Recipe is a parsed clock text: it says what a clock reads and how it runs, and starts clocks. The zero Recipe is that
// of "now". It is a value that never changes.
type Recipe struct {
	pieces   []piece // all but the last, or all if repeat, have a duration
	repeat   bool
	anchored bool
	at       span // real, if anchored
}

// A piece is one entry of a timeline. What it reads at the real time s of its own start is value, or s+value if relative.
type piece struct {
	relative bool
	value    span
	rate     Rate
	second   second // if not zero, rate is Normal
	duration int64  // nanoseconds of real time; 0: without end
}

// realTime is the piece of the text "now".
var realTime = piece{relative: true, rate: Normal}

// needsStart tells whether it matters when the piece starts: whether it is anything but an offset to real time.
func (p *piece) needsStart() bool { return !p.relative || p.rate != Normal || p.second != second{} }

// segment gives the piece's segment at the real instant now, when the piece starts at start and holds from begin, which is
// before start for a first piece, to end. A piece may consist of several.
func (p *piece) segment(start, begin, now, end span) Segment {
	served := p.value
	if p.relative {
		served = start.add(p.value)
	}
	l := line{start, served, p.rate}
	if p.second != (second{}) {
		return p.second.stretch(l, now).segment(begin, now, end)
	}
	return l.segment(begin, now, end)
}

// Start gives the clock that starts at the real time at, unless the text has an "at" of its own, which wins. A time outside
// the years 1 to 9999 counts as the nearer edge.
func (r Recipe) Start(at time.Time) *Timeline {
	t := &Timeline{recipe: r}
	t.recipe.at, t.recipe.anchored = span{}, false
	switch {
	case !r.needsStart():
	case r.anchored:
		t.start = r.at
	default:
		t.start = instantOf(at)
	}
	if !r.needsStart() {
		t.offset = new(t.Segment(time.Unix(0, 0)))
	}
	var end int64
	for _, p := range r.pieces {
		if p.duration > 0 {
			end += p.duration
			t.ends = append(t.ends, end)
		}
	}
	return t
}

// Anchor gives the real time that the text sets with "at", and false if it does not. The "at" of a plain offset does not
// count, since it changes no reading.
func (r Recipe) Anchor() (at time.Time, ok bool) {
	if !r.anchored {
		return time.Time{}, false
	}
	return r.at.time(), true
}

// needsStart tells whether it matters when the clock is started.
func (r Recipe) needsStart() bool {
	return len(r.pieces) > 1 || r.repeat || len(r.pieces) == 1 && r.pieces[0].needsStart()
}

// Equal tells whether both recipes have the same canonical text.
func (r Recipe) Equal(other Recipe) bool {
	return slices.Equal(r.canonicalPieces(), other.canonicalPieces()) &&
		r.repeat == other.repeat && r.anchored == other.anchored && r.at == other.at
}

func (r Recipe) canonicalPieces() []piece {
	if len(r.pieces) == 0 {
		return []piece{realTime}
	}
	return r.pieces
}

// String gives the canonical text: one for each recipe. It has an "at" if the recipe is anchored.
func (r Recipe) String() string {
	var b strings.Builder
	for i, p := range r.canonicalPieces() {
		if i > 0 {
			b.WriteString(" then ")
		}
		b.WriteString(p.String())
	}
	if r.repeat {
		b.WriteString(" repeat")
	}
	if r.anchored {
		b.WriteString(" at " + formatInstant(r.at))
	}
	return b.String()
}

// MarshalText gives the canonical text. Its error is always nil.
func (r Recipe) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText parses clock text; its error is Parse's.
func (r *Recipe) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// String gives the canonical text of the piece.
func (p piece) String() string {
	text, unsaid := formatOffset(p.value), p.second
	if !p.relative {
		text, unsaid = formatMoment(p.value, p.second)
	}
	if p.rate != Normal {
		text += " " + p.rate.String()
	}
	if unsaid != (second{}) {
		text += " " + unsaid.String()
	}
	if p.duration > 0 {
		text += " for " + formatDuration(nanoseconds(p.duration))
	}
	return text
}
