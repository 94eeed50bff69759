package ask

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"
)

// An Offset is how far served time is from real time: negative is behind. It is wide enough for any two times of the years
// 1 to 9999, unlike a time.Duration, which ends at 292 years.
type Offset struct {
	Seconds     int64 // rounded down: -1 for half a second behind
	Nanoseconds int64 // on top of Seconds: 0 to 999,999,999
}

const second = int64(time.Second)

// offsetBetween returns how far served is from real.
func offsetBetween(real, served time.Time) Offset {
	return makeOffset(served.Unix()-real.Unix(), int64(served.Nanosecond()-real.Nanosecond()))
}

// makeOffset returns seconds and nanoseconds, -10^9 to 2·10^9 of them, as an Offset.
func makeOffset(seconds, nanoseconds int64) Offset {
	switch {
	case nanoseconds < 0:
		return Offset{seconds - 1, nanoseconds + second}
	case nanoseconds >= second:
		return Offset{seconds + 1, nanoseconds - second}
	}
	return Offset{seconds, nanoseconds}
}

// mean returns the middle between o and p, rounded down to the nanosecond.
func (o Offset) mean(p Offset) Offset {
	seconds := o.Seconds + p.Seconds
	return makeOffset(seconds>>1, (seconds&1*second+o.Nanoseconds+p.Nanoseconds)/2)
}

// Duration returns o as a time.Duration, or the nearest that there is beyond 292 years.
func (o Offset) Duration() time.Duration {
	const most = math.MaxInt64 / second
	switch {
	case o.Seconds >= most:
		return math.MaxInt64
	case o.Seconds < -most:
		return math.MinInt64
	}
	return time.Duration(o.Seconds*second + o.Nanoseconds)
}

// Compare returns -1 where o is before p, 1 where it is after, and 0 where they are equal.
func (o Offset) Compare(p Offset) int {
	return cmp.Or(cmp.Compare(o.Seconds, p.Seconds), cmp.Compare(o.Nanoseconds, p.Nanoseconds))
}

// Round returns o in whole seconds, the nearest; of two equally near the later one.
func (o Offset) Round() int64 { return o.Seconds + (o.Nanoseconds+second/2)/second }

// Format returns o in seconds as a decimal number with the given digits after the point, 0 to 9, rounded: "-86399.999987".
func (o Offset) Format(digits int) string {
	sign, seconds, nanoseconds := "", o.Seconds, o.Nanoseconds
	if seconds < 0 {
		sign, seconds = "-", -seconds
		if nanoseconds > 0 {
			seconds, nanoseconds = seconds-1, second-nanoseconds
		}
	}
	digits = min(max(digits, 0), 9)
	unit := int64(math.Pow10(9 - digits))
	nanoseconds = (nanoseconds + unit/2) / unit * unit
	seconds, nanoseconds = seconds+nanoseconds/second, nanoseconds%second
	if seconds == 0 && nanoseconds == 0 {
		sign = ""
	}
	if digits == 0 {
		return fmt.Sprintf("%s%d", sign, seconds)
	}
	return fmt.Sprintf("%s%d.%0*d", sign, seconds, digits, nanoseconds/unit)
}

// String returns o exactly, as in "-86399.999987s".
func (o Offset) String() string {
	return strings.TrimSuffix(strings.TrimRight(o.Format(9), "0"), ".") + "s"
}
