package clock

import (
	"math/bits"
	"strconv"
	"strings"
)

// A unit is a unit of time in clock text.
type unit struct {
	name        string
	nanoseconds int64
}

// units are the units of clock text, falling.
var units = []unit{
	{"w", 7 * 24 * 3600 * nanosecondsPerSecond},
	{"d", 24 * 3600 * nanosecondsPerSecond},
	{"h", 3600 * nanosecondsPerSecond},
	{"m", 60 * nanosecondsPerSecond},
	{"s", nanosecondsPerSecond},
	{"ms", 1_000_000},
	{"us", 1_000},
	{"ns", 1},
}

// widest is the largest offset, the length of the years 1 to 9999: with it a clock reads one edge as long as real time has
// not reached the other.
var widest = span{sec: 3_652_059 * 24 * 3600}

const (
	widestName   = "9,999 years (3652059d)"
	wantDuration = "a duration such as 24h, 1h30m or 1.5s"
)

// formatDuration gives a span that is not negative in falling units: whole weeks as weeks, all else from days down. Zero
// is "0s".
func formatDuration(a span) string {
	const week, day = 7 * 24 * 3600, 24 * 3600
	if a.nsec == 0 && a.sec > 0 && a.sec%week == 0 {
		return strconv.FormatInt(a.sec/week, 10) + "w"
	}
	var b []byte
	if days := a.sec / day; days > 0 {
		b = append(strconv.AppendInt(b, days, 10), 'd')
	}
	rest := a.sec%day*nanosecondsPerSecond + a.nsec
	for _, u := range units[2:] {
		if n := rest / u.nanoseconds; n > 0 {
			b = append(strconv.AppendInt(b, n, 10), u.name...)
			rest %= u.nanoseconds
		}
	}
	if len(b) == 0 {
		return "0s"
	}
	return string(b)
}

// formatOffset gives an offset to real time as the base of a piece.
func formatOffset(a span) string {
	switch a {
	case span{}:
		return "now"
	case dayBehind:
		return "yesterday"
	case oneDay:
		return "tomorrow"
	}
	if a.sec < 0 {
		return "-" + formatDuration(a.neg())
	}
	return "+" + formatDuration(a)
}

// duration reads `number unit { number unit }`, text[pos:end] of the parser's text, at most widest.
func (p *parser) duration(pos, end int) (span, error) {
	var total span
	last := -1
	for at := pos; at < end || at == pos; {
		whole, fraction, next, ok := p.number(at, end)
		if !ok {
			return span{}, p.wrong(at, end, "bad duration", wantDuration, p.durationHint(pos, end))
		}
		unitEnd := next
		for unitEnd < end && (p.text[unitEnd] >= 'a' && p.text[unitEnd] <= 'z' || p.text[unitEnd] >= 'A' && p.text[unitEnd] <= 'Z' || p.text[unitEnd] >= 0x80) {
			unitEnd++
		}
		name := p.text[next:unitEnd]
		i := unitIndex(name)
		switch {
		case name == "" && next < end:
			return span{}, p.wrong(next, end, "bad duration", wantDuration, "")
		case name == "":
			hint := quoted(p.text[pos:end]+"s") + " is seconds"
			if unit, after := p.peek(); unitIndex(unit) >= 0 && after.pos == end+1 {
				hint = didYouMean(p.text[pos:end] + unit)
			}
			return span{}, p.wrong(at, end, "no unit after", "w, d, h, m, s, ms, us or ns", hint)
		case i < 0:
			return span{}, p.wrong(next, unitEnd, "unknown unit", "w, d, h, m, s, ms, us or ns", unitHint(name))
		case i == last:
			return span{}, p.wrong(at, unitEnd, "doubled unit", "each unit once", "")
		case i < last:
			return span{}, p.wrong(at, unitEnd, "unit out of order", "falling units, as in 1d2h30m", "")
		}
		last = i
		part, err := p.multiply(whole, fraction, units[i], at, unitEnd)
		if err != nil {
			return span{}, err
		}
		total = total.add(part)
		if widest.less(total) {
			return span{}, p.wrong(pos, end, "too long a duration", "at most "+widestName, "")
		}
		at = unitEnd
	}
	return total, nil
}

// multiply gives whole.fraction units, which must come to whole nanoseconds. The number stands at pos, its unit ends at end.
func (p *parser) multiply(whole, fraction string, u unit, pos, end int) (span, error) {
	n, err := strconv.ParseUint(whole, 10, 64)
	hi, lo := bits.Mul64(n, uint64(u.nanoseconds))
	if err != nil || hi >= nanosecondsPerSecond {
		return span{}, p.wrong(pos, end, "too long a duration", "at most "+widestName, "")
	}
	sec, nsec := bits.Div64(hi, lo, nanosecondsPerSecond)
	if sec > uint64(widest.sec) {
		return span{}, p.wrong(pos, end, "too long a duration", "at most "+widestName, "")
	}
	total := span{int64(sec), int64(nsec)}

	fraction = strings.TrimRight(fraction, "0")
	if fraction == "" {
		return total, nil
	}
	// A week is 2^16·5^11 ns times an odd number: more than 16 digits never come to whole nanoseconds.
	if len(fraction) <= 16 {
		n, _ := strconv.ParseUint(fraction, 10, 64)
		scale := uint64(1)
		for range len(fraction) {
			scale *= 10
		}
		hi, lo := bits.Mul64(n, uint64(u.nanoseconds))
		if part, rest := bits.Div64(hi, lo, scale); rest == 0 {
			return total.add(nanoseconds(int64(part))), nil
		}
	}
	return span{}, p.wrong(pos, end, "too fine a duration", "whole nanoseconds", "")
}

// number reads `digit { digit } [ "." digit { digit } ]` at the start of text[pos:end].
func (p *parser) number(pos, end int) (whole, fraction string, next int, ok bool) {
	next = p.digits(pos, end)
	whole = p.text[pos:next]
	if next == pos {
		return "", "", pos, false
	}
	if next < end && p.text[next] == '.' {
		begin := next + 1
		next = p.digits(begin, end)
		if next == begin {
			return "", "", pos, false
		}
		fraction = p.text[begin:next]
	}
	return whole, fraction, next, true
}

// digits gives where the digits at text[pos:end] end.
func (p *parser) digits(pos, end int) int {
	for pos < end && isDigit(p.text[pos]) {
		pos++
	}
	return pos
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func unitIndex(name string) int {
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}

// unitHint says what an unknown unit may have meant.
func unitHint(name string) string {
	switch strings.ToLower(name) {
	case "y", "yr", "year", "years", "mo", "month", "months":
		return "years and months differ in length: use days, or an instant"
	case "week", "weeks", "day", "days", "hr", "hrs", "hour", "hours":
		return didYouMean(strings.ToLower(name[:1]))
	case "min", "mins", "minute", "minutes", "sec", "secs", "second", "seconds":
		return didYouMean(strings.ToLower(name[:1]))
	case "µs", "μs": // micro sign, Greek mu
		return didYouMean("us")
	}
	if lower := strings.ToLower(name); unitIndex(lower) >= 0 {
		return didYouMean(lower)
	}
	return ""
}

// durationHint says what a broken duration may have meant.
func (p *parser) durationHint(pos, end int) string {
	switch word := p.text[pos:end]; {
	case word == "":
		return "no space between the sign and the duration"
	case word[0] == '+' || word[0] == '-':
		return "one sign, and none inside"
	case word[0] == '.' && len(word) > 1 && isDigit(word[1]):
		return didYouMean("0" + word)
	}
	return ""
}
