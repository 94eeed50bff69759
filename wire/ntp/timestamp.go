package ntp

import "time"

// A Timestamp is served time in seconds since 1900-01-01T00:00:00Z modulo 2^32, and a fraction: Q32.32 (RFC 5905, section
// 6). It wraps at 2036-02-07T06:28:16Z and tells no era. Zero means that the time is not known.
type Timestamp uint64

// unix1900 is 1900-01-01T00:00:00Z in Unix seconds.
const unix1900 = -2_208_988_800

// TimestampOf returns t in an era that is forgotten, rounded down to 2^-32 seconds. What would be zero, which says that
// nobody knows, is 2^-32 seconds later. It is right for each t in the years 1 to 9999.
func TimestampOf(t time.Time) Timestamp {
	seconds := uint64(t.Unix()-unix1900) << 32 // modulo 2^32, before 1900 too
	fraction := uint64(t.Nanosecond()) << 32 / 1_000_000_000
	return max(Timestamp(seconds|fraction), 1)
}

// Near returns the instant, in UTC, that s means in the era in which it is nearest to pivot: at most 2^31 seconds, some 68
// years, before or after it. Of two that are equally near it returns the earlier one. It is rounded to the nanosecond, and
// right for a pivot in the years 1 to 9999; the result may lie up to 68 years outside them.
func (s Timestamp) Near(pivot time.Time) time.Time {
	ahead := int64(int32(uint32(s>>32) - uint32(pivot.Unix()-unix1900))) // from the pivot's second, in [-2^31, 2^31)
	if ahead == -1<<31 && s.nanoseconds() < int64(pivot.Nanosecond()) {
		ahead += 1 << 32 // the pivot is later in its second, so the later one is nearer
	}
	return time.Unix(pivot.Unix()+ahead, s.nanoseconds()).UTC()
}

// In returns the instant, in UTC, that s means in the given era, rounded to the nanosecond; era 0 starts at
// 1900-01-01T00:00:00Z. The years 1 to 9999 lie in the eras -14 to 59.
func (s Timestamp) In(era int) time.Time {
	return time.Unix(unix1900+int64(era)<<32+int64(s>>32), s.nanoseconds()).UTC()
}

// Era returns the era that t is in: 0 from 1900-01-01T00:00:00Z until before 2036-02-07T06:28:16Z.
func Era(t time.Time) int { return int((t.Unix() - unix1900) >> 32) }

// nanoseconds returns the fraction, rounded: 0 to 1,000,000,000. What TimestampOf made of nanoseconds comes back exactly.
func (s Timestamp) nanoseconds() int64 {
	return int64((uint64(uint32(s))*1_000_000_000 + 1<<31) >> 32)
}

// Sub returns how long s is after o, rounded to the nanosecond: negative where it is before. They are taken to be the
// nearest that they can mean, at most 2^31 seconds apart, on whichever sides of an era's end.
func (s Timestamp) Sub(o Timestamp) time.Duration {
	d := int64(s - o) // modulo 2^64: signed Q32.32 seconds
	seconds, fraction := d>>32, uint64(uint32(d))
	return time.Duration(seconds)*time.Second + time.Duration((fraction*1_000_000_000+1<<31)>>32)
}

// A Short is seconds in Q16.16: 0 to below 65,536 (RFC 5905, section 6).
type Short uint32

// ShortOf returns d, rounded up to 2^-16 seconds, since it bounds an error; below 0 it is 0, and beyond what a Short holds
// the most that it does.
func ShortOf(d time.Duration) Short {
	switch {
	case d <= 0:
		return 0
	case d >= 1<<16*time.Second:
		return 1<<32 - 1
	}
	seconds, rest := uint64(d/time.Second), uint64(d%time.Second)
	return Short(min(seconds<<16+(rest<<16+999_999_999)/1_000_000_000, 1<<32-1))
}

// Duration returns s, rounded to the nanosecond.
func (s Short) Duration() time.Duration {
	return time.Duration((uint64(s)*1_000_000_000 + 1<<15) >> 16)
}
