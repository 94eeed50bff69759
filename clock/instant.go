package clock

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

const wantInstant = "an instant such as 2036-02-07 or 2036-02-07T06:28:16Z"

// A preset is a named moment; as a base it reads a little before it.
type preset struct {
	name   string
	moment span
	second second
}

// lead is how long before its moment a preset reads when it starts.
var lead = span{sec: 10}

var presets = []preset{
	{name: "ntp-rollover", moment: span{sec: 2_085_978_496}}, // 2036-02-07T06:28:16Z
	{name: "unix-rollover", moment: span{sec: 1 << 31}},      // 2038-01-19T03:14:08Z
	{name: "gps-rollover", moment: span{sec: 2_173_910_382}}, // 2038-11-20T23:59:42Z
	{name: "y2k", moment: span{sec: 946_684_800}},            // 2000-01-01T00:00:00Z
	{name: "epoch"}, // 1970-01-01T00:00:00Z
	{name: "leap-second", moment: span{sec: 1_483_228_800}, second: second{leap: LeapInsert}}, // 2017-01-01T00:00:00Z
}

// formatInstant gives an instant in UTC, as a date alone at midnight.
func formatInstant(a span) string {
	t := a.time()
	if a.nsec == 0 && t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339Nano)
}

// formatMoment gives an instant as the base of a piece with that second: a preset where it is one. The second that is
// unsaid remains to be said.
func formatMoment(a span, x second) (text string, unsaid second) {
	for _, p := range presets {
		switch {
		case p.moment.sub(lead) != a:
		case p.second == x:
			return p.name, second{}
		case p.second == second{}:
			return p.name, x
		}
	}
	return formatInstant(a), x
}

// looksLikeInstant tells whether a word is an attempt at an instant rather than at a duration.
func looksLikeInstant(word string) bool {
	digits := 0
	for digits < len(word) && isDigit(word[digits]) {
		digits++
	}
	return digits > 0 && digits < len(word) && strings.IndexByte("-/.:T", word[digits]) >= 0 &&
		strings.ContainsAny(word[digits:], "-/:T") || digits >= 8 && digits == len(word)
}

// instant reads `date [ "T" time zone ]` as all of text[pos:end].
func (p *parser) instant(pos, end int) (span, error) {
	word := p.text[pos:end]
	if end-pos < 10 || p.digits(pos, end) != pos+4 || word[4] != '-' || p.digits(pos+5, end) != pos+7 || word[7] != '-' ||
		p.digits(pos+8, end) != pos+10 {
		return span{}, p.wrong(pos, end, "bad instant", wantInstant, dateHint(word))
	}
	year, _ := strconv.Atoi(word[:4])
	month, _ := strconv.Atoi(word[5:7])
	day, _ := strconv.Atoi(word[8:10])
	switch {
	case year == 0:
		return span{}, p.wrong(pos, pos+4, "bad year", "a year from 0001 to 9999", "")
	case month < 1 || month > 12:
		return span{}, p.wrong(pos+5, pos+7, "bad month", "a month from 01 to 12", "")
	}
	days := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if day < 1 || day > days {
		return span{}, p.wrong(pos+8, pos+10, "bad day", "a day from 01 to "+strconv.Itoa(days)+" in "+word[:7], "")
	}
	a := span{sec: time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix()}
	if end-pos == 10 {
		return a, nil
	}
	return p.timeOfDay(a, pos, end)
}

// timeOfDay reads the rest of an instant, text[pos:end], behind its date, which is midnight.
func (p *parser) timeOfDay(midnight span, pos, end int) (span, error) {
	const want = "T, hh:mm:ss and a zone behind the date"
	at := pos + 10
	if p.text[at] != 'T' {
		hint := ""
		if p.text[at] == 't' || p.text[at] == '_' {
			hint = didYouMean(p.text[pos:at] + "T" + p.text[at+1:end])
		}
		return span{}, p.wrong(at, end, "bad instant", want, hint)
	}
	clock := p.text[at+1 : end]
	if len(clock) < 8 || !isClock(clock[:8]) {
		hint := ""
		if len(clock) >= 5 && isClock(clock[:5]+":00") {
			hint = "the seconds are missing: " + didYouMean(p.text[pos:at+6]+":00"+cmp.Or(clock[5:], "Z"))
		}
		return span{}, p.wrong(at+1, end, "bad time", "hh:mm:ss and a zone", hint)
	}
	hour, _ := strconv.Atoi(clock[0:2])
	minute, _ := strconv.Atoi(clock[3:5])
	second, _ := strconv.Atoi(clock[6:8])
	switch {
	case hour > 23:
		hint := ""
		if hour == 24 && minute == 0 && second == 0 {
			hint = "midnight is 00:00:00 of the next day"
		}
		return span{}, p.wrong(at+1, at+3, "bad hour", "an hour from 00 to 23", hint)
	case minute > 59:
		return span{}, p.wrong(at+4, at+6, "bad minute", "a minute from 00 to 59", "")
	case second == 60:
		return span{}, p.wrong(at+7, at+9, "bad second", "a second from 00 to 59",
			`a leap second is no instant of its own: clocks that have one are "leap-second" and such as "2016-12-31 leap"`)
	case second > 59:
		return span{}, p.wrong(at+7, at+9, "bad second", "a second from 00 to 59", "")
	}
	a := midnight.add(span{sec: int64(hour*3600 + minute*60 + second)})
	at += 9
	if at < end && p.text[at] == '.' {
		next := p.digits(at+1, end)
		if next == at+1 || next > at+10 {
			return span{}, p.wrong(at, max(next, at+1), "bad fraction", "1 to 9 digits behind the point", "")
		}
		a.nsec, _ = strconv.ParseInt((p.text[at+1:next] + "00000000")[:9], 10, 64)
		at = next
	}
	zone, err := p.zone(pos, at, end)
	if err != nil {
		return span{}, err
	}
	if a = a.sub(zone); !a.isWithin() {
		return span{}, p.wrong(pos, end, "instant out of range", "the years 0001 to 9999 in UTC", "")
	}
	return a, nil
}

// zone reads `"Z" | sign hh ":" mm`, text[at:end], of the instant that begins at pos, as what it is ahead of UTC.
func (p *parser) zone(pos, at, end int) (span, error) {
	const want = "a zone: Z, or one such as +01:00"
	zone := p.text[at:end]
	switch {
	case zone == "Z":
		return span{}, nil
	case zone == "":
		return span{}, p.wrong(at, end, "time without a zone", want, didYouMean(p.text[pos:end]+"Z"))
	case zone == "z":
		return span{}, p.wrong(at, end, "bad zone", want, didYouMean(p.text[pos:at]+"Z"))
	case len(zone) != 6 || zone[0] != '+' && zone[0] != '-' || !isClock(zone[1:]+":00"):
		return span{}, p.wrong(at, end, "bad zone", want, "")
	}
	hour, _ := strconv.Atoi(zone[1:3])
	minute, _ := strconv.Atoi(zone[4:6])
	if hour > 23 || minute > 59 {
		return span{}, p.wrong(at, end, "bad zone", "a zone from -23:59 to +23:59", "")
	}
	ahead := span{sec: int64(hour*3600 + minute*60)}
	if zone[0] == '-' {
		ahead = ahead.neg()
	}
	return ahead, nil
}

// isClock tells whether s has the form of hh:mm:ss.
func isClock(s string) bool {
	for i := range 8 {
		if i == 2 || i == 5 {
			if s[i] != ':' {
				return false
			}
		} else if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// dateHint says what a broken date may have meant.
func dateHint(word string) string {
	digits := 0
	for digits < len(word) && isDigit(word[digits]) {
		digits++
	}
	dashed := strings.NewReplacer("/", "-", ".", "-").Replace(word)
	switch {
	case digits > 4 && digits < len(word) && word[digits] == '-':
		return "years are 0001 to 9999"
	case len(word) == 8 && digits == 8:
		return didYouMean(word[:4] + "-" + word[4:6] + "-" + word[6:])
	case digits == len(word):
		return "seconds since an epoch are not understood"
	case dashed != word && len(word) == 10:
		if _, err := time.Parse(time.DateOnly, dashed); err == nil {
			return didYouMean(dashed)
		}
	case digits == 2 && len(word) >= 8 && isClock(word[:8]):
		return "a time needs its date in front: 2036-02-07T" + word[:8] + "Z"
	}
	if t, err := time.Parse("2006-1-2", dashed); err == nil && t.Year() > 0 {
		return didYouMean(t.Format(time.DateOnly))
	}
	return ""
}
