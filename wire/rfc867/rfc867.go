// Package rfc867 reads and writes the line of the Daytime Protocol, RFC 867. The RFC leaves the line's form open; this is
// the one that inetd has always written, which is the C library's ctime: "Sun Mar 20 09:29:09 2016", then CR and LF.
//
// The line does not tell its zone: it is the server's. The package does no I/O, and its functions may be called from any
// number of goroutines.
package rfc867

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// MaxSize is the greatest length in bytes of a line that [Append] writes for a year from 1 to 9999.
const MaxSize = 26

// Append appends the line for t, in t's own zone, to b and returns the longer slice: the ctime form, CR and LF.
func Append(b []byte, t time.Time) []byte { return append(AppendCtime(b, t), '\r', '\n') }

// AppendCtime appends the ctime form of t, in t's own zone and without a line end, to b and returns the longer slice.
// The day of the month is padded with a space and the year is not padded, as in C. A fraction of a second is cut off.
func AppendCtime(b []byte, t time.Time) []byte {
	b = t.AppendFormat(b, "Mon Jan _2 15:04:05 ")
	return strconv.AppendInt(b, int64(t.Year()), 10)
}

// Parse reads a line in ctime form, which may end in CR LF, in LF or in nothing, as the time in zone; a nil zone is the
// host's. The day of the month may be padded with a space, with a zero or not at all; the year has one to four digits
// and is 1 or more; the day of the week must be the date's. A time that zone has twice, as its clocks go back, is read
// as one of the two, and one that it skips as an instant near to it: see [time.Date]. Parse does not keep b.
func Parse(b []byte, zone *time.Location) (time.Time, error) {
	text := bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	l, ok := read(text)
	if !ok {
		return time.Time{}, fmt.Errorf("rfc867: line is %s, want the form %q", shown(text), "Sun Mar 20 09:29:09 2016")
	}
	// The date is checked in UTC, where none is skipped.
	date := time.Date(l.year, l.month, l.day, 0, 0, 0, 0, time.UTC)
	if date.Day() != l.day {
		return time.Time{}, fmt.Errorf("rfc867: line is %s, but %s %d has no day %d", shown(text), l.month, l.year, l.day)
	}
	if date.Weekday() != l.weekday {
		return time.Time{}, fmt.Errorf("rfc867: line is %s, but that day is a %s", shown(text), date.Weekday())
	}
	if zone == nil {
		zone = time.Local
	}
	return time.Date(l.year, l.month, l.day, l.hour, l.minute, l.second, 0, zone), nil
}

// A line is what a line says, field by field, as yet without a zone.
type line struct {
	weekday                         time.Weekday
	month                           time.Month
	year, day, hour, minute, second int
}

// read takes text apart. It checks each field's range, but not whether the month has the day, nor the weekday.
func read(text []byte) (l line, ok bool) {
	weekday, text := name(text, "SunMonTueWedThuFriSat")
	month, text := name(text, "JanFebMarAprMayJunJulAugSepOctNovDec")
	if len(text) > 0 && text[0] == ' ' { // ctime pads the day to two places
		text = text[1:]
	}
	day, text := number(text, 2, ' ')
	hour, text := number(text, 2, ':')
	minute, text := number(text, 2, ':')
	second, text := number(text, 2, ' ')
	year := 0
	if len(text) > 0 && len(text) <= 4 {
		year, _ = number(text, 4, 0)
	}
	l = line{time.Weekday(weekday), time.Month(month + 1), year, day, hour, minute, second}
	return l, weekday >= 0 && month >= 0 && year >= 1 && day >= 1 && day <= 31 &&
		hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 && second <= 59
}

// name reads a name of three letters and a space, and returns its place in names and what follows. Where text has none
// it returns -1 and no text.
func name(text []byte, names string) (int, []byte) {
	if len(text) < 4 || text[3] != ' ' {
		return -1, nil
	}
	for i := 0; i < len(names); i += 3 {
		if string(text[:3]) == names[i:i+3] {
			return i / 3, text[4:]
		}
	}
	return -1, nil
}

// number reads 1 to most digits and the byte that ends them, or the end of text where end is 0, and returns the value
// and what follows. Where text has none it returns -1 and no text.
func number(text []byte, most int, end byte) (int, []byte) {
	n, digits := 0, 0
	for digits < len(text) && digits < most && '0' <= text[digits] && text[digits] <= '9' {
		n = n*10 + int(text[digits]-'0')
		digits++
	}
	switch {
	case digits == 0:
		return -1, nil
	case end == 0 && digits == len(text):
		return n, nil
	case end != 0 && digits < len(text) && text[digits] == end:
		return n, text[digits+1:]
	}
	return -1, nil
}

// shown quotes text for an error, its first 48 bytes where there are more.
func shown(text []byte) string {
	const most = 48
	if len(text) > most {
		return fmt.Sprintf("%q… (%d bytes)", text[:most], len(text))
	}
	return strconv.Quote(string(text))
}
