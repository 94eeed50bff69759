package clock

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const realStart = "2026-11-22T10:00:00Z"

func start(t testing.TB, text string) *Timeline {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r.Start(day(t, realStart))
}

func TestTimelineReads(t *testing.T) {
	const loop = "yesterday for 10m then 2036-02-07 x60 for 5m repeat"
	tests := []struct{ text, real, want, until string }{
		{"now", realStart, realStart, ""},
		{"yesterday", realStart, "2026-11-21T10:00:00Z", ""},
		{"tomorrow -1ns", realStart, "2026-11-23T09:59:59.999999999Z", ""},
		{"-7d", "2024-03-07", "2024-02-29", ""},
		{"2036-02-07", realStart, "2036-02-07", "9990-10-16T09:59:59.999999999Z"},
		{"2036-02-07 frozen", "2030-01-01", "2036-02-07", ""},
		{"unix-rollover", "2026-11-22T10:00:10Z", "2038-01-19T03:14:08Z", ""},
		{"ntp-rollover", "2026-11-22T10:00:10Z", "2036-02-07T06:28:16Z", ""},
		{"gps-rollover", "2026-11-22T10:00:10Z", "2038-11-20T23:59:42Z", ""},
		{"y2k", "2026-11-22T10:00:10Z", "2000-01-01", ""},
		{"epoch", "2026-11-22T10:00:10Z", "1970-01-01", ""},
		{"yesterday x60", "2026-11-22T10:00:02Z", "2026-11-21T10:02:00Z", ""},
		{"now x60 at 2026-11-22T11:00:00Z", "2026-11-22T11:00:01Z", "2026-11-22T11:01:00Z", ""},
		{"now x60 at 2026-11-22T11:00:00Z", "2026-11-22T10:59:59Z", "2026-11-22T10:59:00Z", ""}, // before its start
		{"2020-01-01T01:00:00+01:00", realStart, "2020-01-01", ""},
		// A timeline: the first piece also holds before the start.
		{"epoch for 10m then now", "2026-11-22T09:59:50Z", "1969-12-31T23:59:40Z", "2026-11-22T10:10:00Z"},
		{"epoch for 10m then now", "2026-11-22T10:09:59.999999999Z", "1970-01-01T00:09:49.999999999Z", "2026-11-22T10:10:00Z"},
		{"epoch for 10m then now", "2026-11-22T10:10:00Z", "2026-11-22T10:10:00Z", ""},
		{"now for 1m then epoch for 1m then epoch", "2026-11-22T10:01:30Z", "1970-01-01T00:00:20Z", "2026-11-22T10:02:00Z"},
		{"now for 1m then epoch for 1m then epoch", "2026-11-22T10:02:00Z", "1969-12-31T23:59:50Z", ""},
		// A loop.
		{loop, "2026-11-22T10:09:59Z", "2026-11-21T10:09:59Z", "2026-11-22T10:10:00Z"},
		{loop, "2026-11-22T10:10:01Z", "2036-02-07T00:01:00Z", "2026-11-22T10:15:00Z"},
		{loop, "2026-11-22T10:15:00Z", "2026-11-21T10:15:00Z", "2026-11-22T10:25:00Z"},
		{loop, "2026-11-22T10:25:01Z", "2036-02-07T00:01:00Z", "2026-11-22T10:30:00Z"},
		{loop, "2026-11-22T08:00:00Z", "2026-11-21T08:00:00Z", "2026-11-22T10:10:00Z"},
		{loop, "9999-12-31T23:59:59Z", "2036-02-07T04:59:00Z", "never"}, // the piece ends in the year 10000
		{"now for 1ns repeat", "2193-01-01T00:00:00.000000001Z", "2193-01-01T00:00:00.000000001Z", "2193-01-01T00:00:00.000000002Z"},
		// The edges.
		{"yesterday", "0001-01-01T12:00:00Z", "0001-01-01", "0001-01-02"},
		{"yesterday", "0001-01-02", "0001-01-01", "never"},
		{"yesterday", "9999-12-31T23:59:59.999999999Z", "9999-12-30T23:59:59.999999999Z", ""},
		{"tomorrow", "9999-12-30T23:59:59.999999998Z", "9999-12-31T23:59:59.999999998Z", "9999-12-30T23:59:59.999999999Z"},
		{"tomorrow", "9999-12-31", "9999-12-31T23:59:59.999999999Z", "never"},
		{"-3652059d", realStart, "0001-01-01", ""},
		{"+3652059d", realStart, "9999-12-31T23:59:59.999999999Z", ""},
		{"9999-12-31T23:59:59Z x100000", "2026-11-22T10:00:00.000009999Z", "9999-12-31T23:59:59.9999Z", "2026-11-22T10:00:00.00001Z"},
		{"9999-12-31T23:59:59Z x100000", "2026-11-22T10:00:00.00001Z", "9999-12-31T23:59:59.999999999Z", ""},
		{"0001-01-01", "2026-11-22T09:59:59Z", "0001-01-01", realStart},
		{"now -739000d x60 for 10d then now", "2026-11-22T10:00:00Z", "0003-07-31T10:00:00Z", "2026-12-02T10:00:00Z"},
		{"+3000000d frozen for 1h then now", realStart, "9999-12-31T23:59:59.999999999Z", "2026-11-22T11:00:00Z"},
		// Off the line at its start, it comes in where the line reaches the year 1.
		{"-740001d x86400", "2026-11-22T10:00:01Z", "0001-01-01", ""},
	}
	for _, tt := range tests {
		s := start(t, tt.text).Segment(day(t, tt.real))
		if got := s.At(day(t, tt.real)); got != day(t, tt.want) {
			t.Errorf("%s: at %s reads %s, want %s", tt.text, tt.real, got.Format(time.RFC3339Nano), tt.want)
		}
		if tt.until == "never" {
			if !s.Until.IsZero() {
				t.Errorf("%s: at %s until %s, want no end", tt.text, tt.real, s.Until.Format(time.RFC3339Nano))
			}
		} else if tt.until != "" && s.Until != day(t, tt.until) {
			t.Errorf("%s: at %s until %s, want %s", tt.text, tt.real, s.Until.Format(time.RFC3339Nano), tt.until)
		}
	}
}

func TestOffset(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, d := range []time.Duration{0, -24 * time.Hour, 1, -1, 1<<63 - 1, -1 << 63} {
		c := Offset(d)
		parsed, err := Parse(c.String())
		if err != nil || !parsed.Start(randomInstant(r)).Equal(c) {
			t.Errorf("Offset(%v) = %v, which parses as %v, %v", d, c, parsed, err)
		}
		real := day(t, realStart)
		if got := Read(c, real); got != real.Add(d) {
			t.Errorf("Offset(%v) reads %v, want %v", d, got, real.Add(d))
		}
	}
}

func TestZeroValuesReadRealTime(t *testing.T) {
	now := day(t, realStart)
	if got := Read(new(Timeline), now); got != now {
		t.Errorf("zero Timeline reads %v", got)
	}
	if got := Recipe.Start(Recipe{}, now).String(); got != "now" {
		t.Errorf("zero Recipe starts %q", got)
	}
	if !new(Timeline).Equal(Offset(0)) {
		t.Error("zero Timeline differs from Offset(0)")
	}
}

// randomText gives a clock text that is right.
func randomText(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	duration := func() string {
		a := nanoseconds(r.Int64N(int64(1) << r.IntN(52)))
		if a == (span{}) {
			a.nsec = 1
		}
		return formatDuration(a)
	}
	piece := func() string {
		text := pick("yesterday", "now", "tomorrow", "ntp-rollover", "unix-rollover", "gps-rollover", "y2k", "epoch", "leap-second", "-24h", "+24h", "-7d", "+0s",
			"-730000d", "+2900000d", "+3652059d", "-3652059d", "2000-02-29", formatInstant(instantOf(randomInstant(r))), "-"+duration(), "+"+duration())
		if r.IntN(3) == 0 && !strings.Contains(text, "3652059d") && (text[0] < '0' || text[0] > '9') {
			text += " " + pick("+", "-") + duration()
		}
		switch r.IntN(4) {
		case 0:
			if !strings.HasPrefix(text, "leap-second") {
				text += " " + pick("leap", "leap-", "smear 24h", "smear "+formatDuration(nanoseconds(1+r.Int64N(maxSmear)>>r.IntN(49))))
			}
		case 1:
			if strings.HasPrefix(text, "leap-second") {
				break
			}
			text += " " + pick("frozen", "x60", "x0.5", "x1", "+20ppm", "-20.5ppm", "x100000", "x0.000000000000015", "+0ppm", "x1.00099", "x0.1")
		case 2:
			if rate := randomRate(r); rate != Frozen && !strings.HasPrefix(text, "leap-second") {
				text += " " + rate.String()
			}
		}
		return text
	}
	var text strings.Builder
	text.WriteString(piece())
	if more := r.IntN(4); more > 0 {
		text.WriteString(" for " + duration())
		for range more - 1 {
			text.WriteString(" then " + piece() + " for " + duration())
		}
		text.WriteString(pick(" repeat", " then "+piece()))
	}
	if r.IntN(3) == 0 {
		text.WriteString(" at " + formatInstant(instantOf(randomInstant(r))))
	}
	return text.String()
}

// checkClock tells what is inconsistent about c's segment at a real time.
func checkClock(t *testing.T, c *Timeline, real time.Time) {
	t.Helper()
	s := c.Segment(real)
	if got := s.At(s.Real); got != s.Served {
		t.Fatalf("%v at %v: %+v reads %v at its own Real", c, real, s, got)
	}
	for _, a := range []time.Time{s.Real, s.Served} {
		if !instantOf(a).isWithin() || instantOf(a).time() != a {
			t.Fatalf("%v at %v: %+v leaves the years 1 to 9999, or UTC", c, real, s)
		}
	}
	if s.Rate == Frozen && s.Leap != LeapNone {
		t.Fatalf("%v at %v: %+v stands and announces a second", c, real, s)
	}
	if s.Until.IsZero() {
		return
	}
	if !s.Until.After(real) || !instantOf(s.Until).isWithin() {
		t.Fatalf("%v at %v: until %v", c, real, s.Until)
	}
	if last := s.Until.Add(-1); last.After(real) && c.Segment(last) != s {
		t.Fatalf("%v: segment at %v is %+v, at its end %+v", c, real, s, c.Segment(last))
	}
	next := c.Segment(s.Until)
	if next.Real.Before(s.Until) || next.Real.After(s.Until) && next.Real != c.start.time() {
		t.Fatalf("%v: %+v is followed by %+v", c, s, next)
	}
}

func TestTimelineIsConsistent(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 10_000 {
		text := randomText(r)
		recipe, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c := recipe.Start(randomInstant(r))
		again, err := Parse(c.String())
		if err != nil || !again.Start(randomInstant(r)).Equal(c) || again.String() != c.String() {
			t.Fatalf("%q: %v parses as %v, %v", text, c, again, err)
		}
		if back, err := Parse(recipe.String()); err != nil || !back.Equal(recipe) {
			t.Fatalf("%q: recipe %v parses as %v, %v", text, recipe, back, err)
		}
		for range 4 {
			checkClock(t, c, randomInstant(r))
		}
		checkClock(t, c, c.start.time())
	}
}

// referenceRead is what a clock reads, worked out in integers of any size: the piece that holds, then its line.
// Of a smear it may differ by slack nanoseconds.
func referenceRead(c *Timeline, real time.Time) (served time.Time, slack int64) {
	pieces := c.recipe.canonicalPieces()
	begin, now := bigNanoseconds(c.start.time()), bigNanoseconds(real)
	total := new(big.Int)
	for _, p := range pieces {
		total.Add(total, big.NewInt(p.duration))
	}
	if rounds := new(big.Int).Sub(now, begin); c.recipe.repeat && rounds.Sign() > 0 {
		rounds.Div(rounds, total)
		begin.Add(begin, rounds.Mul(rounds, total))
	}
	i := 0
	for ; pieces[i].duration > 0; i++ {
		end := new(big.Int).Add(begin, big.NewInt(pieces[i].duration))
		if now.Cmp(end) < 0 {
			break
		}
		begin = end
	}
	sec, nsec := new(big.Int).DivMod(begin, big.NewInt(1e9), new(big.Int))
	start := span{sec.Int64(), nsec.Int64()}
	first := pieces[i].value
	if pieces[i].relative {
		first = start.add(first)
	}
	if x := pieces[i].second; x != (second{}) {
		reads, slack := referenceSecond(x, begin, bigNanoseconds(first.time()), now)
		return withinYears(reads), slack
	}
	return referenceAt(Segment{Real: start.time(), Served: first.time(), Rate: pieces[i].rate}, real), 0
}

func TestTimelineAgreesWithReference(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 10_000 {
		recipe, err := Parse(randomText(r))
		if err != nil {
			t.Fatal(err)
		}
		c := recipe.Start(randomInstant(r))
		real := randomInstant(r)
		got := Read(c, real)
		want, slack := referenceRead(c, real)
		off := int64(want.Sub(got))
		// A line that comes in from outside the years is pivoted where it does: a nanosecond may be lost there.
		if max(off, -off) > slack && (off != 1 || c.Segment(real).Rate == Normal) {
			t.Fatalf("%v: at %v reads %v, want %v", c, real, got, want)
		}
	}
}

func TestTimelineAllocatesNothing(t *testing.T) {
	for _, text := range []string{
		"yesterday for 10m then 2036-02-07 x60 for 5m then now +20ppm for 1s repeat",
		"leap-second for 2d then now leap- for 2d then now smear 24h for 2d repeat",
	} {
		c, now := start(t, text), day(t, realStart)
		if n := testing.AllocsPerRun(1000, func() {
			Read(c, now)
			now = now.Add(time.Hour)
		}); n != 0 {
			t.Errorf("%s: %v allocations a reading, want 0", text, n)
		}
	}
}

func BenchmarkSegment(b *testing.B) {
	now := time.Now()
	for _, text := range []string{"yesterday", "ntp-rollover x60", "yesterday for 10m then now for 5m repeat", "leap-second", "now smear 24h"} {
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			c := start(b, text)
			b.ReportAllocs()
			for b.Loop() {
				c.Segment(now)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	c, now := Offset(-24*time.Hour), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		Read(c, now)
	}
}
