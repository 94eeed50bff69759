package clock

import (
	"iter"
	"time"
)

// A Change is a moment from which on a clock reads, or is read, differently.
type Change struct {
	Kind   ChangeKind
	Real   time.Time // when it happens
	Before time.Time // what the clock would have read at Real had the segment before gone on
	Served time.Time // what it reads at Real
	// Segment is the one that holds from Real on.
	Segment Segment
}

// A ChangeKind says what changes.
type ChangeKind uint8

const (
	// SegmentStart is a new segment: Served jumps away from Before, or the rate changes, or both, or neither. What a leap
	// second does by itself is none, but told as one of the kinds below.
	SegmentStart ChangeKind = iota
	// TimeRollover is a served time of 1900-01-01T00:00:00Z + k·2^32 s, such as 2036-02-07T06:28:16Z: the count of RFC 868
	// wraps to 0, and NTP's with it.
	TimeRollover
	// UnixRollover is the served time 2038-01-19T03:14:08Z, where Unix time leaves 31 bits.
	UnixRollover
	// LeapAnnounced is where Segment.Leap becomes LeapInsert or LeapDelete.
	LeapAnnounced
	// LeapInserted is a midnight at which served time goes back a second, to 23:59:59 again. It is announced on.
	LeapInserted
	// LeapDeleted is where served time would be 23:59:59 and is midnight. It is no longer announced.
	LeapDeleted
	// LeapOver is where the announcement ends otherwise: when the inserted second is over, or with the piece.
	LeapOver
	// SmearBegin is where a second begins to be spread: the rate is a little lower.
	SmearBegin
	// SmearEnd is where it has been spread. Served may be some nanoseconds, of rounding, ahead of Before.
	SmearEnd
)

// String gives "segment", "rfc868-rollover", "unix-rollover", "leap-announced", "leap-inserted", "leap-deleted",
// "leap-over", "smear-begin" or "smear-end".
func (k ChangeKind) String() string {
	switch k {
	case SegmentStart:
		return "segment"
	case TimeRollover:
		return "rfc868-rollover"
	case UnixRollover:
		return "unix-rollover"
	case LeapAnnounced:
		return "leap-announced"
	case LeapInserted:
		return "leap-inserted"
	case LeapDeleted:
		return "leap-deleted"
	case LeapOver:
		return "leap-over"
	case SmearBegin:
		return "smear-begin"
	case SmearEnd:
		return "smear-end"
	}
	return "unknown"
}

// MarshalText gives the text of String. Its error is always nil.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Changes gives what changes on c after the real time from, up to and including until (zero: for ever), in the order of
// real time. A rollover is where a clock runs into the moment or is set right on it, not where it jumps over. It looks no
// further ahead than it is asked: a loop gives changes without end.
func Changes(c Clock, from, until time.Time) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		now, end := instantOf(from), latest
		if !until.IsZero() {
			end = instantOf(until)
		}
		segment := c.Segment(now.time())
		for {
			next := instantOf(segment.Until)
			last := segment.Until.IsZero() || end.less(next)
			reach := end
			if !last {
				reach = next.sub(span{nsec: 1})
			}
			for {
				rollover, ok := segment.rollover(now, reach)
				if !ok {
					break
				}
				if !yield(rollover) {
					return
				}
				now = instantOf(rollover.Real)
			}
			if last || !now.less(next) { // the second: somebody's clock that does not go on
				return
			}
			before := segment
			segment = c.Segment(next.time())
			for _, change := range starts(before, segment, next) {
				if !yield(change) {
					return
				}
			}
			now = next
		}
	}
}

// rollover gives the first rollover of the segment after the real instant now, up to and including end.
func (s Segment) rollover(now, end span) (Change, bool) {
	kind, moment, ok := nextRollover(instantOf(s.At(now.time())))
	if !ok {
		return Change{}, false
	}
	real := s.line().reaches(moment)
	if end.less(real) {
		return Change{}, false
	}
	served := s.At(real.time())
	return Change{kind, real.time(), served, served, s}, true
}

// starts gives what changes where the segment after follows before, at the real instant now.
func starts(before, after Segment, now span) []Change {
	start := Change{SegmentStart, now.time(), before.At(now.time()), after.At(now.time()), after}
	changes := start.seconds(before)
	from, to, served := instantOf(before.At(now.sub(span{nsec: 1}).time())), instantOf(start.Before), instantOf(start.Served)
	if before.smear && changes[0].Kind != SegmentStart { // its end jumps over nothing
		to = served
	}
	if kind, moment, ok := nextRollover(from); ok && (served == moment || !to.less(moment) && !served.less(moment)) {
		start.Kind = kind
		changes = append(changes, start)
	}
	return changes
}

// seconds gives what the start of a segment is with regard to a leap second, when the segment before it was that: the
// start itself, unless the second explains all of it, and then what begins or ends.
func (c Change) seconds(before Segment) []Change {
	after, jump := c.Segment, instantOf(c.Served).sub(instantOf(c.Before))
	var kinds []ChangeKind
	explained := false
	switch was, is := before.announces(), after.announces(); {
	case before.Leap == LeapInsert && after.Leap == LeapInsert && isMidnight(c.Before) && jump == oneSecond.neg():
		kinds, explained = append(kinds, LeapInserted), true
	case before.Leap == LeapDelete && !is && isMidnight(c.Served) && jump == oneSecond:
		kinds, explained = append(kinds, LeapDeleted), true
	case is && before.Leap != after.Leap:
		kinds, explained = append(kinds, LeapAnnounced), jump == span{} && before.Rate == after.Rate
	case was && !is:
		kinds, explained = append(kinds, LeapOver), jump == span{} && before.Rate == after.Rate
	}
	switch {
	case after.smear && !before.smear:
		kinds, explained = append(kinds, SmearBegin), jump == span{} && before.Rate == Normal
	case before.smear && !after.smear:
		kinds, explained = append(kinds, SmearEnd), !jump.less(span{}) && jump.less(span{nsec: smearRest}) && after.Rate == Normal
	}
	var changes []Change
	if !explained {
		changes = append(changes, c)
	}
	for _, c.Kind = range kinds {
		changes = append(changes, c)
	}
	return changes
}

// announces tells whether the segment announces a leap second.
func (s Segment) announces() bool { return s.Leap == LeapInsert || s.Leap == LeapDelete }

func isMidnight(t time.Time) bool {
	a := instantOf(t)
	return a.nsec == 0 && a.sec%oneDay.sec == 0
}

// nextRollover gives the first rollover after a served instant, and false after the last of the year 9999.
func nextRollover(served span) (kind ChangeKind, moment span, ok bool) {
	const unix, time1900 = 1 << 31, -2_208_988_800
	if next := ((served.sec-time1900)>>32+1)<<32 + time1900; served.sec >= unix || next < unix {
		return TimeRollover, span{sec: next}, next <= latest.sec
	}
	return UnixRollover, span{sec: unix}, true
}
