package clock

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCanonicalText(t *testing.T) {
	const at = " at 2026-11-22T10:00:00Z"
	tests := []struct{ text, recipe, started string }{
		{"now", "now", "now"},
		{"  yesterday\t", "yesterday", "yesterday"},
		{"-24h", "yesterday", "yesterday"},
		{"-1d", "yesterday", "yesterday"},
		{"+1440m", "tomorrow", "tomorrow"},
		{"yesterday +24h", "now", "now"},
		{"+0s", "now", "now"},
		{"-0s", "now", "now"},
		{"yesterday +5m", "-23h55m", "-23h55m"},
		{"-7d", "-1w", "-1w"},
		{"-10d", "-10d", "-10d"},
		{"+1.5h", "+1h30m", "+1h30m"},
		{"+1w1d1h1m1s1ms1us1ns", "+8d1h1m1s1ms1us1ns", "+8d1h1m1s1ms1us1ns"},
		{"+90m -30s +1ns", "+1h29m30s1ns", "+1h29m30s1ns"},
		{"-0.000000001s", "-1ns", "-1ns"},
		{"+1.000000000000000000000h", "+1h", "+1h"},
		{"-3652059d", "-521722w5d", ""}, // not a whole number of weeks: see below
		{"now x1", "now", "now"},
		{"now x1.000", "now", "now"},
		{"now +0ppm", "now", "now"},
		{"now -0ppm", "now", "now"},
		{"now at 2030-01-01", "now", "now"},
		{"now x60", "now x60", "now x60" + at},
		{"-24h frozen", "yesterday frozen", "yesterday frozen" + at},
		{"now x1.00002", "now +20ppm", "now +20ppm" + at},
		{"now +1000ppm", "now x1.001", "now x1.001" + at},
		{"now -999999ppm", "now x0.000001", "now x0.000001" + at},
		{"now -20.50ppm", "now -20.5ppm", "now -20.5ppm" + at},
		{"now x060.50", "now x60.5", "now x60.5" + at},
		{"2036-02-07T00:00:00Z", "2036-02-07", "2036-02-07" + at},
		{"2036-02-07T06:28:06Z", "ntp-rollover", "ntp-rollover" + at},
		{"2036-02-07T07:28:06.000+01:00", "ntp-rollover", "ntp-rollover" + at},
		{"ntp-rollover +10s", "2036-02-07T06:28:16Z", "2036-02-07T06:28:16Z" + at},
		{"2036-02-07 +1d -1ns", "2036-02-07T23:59:59.999999999Z", "2036-02-07T23:59:59.999999999Z" + at},
		{"epoch at 2030-01-01T00:00:00+05:30", "epoch at 2029-12-31T18:30:00Z", "epoch at 2029-12-31T18:30:00Z"},
		{"yesterday for 600s then now for 0.5h repeat", "yesterday for 10m then now for 30m repeat", "yesterday for 10m then now for 30m repeat" + at},
		{"leap-second", "leap-second", "leap-second" + at},
		{"2016-12-31T23:59:50Z leap", "leap-second", "leap-second" + at},
		{"2016-12-31T23:59:50Z", "2016-12-31T23:59:50Z", "2016-12-31T23:59:50Z" + at},
		{"2016-12-31T23:59:50Z leap-", "2016-12-31T23:59:50Z leap-", "2016-12-31T23:59:50Z leap-" + at},
		{"leap-second -50s +10s", "2016-12-31T23:59:10Z leap", "2016-12-31T23:59:10Z leap" + at},
		{"leap-second -0s for 1m repeat", "leap-second for 1m repeat", "leap-second for 1m repeat" + at},
		{"y2k leap", "y2k leap", "y2k leap" + at},
		{"-24h leap", "yesterday leap", "yesterday leap" + at},
		{"now leap- at 2030-01-01", "now leap- at 2030-01-01", "now leap- at 2030-01-01"},
		{"now smear 24h", "now smear 1d", "now smear 1d" + at},
		{"+1h smear 1.5h for 3d then epoch", "+1h smear 1h30m for 3d then epoch", "+1h smear 1h30m for 3d then epoch" + at},
		{"now for 1w then now", "now for 1w then now", "now for 1w then now" + at},
		{"now for 1m repeat at 2026-01-01", "now for 1m repeat at 2026-01-01", "now for 1m repeat at 2026-01-01"},
	}
	for _, tt := range tests {
		if tt.started == "" {
			tt.recipe, tt.started = tt.text, tt.text
		}
		r, err := Parse(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if r.String() != tt.recipe {
			t.Errorf("%q: recipe %q, want %q", tt.text, r, tt.recipe)
		}
		if got := r.Start(day(t, realStart)).String(); got != tt.started {
			t.Errorf("%q: started %q, want %q", tt.text, got, tt.started)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	tests := []struct {
		text   string
		offset int
		says   []string // what the message must contain
	}{
		{"", 0, []string{"no text", "want a base"}},
		{" \t ", 3, []string{"no text"}},
		{"yesturday", 0, []string{`clock: "yesturday": unknown word at 1, want a base (`, `; did you mean "yesterday"?`}},
		{"Yesterday", 0, []string{`did you mean "yesterday"?`}},
		{"YESTERDAY x60", 0, []string{`unknown word "YESTERDAY" at 1`, `did you mean "yesterday"?`}},
		{"now FROZEN", 4, []string{`did you mean "frozen"?`}},
		{"now X60", 4, []string{`did you mean "x60"?`}},
		{"unix-rolover", 0, []string{`did you mean "unix-rollover"?`}},
		{"yesterday+5m", 0, []string{`did you mean "yesterday +5m"?`}},
		{"qwertyuiop", 0, []string{"unknown word"}},
		{"x60", 0, []string{"rate without a base", `did you mean "now x60"?`}},
		{"+20ppm", 0, []string{`did you mean "now +20ppm"?`}},
		{"frozen", 0, []string{`did you mean "now frozen"?`}},
		{"24h", 0, []string{"duration without a sign", `"-24h" is behind`}},
		{"yesterday 5m", 10, []string{`duration without a sign "5m"`}},
		{"--24h", 1, []string{"one sign"}},
		{"-+24h", 1, []string{"one sign"}},
		{"+1h-5m", 3, []string{"bad duration"}},
		{"-", 1, []string{"no space between the sign"}},
		{"- 24h", 1, []string{"no space between the sign"}},
		{"-24", 1, []string{`no unit after "24"`, `"24s" is seconds`}},
		{"-10 h", 1, []string{`did you mean "10h"?`}},
		{"-24x", 3, []string{`unknown unit "x" at 4, want w, d, h, m, s, ms, us or ns`}},
		{"-24H", 3, []string{`did you mean "h"?`}},
		{"-5min", 2, []string{`did you mean "m"?`}},
		{"-5µs", 2, []string{`did you mean "us"?`}},
		{"-1y", 2, []string{"use days"}},
		{"-1h1d", 3, []string{"unit out of order", "falling units"}},
		{"-1h2h", 3, []string{"doubled unit", "once"}},
		{"-.5h", 1, []string{`did you mean "0.5h"?`}},
		{"-5.h", 1, []string{"bad duration"}},
		{"-1.5ns", 1, []string{"whole nanoseconds"}},
		{"-0.00000000000000001w", 1, []string{"whole nanoseconds"}},
		{"-3652060d", 1, []string{"too long", "9,999 years"}},
		{"-99999999999999999999999999w", 1, []string{"too long"}},
		{"-3652059d -1ns", 10, []string{"too long an offset"}},
		{"2036-02-07T06:28:16", 19, []string{"time without a zone at the end", `did you mean "2036-02-07T06:28:16Z"?`}},
		{"2036-02-07T06:28:16 frozen", 19, []string{"time without a zone at 20"}},
		{"2016-12-31T23:59:60Z", 17, []string{`bad second "60" at 18`, `"2016-12-31 leap"`}},
		{"2016-12-31T23:59:61Z", 17, []string{`bad second "61"`}},
		{"2016-12-31T24:00:00Z", 11, []string{"next day"}},
		{"2016-12-31T23:60:00Z", 14, []string{`bad minute "60"`}},
		{"2016-12-31T23:59Z", 11, []string{`did you mean "2016-12-31T23:59:00Z"?`}},
		{"2016-12-31T23:59+01:00", 11, []string{`did you mean "2016-12-31T23:59:00+01:00"?`}},
		{"2016-12-31t23:59:59Z", 10, []string{`did you mean "2016-12-31T23:59:59Z"?`}},
		{"2016-12-31T23:59:59z", 19, []string{`did you mean "2016-12-31T23:59:59Z"?`}},
		{"2016-12-31T23:59:59CET", 19, []string{`bad zone "CET"`}},
		{"2016-12-31T23:59:59+0100", 19, []string{"bad zone"}},
		{"2016-12-31T23:59:59+24:00", 19, []string{"-23:59 to +23:59"}},
		{"2016-12-31T23:59:59.Z", 19, []string{"1 to 9 digits"}},
		{"2016-12-31T23:59:59.1234567890Z", 19, []string{"1 to 9 digits"}},
		{"2016-12-31 23:59:59Z", 11, []string{"one word, as in 2036-02-07T23:59:59Z"}},
		{"2016-13-31", 5, []string{`bad month "13" at 6`}},
		{"2015-02-29", 8, []string{`bad day "29" at 9, want a day from 01 to 28 in 2015-02`}},
		{"1900-02-29", 8, []string{"01 to 28"}},
		{"2016-2-9", 0, []string{`did you mean "2016-02-09"?`}},
		{"2016/12/31", 0, []string{`did you mean "2016-12-31"?`}},
		{"20161231", 0, []string{`did you mean "2016-12-31"?`}},
		{"1700000000", 0, []string{"seconds since an epoch"}},
		{"0000-01-01", 0, []string{"0001 to 9999"}},
		{"10000-01-01", 0, []string{"0001 to 9999"}},
		{"0001-01-01T00:00:00+00:01", 0, []string{"0001 to 9999"}},
		{"9999-12-31T23:59:59-00:01", 0, []string{"0001 to 9999"}},
		{"9999-12-31 +1d", 11, []string{"0001 to 9999"}},
		{"06:28:16Z", 0, []string{"2036-02-07T06:28:16Z"}},
		{"now x", 4, []string{"bad rate"}},
		{"now x 60", 4, []string{`did you mean "x60"?`}},
		{"now 60x", 4, []string{`did you mean "x60"?`}},
		{"now 20ppm", 4, []string{`did you mean "+20ppm"?`}},
		{"now x.5", 4, []string{`did you mean "x0.5"?`}},
		{"now x1e3", 4, []string{"no exponents"}},
		{"now x0", 4, []string{`did you mean "frozen"?`}},
		{"now x0.0", 4, []string{`did you mean "frozen"?`}},
		{"now x0.000000000000001", 4, []string{"too low a rate", "2^-46"}},
		{"now -1000000ppm", 4, []string{`did you mean "frozen"?`}},
		{"now -1000001ppm", 4, []string{"backwards"}},
		{"now x-1", 4, []string{"backwards"}},
		{"now x1." + strings.Repeat("0", 100), 4, []string{"too many digits", "at most 100"}},
		{"now x100000.00000000001", 4, []string{"at most x100000"}},
		{"now +100000000000ppm", 4, []string{"at most x100000"}},
		{"now x60 x60", 8, []string{`unexpected rate "x60" at 9`, "one rate"}},
		{"now x60 -24h", 8, []string{"before the rate"}},
		{"now now", 4, []string{"one base a piece"}},
		{"now 2036-02-07", 4, []string{"one base a piece"}},
		{"leap", 0, []string{"leap second without a base", `did you mean "now leap"?`}},
		{"smear 24h", 0, []string{"without a base", `did you mean "now smear"?`}},
		{"Leap", 0, []string{`did you mean "leap"?`}},
		{"leapsecond", 0, []string{`did you mean "leap-second"?`}},
		{"now leap-second", 4, []string{"one base a piece"}},
		{"leap-second leap", 12, []string{`unexpected word "leap" at 13, want an offset, for, at or the end; one leap second a piece, and "leap" is one`}},
		{"leap-second x60", 12, []string{`unexpected rate "x60"`, "rate 1"}},
		{"leap-second -1h frozen", 16, []string{`unexpected rate "frozen"`, "rate 1"}},
		{"leap-second foo", 12, []string{`unknown word "foo" at 13, want an offset, for, at or the end`}},
		{"now leap x60", 9, []string{"unexpected rate", "rate 1"}},
		{"now leap x1", 9, []string{"unexpected rate", "rate 1"}},
		{"now x60 leap", 8, []string{`unexpected word "leap"`, "rate 1", "leave out the rate"}},
		{"now +20ppm smear 24h", 11, []string{"rate 1"}},
		{"now frozen leap-", 11, []string{"rate 1"}},
		{"now leap leap-", 9, []string{`unexpected word "leap-"`, "one leap second a piece"}},
		{"now smear 24h leap", 14, []string{"one leap second a piece", `"smear 1d" is one`}},
		{"now smear 24h x2", 14, []string{`unexpected rate "x2"`, "rate 1"}},
		{"now leap -", 9, []string{`did you mean "leap-"?`}},
		{"now leap -1h", 9, []string{"before the rate, leap or smear"}},
		{"now leap+", 4, []string{`unknown word "leap+"`, `"leap" inserts a second, "leap-" deletes one`}},
		{"now LEAP-", 4, []string{`did you mean "leap-"?`}},
		{"now laep", 4, []string{`did you mean "leap"?`}},
		{"now foo", 4, []string{`want an offset, a rate such as frozen, x60 or +20ppm, "leap", "leap-" or "smear", for, at or the end`}},
		{"now smear", 9, []string{`no duration behind "smear" at the end`, `did you mean "smear 24h"?`}},
		{"now smear for 1h repeat", 10, []string{`no duration behind "smear"`}},
		{"now smear x60", 10, []string{`no duration behind "smear"`}},
		{"now smear 0s", 10, []string{`bad smear "0s" at 11, want more than 0`}},
		{"now smear 24", 10, []string{`no unit after "24"`}},
		{"now smear 24 h", 10, []string{`did you mean "24h"?`}},
		{"now smear -24h", 10, []string{`did you mean "smear 24h"?`}},
		{"now smear abc", 10, []string{"bad duration"}},
		{"now smear 7d1ns", 10, []string{`too wide a smear "7d1ns"`, "at most 7d"}},
		{"now smear 3652059d", 10, []string{"too wide a smear"}},
		{"now smear24h", 4, []string{`did you mean "smear 24h"?`}},
		{"now Smear 24h", 4, []string{`did you mean "smear"?`}},
		{"now for 1m leap", 11, []string{"behind the base"}},
		{"now at 2026-01-01 leap", 18, []string{"behind the base"}},
		{"now for", 7, []string{`nothing behind "for"`}},
		{"now for 10m", 11, []string{"at the end", `"repeat"`}},
		{"now for 10m at 2036-02-07", 12, []string{`"repeat"`}},
		{"now for 10 m repeat", 8, []string{`did you mean "10m"?`}},
		{"now for 0s repeat", 8, []string{"more than 0"}},
		{"now for -1s repeat", 8, []string{"bad duration"}},
		{"now for 1m now", 11, []string{"want then or repeat"}},
		{"now for 1m thn now", 11, []string{`did you mean "then"?`}},
		{"now for 1m then", 15, []string{"nothing at the end, want a base"}},
		{"now then yesterday", 4, []string{`"for" and a duration before it`}},
		{"now repeat", 4, []string{`"for" and a duration before it`}},
		{"now for 1m then now repeat", 20, []string{`"for" and a duration before it`}},
		{"now for 1m repeat repeat", 18, []string{"want at or the end"}},
		{"now for 106751d then now for 1d repeat", 29, []string{"292 years"}},
		{"now frozen at", 13, []string{`nothing behind "at"`}},
		{"now frozen at yesterday", 14, []string{"real time"}},
		{"now frozen at 10:00", 14, []string{"bad instant"}},
		{"now frozen at 2036-02-07 at 2036-02-07", 25, []string{"want the end"}},
		{"now frozen at 2036-02-07 then now", 25, []string{`"at" comes last`}},
		{"now\x00", 0, []string{`"now\x00"`}},
		{"now \xff\xfe", 4, []string{`"\xff\xfe"`}},
		{strings.Repeat(" ", maxText) + "now", maxText, []string{"131075 bytes", "at most 131072"}},
		{strings.Repeat("now for1 ", 300), 4, []string{"…", `"for1"`}},
		{strings.Repeat("y", 300), 0, []string{"unknown word"}},
	}
	for _, tt := range tests {
		_, err := Parse(tt.text)
		wrong, ok := errors.AsType[*SyntaxError](err)
		if !ok {
			t.Errorf("%q: %v, want a SyntaxError", tt.text, err)
			continue
		}
		message := wrong.Error()
		if wrong.Offset != tt.offset || wrong.Text != tt.text || !strings.HasPrefix(tt.text[wrong.Offset:], wrong.Seen) {
			t.Errorf("%q: at %d %q, want %d (%v)", tt.text, wrong.Offset, wrong.Seen, tt.offset, err)
		}
		for _, part := range tt.says {
			if !strings.Contains(message, part) {
				t.Errorf("%q: %v, want %q in it", tt.text, err, part)
			}
		}
		if !utf8.ValidString(message) || strings.ContainsAny(message, "\n\x00") || len(message) > 500 {
			t.Errorf("%q: not a line to print: %q", tt.text, message)
		}
	}
}

// What is within the limits stays so when it is made canonical, which may be longer.
func TestLimits(t *testing.T) {
	text := func(pieces int, more string) string {
		return strings.Repeat("-3652058d23.9999999999h "+more+" for 99d23h59m59s999ms999us999ns then ", pieces-1) + "y2k -1ns"
	}
	for _, more := range []string{"x99999.99999999999999", "smear 167.9999999999h"} {
		r, err := Parse(text(maxPieces, more))
		if err != nil {
			t.Fatal(err)
		}
		c := r.Start(day(t, "2026-11-22T10:00:00.123456789Z"))
		again, err := Parse(c.String())
		if err != nil || !again.Start(time.Time{}).Equal(c) {
			t.Errorf("%d bytes of canonical text: %v", len(c.String()), err)
		}
	}
	_, err := Parse(text(maxPieces+1, "leap"))
	if wrong, ok := errors.AsType[*SyntaxError](err); !ok || wrong.Seen != "y2k" || wrong.Want != "at most 1000" {
		t.Errorf("%d pieces: %v", maxPieces+1, err)
	}
	if _, err := Parse("now for 106751d then now"); err != nil {
		t.Error(err)
	}
}

func TestRecipeAnchor(t *testing.T) {
	for text, want := range map[string]string{"epoch at 2030-01-01": "2030-01-01", "epoch": "", "now at 2030-01-01": ""} {
		r, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		at, ok := r.Anchor()
		if ok != (want != "") || ok && at != day(t, want) {
			t.Errorf("%q: anchor %v, %v, want %q", text, at, ok, want)
		}
	}
}

func TestRecipeMarshalling(t *testing.T) {
	var config struct{ Clock Recipe }
	if err := json.Unmarshal([]byte(`{"Clock": "yesterday +5m"}`), &config); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil || string(text) != `{"Clock":"-23h55m"}` {
		t.Errorf("%s, %v", text, err)
	}
	err = json.Unmarshal([]byte(`{"Clock": "yesturday"}`), &config)
	if _, ok := errors.AsType[*SyntaxError](err); !ok {
		t.Errorf("%v, want a SyntaxError", err)
	}
	if config.Clock.String() != "-23h55m" {
		t.Errorf("a wrong text left %q", config.Clock)
	}
}

func TestParseDurationAndInstant(t *testing.T) {
	for text, want := range map[string]time.Duration{"90m": 90 * time.Minute, " 1d ": 24 * time.Hour, "0s": 0, "106751d": 106751 * 24 * time.Hour} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1h", "1", "1h 2m", "106752d", "2036-02-07", strings.Repeat("1", 5000)} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v", text, got)
		}
	}
	if got, err := ParseInstant("2036-02-07T07:28:16.5+01:00"); err != nil || got != time.Date(2036, 2, 7, 6, 28, 16, 5e8, time.UTC) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "now", "2036-02-07 x60", "2036-02-07T06:28:16", "epoch", strings.Repeat("1", 5000)} {
		if got, err := ParseInstant(text); err == nil {
			t.Errorf("ParseInstant(%q) = %v", text, got)
		}
	}
}

func TestMustParse(t *testing.T) {
	if r := MustParse("yesterday x2"); r.String() != "yesterday x2" {
		t.Errorf("read %v", r)
	}
	defer func() {
		if err, ok := recover().(*SyntaxError); !ok {
			t.Errorf("panics with %v, want what is wrong with the text", err)
		}
	}()
	MustParse("yestreday")
}

func FuzzParse(f *testing.F) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 50 {
		f.Add(randomText(r), int64(r.Uint64()), int64(r.Uint64()))
	}
	f.Add("-24", int64(0), int64(0))
	f.Add("2016-12-31T23:59:60Z", int64(1<<62), int64(-1<<62))
	for _, text := range []string{"leap-second", "now leap", "-1d leap-", "+1h smear 24h", "1899-12-31T23:59:50Z leap", "now smear 7d for 24h repeat",
		"leap-second for 12s then 9999-12-30 leap- for 2d then -2900000d smear 1ns", "now leap x60", "now smear 0s"} {
		f.Add(text, int64(1_483_228_790), int64(1_483_228_799))
	}
	f.Fuzz(func(t *testing.T, text string, startSec, realSec int64) {
		recipe, err := Parse(text)
		if err != nil {
			wrong, ok := errors.AsType[*SyntaxError](err)
			if !ok || wrong.Offset < 0 || wrong.Offset > len(text) || wrong.Problem == "" || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if again, err := Parse(recipe.String()); err != nil || !again.Equal(recipe) {
			t.Fatalf("%q: %v parses as %v, %v", text, recipe, again, err)
		}
		c := recipe.Start(time.Unix(startSec, realSec))
		again, err := Parse(c.String())
		if err != nil || !again.Start(time.Time{}).Equal(c) {
			t.Fatalf("%q: %v parses as %v, %v", text, c, again, err)
		}
		checkClock(t, c, time.Unix(realSec, 0))
		checkClock(t, c, time.Unix(realSec>>30, realSec))
		checkClock(t, c, c.start.time())
		n := 0
		for change := range Changes(c, c.start.time(), time.Time{}) {
			if n++; n == 20 {
				break
			}
			if got := Read(c, change.Real); got != change.Served {
				t.Fatalf("%v: %+v, but it reads %v", c, change, got)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, text := range []string{"yesterday", "ntp-rollover x60 at 2026-11-22T10:00:00Z", "yesterday for 10m then now for 5m repeat"} {
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
