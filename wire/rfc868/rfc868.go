// Package rfc868 reads and writes the four bytes of the Time Protocol, RFC 868: the seconds since
// 1900-01-01T00:00:00Z, modulo 2^32, in network byte order.
//
// The count starts again every 2^32 seconds, some 136 years. Such a stretch is an era: era 0 runs from
// 1900-01-01T00:00:00Z until 2036-02-07T06:28:16Z, era 1 from there, era -1 before. The bytes do not say which era
// they mean, so a reader chooses: [Time.Near] takes the era that is nearest to a known instant, [Time.In] a given one.
//
// All arithmetic is in whole seconds, modulo 2^32 where it is about a Time; a time.Duration, which ends at 292 years,
// takes no part. The package does no I/O, and its functions may be called from any number of goroutines.
package rfc868

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Size is the length of a reply in bytes.
const Size = 4

// unixEpoch is 1970-01-01T00:00:00Z in seconds since 1900-01-01T00:00:00Z (RFC 868, the last page's table).
const unixEpoch = 2_208_988_800

// A Time is what a reply says: seconds since 1900-01-01T00:00:00Z, modulo 2^32.
type Time uint32

// Of returns the Time that a server sends at t. A fraction of a second is cut off, before 1900 too: the Time is that
// of the second that t is in. It holds for all t that [time.Time.Unix] can tell.
func Of(t time.Time) Time { return Time(uint32(t.Unix() + unixEpoch)) }

// Parse reads a reply. It has exactly 4 bytes; the error for any other names its length and its bytes, the first 64
// of them where there are more. Parse does not keep b.
func Parse(b []byte) (Time, error) {
	if len(b) != Size {
		return 0, lengthError(b)
	}
	return Time(binary.BigEndian.Uint32(b)), nil
}

// Append appends the 4 bytes of a reply to b and returns the longer slice.
func (v Time) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// In returns the instant, in UTC, that v means in the given era; era 0 starts at 1900-01-01T00:00:00Z. The years 1
// to 9999 lie in the eras -14 to 59. For eras beyond ±1,000,000,000 the result has no meaning.
func (v Time) In(era int) time.Time {
	return time.Unix(int64(era)<<32+int64(v)-unixEpoch, 0).UTC()
}

// Near returns the instant, in UTC, that v means in the era in which it is nearest to pivot: at most 2^31 seconds, some
// 68 years, before or after it. Of two that are equally near it returns the earlier one. It holds for a pivot in the
// years 1 to 9999; the result may lie up to 68 years outside them.
func (v Time) Near(pivot time.Time) time.Time {
	d := int32(v - Of(pivot)) // from the second that pivot is in, in [-2^31, 2^31)
	seconds := pivot.Unix() + int64(d)
	if d == -1<<31 && pivot.Nanosecond() > 0 {
		seconds += 1 << 32 // pivot is past the start of its second, so the later one is nearer
	}
	return time.Unix(seconds, 0).UTC()
}

// Era returns the era that t is in: 0 from 1900-01-01T00:00:00Z until before 2036-02-07T06:28:16Z.
// Of(t).In(Era(t)) is t without its fraction of a second.
func Era(t time.Time) int { return int((t.Unix() + unixEpoch) >> 32) }

// lengthError tells of a reply of the wrong length. It stands alone so that Parse itself stays small and inlines.
func lengthError(b []byte) error {
	const most = 64
	plural := "s"
	if len(b) == 1 {
		plural = ""
	}
	switch {
	case len(b) == 0:
		return fmt.Errorf("rfc868: reply has 0 bytes, want %d", Size)
	case len(b) > most:
		return fmt.Errorf("rfc868: reply has %d bytes, want %d: % x …", len(b), Size, b[:most])
	}
	return fmt.Errorf("rfc868: reply has %d byte%s, want %d: % x", len(b), plural, Size, b)
}
