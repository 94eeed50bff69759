package clock

import (
	"math/bits"
	"strings"
)

// A Leap is what a clock announces of the end of its UTC day, numbered as NTP's leap indicator (RFC 5905, figure 9).
type Leap uint8

// What is announced.
const (
	LeapNone    Leap = iota // nothing
	LeapInsert              // the day's last minute has 61 seconds
	LeapDelete              // the day's last minute has 59 seconds
	LeapUnknown             // the clock is not synchronised
)

// String gives "none", "insert", "delete" or "unknown".
func (l Leap) String() string {
	switch l {
	case LeapNone:
		return "none"
	case LeapInsert:
		return "insert"
	case LeapDelete:
		return "delete"
	}
	return "unknown"
}

// MarshalText gives the text of String. Its error is always nil.
func (l Leap) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// maxSmear is the widest smear, in nanoseconds.
const maxSmear = 7 * 24 * 3600 * nanosecondsPerSecond

// A second is what becomes of the end of the served UTC day in which a piece starts. The zero second is nothing special.
type second struct {
	leap  Leap  // LeapInsert or LeapDelete: done at once, and announced
	smear int64 // else over how many nanoseconds of served time a second is inserted; 0: none is
}

// A stretch is the part of a piece, between real instants, in which it is one line.
type stretch struct {
	line
	from, to span // never, forever: as long as the piece
	leap     Leap
	smear    bool
}

// stretch gives the stretch that holds at the real instant now. The line, at rate 1, is what the piece would read without
// the second; it is taken up at the piece's start. The day is that of what is read there, so that of an edge of time for a
// line that is outside. The year 9999 has no end: there is no second.
func (x second) stretch(l line, now span) stretch {
	midnight := l.served.within().endOfDay()
	if latest.less(midnight) {
		return stretch{line: l, from: never, to: forever}
	}
	if x.smear > 0 {
		return smear(l, midnight, x.smear, now)
	}
	announced := l.reaches(midnight.sub(oneDay))
	switch {
	case now.less(announced):
		return stretch{line: l, from: never, to: announced}
	case x.leap == LeapDelete:
		// A piece that starts within the deleted second finds it gone, and reads one second more.
		deleted := l.reaches(midnight.sub(oneSecond))
		if now.less(deleted) {
			return stretch{line: l, from: announced, to: deleted, leap: LeapDelete}
		}
		return stretch{line: line{deleted, midnight, Normal}, from: deleted, to: forever}
	}
	again := l.reaches(midnight)
	over := again.add(oneSecond)
	switch {
	case now.less(again):
		return stretch{line: l, from: announced, to: again, leap: LeapInsert}
	case now.less(over):
		return stretch{line: line{again, midnight.sub(oneSecond), Normal}, from: again, to: over, leap: LeapInsert}
	}
	return stretch{line: line{over, midnight, Normal}, from: over, to: forever}
}

// smear gives the stretch that holds at now when the second is spread over width nanoseconds around midnight: in these,
// which take a second more of real time, the rate is lower. It is rounded down, so that served time is never ahead where
// the smear ends, but up to smearRest behind.
func smear(l line, midnight span, width int64, now span) stretch {
	hi, lo := bits.Mul64(uint64(width), uint64(Normal))
	rate, _ := bits.Div64(hi, lo, uint64(width)+nanosecondsPerSecond)
	first := midnight.sub(nanoseconds(width / 2))
	last := first.add(nanoseconds(width))

	slow := line{l.real, l.served, Rate(rate)}
	if l.served.less(first) {
		slow.real, slow.served = l.reaches(first), first
	}
	begins := slow.reaches(first)
	ends := begins.add(nanoseconds(width)).add(oneSecond)
	s := stretch{line: slow, from: begins, to: ends, smear: true}
	// What begins or ends outside the years 1 to 9999, where the clock stands, has nothing before or after it.
	if !earliest.less(first) {
		s.from = never
	}
	if latest.less(last) {
		s.to = forever
	}
	switch {
	case now.less(s.from):
		return stretch{line: line{begins, first, Normal}, from: never, to: begins}
	case !now.less(s.to):
		return stretch{line: line{ends, last, Normal}, from: ends, to: forever}
	}
	return s
}

// smearRest is more than what served time may be behind at the end of a smear: the rate's last bit, times maxSmear, and
// what is rounded down twice.
const smearRest = 12 // nanoseconds

// segment gives the segment that holds at the real instant now, when the piece holds from begin to end.
func (s stretch) segment(begin, now, end span) Segment {
	begin, end = later(begin, s.from), sooner(end, s.to)
	l := s.line
	if l.real.less(begin) || !l.real.less(end) { // it has rate 1 then: nothing is rounded
		l.real, l.served = begin, l.at(begin)
	}
	segment := l.segment(begin, now, end)
	segment.Leap, segment.smear = s.leap, s.smear
	return segment
}

// String gives the second as clock text has it, and nothing for the zero second.
func (x second) String() string {
	switch {
	case x.smear > 0:
		return "smear " + formatDuration(nanoseconds(x.smear))
	case x.leap == LeapInsert:
		return "leap"
	case x.leap == LeapDelete:
		return "leap-"
	}
	return ""
}

// isSecond tells whether a word begins a second.
func isSecond(text string) bool { return text == "leap" || text == "leap-" || text == "smear" }

// second reads `"leap" | "leap-" | "smear" duration`.
func (p *parser) second() (second, error) {
	switch text, _ := p.next(); text {
	case "leap":
		return second{leap: LeapInsert}, nil
	case "leap-":
		return second{leap: LeapDelete}, nil
	}
	const want = "a duration such as 24h"
	text, w := p.peek()
	switch {
	case text == "" || text == "for" || text == "at" || text == "then" || text == "repeat" || isRate(text):
		return second{}, p.wrong(w.pos, w.end, `no duration behind "smear"`, want, didYouMean("smear 24h"))
	case text[0] == '+' || text[0] == '-':
		return second{}, p.wrong(w.pos, w.end, "bad duration", want, didYouMean("smear "+text[1:]))
	}
	p.next()
	width, err := p.duration(w.pos, w.end)
	switch {
	case err != nil:
		return second{}, err
	case width == span{}:
		return second{}, p.wrong(w.pos, w.end, "bad smear", "more than 0", `"leap" inserts the second at once`)
	case nanoseconds(maxSmear).less(width):
		return second{}, p.wrong(w.pos, w.end, "too wide a smear", "at most 7d", "24h is the usual one")
	}
	return second{smear: width.sec*nanosecondsPerSecond + width.nsec}, nil
}

// secondHint says what a word that is no second may have meant, and nothing if it is far from one.
func secondHint(text string) string {
	const smear = "smear"
	lower := strings.ToLower(text)
	width, isSmear := strings.CutPrefix(lower, smear)
	switch {
	case lower == "leap+":
		return `"leap" inserts a second, "leap-" deletes one`
	case isSmear && width != "" && isDigit(width[0]):
		return didYouMean(smear + " " + width)
	case lower != text && isSecond(lower):
		return didYouMean(lower)
	}
	return ""
}
