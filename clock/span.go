package clock

import (
	"math/bits"
	"time"
)

const nanosecondsPerSecond = 1_000_000_000

// A span is a length of time, or an instant as its distance from 1970-01-01T00:00:00Z. Unlike a time.Duration it is wide
// enough for the years 1 to 9999. Spans here stay within 2^41 seconds, so that sums of two do not overflow.
type span struct {
	sec  int64
	nsec int64 // 0 ≤ nsec < 10^9, also when sec is negative
}

var (
	earliest = span{sec: -62_135_596_800}                    // 0001-01-01T00:00:00Z
	latest   = span{sec: 253_402_300_799, nsec: 999_999_999} // 9999-12-31T23:59:59.999999999Z
	forever  = span{sec: 1 << 41}                            // after all instants
	never    = span{sec: -1 << 41}                           // before all instants

	oneSecond = span{sec: 1}
	oneDay    = span{sec: 24 * 3600}
)

// instantOf gives t, or the nearer edge of the years 1 to 9999 when it is outside them.
func instantOf(t time.Time) span { return span{t.Unix(), int64(t.Nanosecond())}.within() }

func durationOf(d time.Duration) span {
	return span{int64(d / time.Second), 0}.add(nanoseconds(int64(d % time.Second)))
}

// nanoseconds gives the span of n nanoseconds.
func nanoseconds(n int64) span {
	a := span{n / nanosecondsPerSecond, n % nanosecondsPerSecond}
	if a.nsec < 0 {
		a.sec--
		a.nsec += nanosecondsPerSecond
	}
	return a
}

// time gives the instant a in UTC.
func (a span) time() time.Time { return time.Unix(a.sec, a.nsec).UTC() }

func (a span) add(b span) span {
	a.sec += b.sec
	a.nsec += b.nsec
	if a.nsec >= nanosecondsPerSecond {
		a.sec++
		a.nsec -= nanosecondsPerSecond
	}
	return a
}

func (a span) sub(b span) span {
	a.sec -= b.sec
	a.nsec -= b.nsec
	if a.nsec < 0 {
		a.sec--
		a.nsec += nanosecondsPerSecond
	}
	return a
}

func (a span) neg() span { return span{}.sub(a) }

func (a span) less(b span) bool { return a.sec < b.sec || a.sec == b.sec && a.nsec < b.nsec }

// within gives the instant a, or the nearer edge of the years 1 to 9999.
func (a span) within() span {
	switch {
	case a.sec < earliest.sec:
		return earliest
	case a.sec > latest.sec:
		return latest
	}
	return a
}

// endOfDay gives the first midnight, in UTC, after the instant a.
func (a span) endOfDay() span {
	passed := a.sec % oneDay.sec
	if passed < 0 {
		passed += oneDay.sec
	}
	return span{sec: a.sec - passed + oneDay.sec}
}

func (a span) isWithin() bool { return earliest.sec <= a.sec && a.sec <= latest.sec }

// wide gives the nanoseconds of a span that is not negative, as 128 bits.
func (a span) wide() (hi, lo uint64) {
	hi, lo = bits.Mul64(uint64(a.sec), nanosecondsPerSecond)
	lo, carry := bits.Add64(lo, uint64(a.nsec), 0)
	return hi + carry, lo
}

// scale gives the served time that passes in the real time a at rate r, rounded down to whole nanoseconds. |a| is below
// 2^40 seconds; so the seconds of the product are below 2^58, whatever r is.
func (a span) scale(r Rate) span {
	if r == Normal {
		return a
	}
	// a.sec·r, in two's complement: whole seconds, and a rest of less than one in 2^-46 seconds.
	hi, lo := bits.Mul64(uint64(max(a.sec, -a.sec)), uint64(r))
	if a.sec < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	sec := int64(hi<<(64-rateBits) | lo>>rateBits)
	rest := lo & (1<<rateBits - 1)

	// rest·10^9 + a.nsec·r, in 2^-46 nanoseconds.
	hi, lo = bits.Mul64(rest, nanosecondsPerSecond)
	hi2, lo2 := bits.Mul64(uint64(a.nsec), uint64(r))
	lo, carry := bits.Add64(lo, lo2, 0)
	hi, _ = bits.Add64(hi, hi2, carry)
	nsec := hi<<(64-rateBits) | lo>>rateBits
	return span{sec + int64(nsec/nanosecondsPerSecond), int64(nsec % nanosecondsPerSecond)}
}

// unscale gives the least real time in which the served time a, or more, passes at rate r > 0: the least x with
// x.scale(r) ≥ a. It gives forever or never where that is 2^40 seconds or more.
func (a span) unscale(r Rate) span {
	if r == Normal {
		return a
	}
	negative := a.sec < 0
	if negative {
		a = a.neg()
	}
	hi, lo := a.wide()
	hi, lo = hi<<rateBits|lo>>(64-rateBits), lo<<rateBits
	high, rest := hi/uint64(r), hi%uint64(r)
	low, rest := bits.Div64(rest, lo, uint64(r))
	if rest != 0 && !negative { // up, which is away from zero only when positive
		var carry uint64
		low, carry = bits.Add64(low, 1, 0)
		high += carry
	}
	x, tooFar := span{}, high >= nanosecondsPerSecond
	if !tooFar {
		sec, nsec := bits.Div64(high, low, nanosecondsPerSecond)
		x, tooFar = span{int64(sec), int64(nsec)}, sec >= 1<<40
	}
	switch {
	case tooFar && negative:
		return never
	case tooFar:
		return forever
	case negative:
		return x.neg()
	}
	return x
}
