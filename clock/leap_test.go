package clock

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

func TestLeapReads(t *testing.T) {
	const (
		repeated = "2016-12-31T23:59:59Z"
		loop     = "leap-second for 12s repeat"
		// 86,400 served seconds in 86,401: a clock that starts at noon is at the smear's very beginning.
		smear = "2016-12-31T12:00:00Z smear 24h"
		half  = "2016-12-31T23:59:59Z smear 1s" // at rate 0.5 from 23:59:59.5 on
	)
	tests := []struct {
		text, real, want string
		leap             Leap
		until            string // empty: for ever
	}{
		// An inserted second: the day before says nothing, the last day does, 23:59:59 comes twice.
		{"leap-second", "2026-11-21T10:00:09.999999999Z", "2016-12-30T23:59:59.999999999Z", LeapNone, "2026-11-21T10:00:10Z"},
		{"leap-second", "2026-11-21T10:00:10Z", "2016-12-31", LeapInsert, "2026-11-22T10:00:10Z"},
		{"leap-second", "2026-11-21T10:00:10.000000001Z", "2016-12-31T00:00:00.000000001Z", LeapInsert, "2026-11-22T10:00:10Z"},
		{"leap-second", realStart, "2016-12-31T23:59:50Z", LeapInsert, "2026-11-22T10:00:10Z"},
		{"leap-second", "2026-11-22T10:00:09.999999999Z", "2016-12-31T23:59:59.999999999Z", LeapInsert, "2026-11-22T10:00:10Z"},
		{"leap-second", "2026-11-22T10:00:10Z", repeated, LeapInsert, "2026-11-22T10:00:11Z"},
		{"leap-second", "2026-11-22T10:00:10.000000001Z", "2016-12-31T23:59:59.000000001Z", LeapInsert, "2026-11-22T10:00:11Z"},
		{"leap-second", "2026-11-22T10:00:10.999999999Z", "2016-12-31T23:59:59.999999999Z", LeapInsert, "2026-11-22T10:00:11Z"},
		{"leap-second", "2026-11-22T10:00:11Z", "2017-01-01", LeapNone, ""},
		{"leap-second", "2026-11-22T10:00:11.000000001Z", "2017-01-01T00:00:00.000000001Z", LeapNone, ""},
		{"leap-second", "2027-11-22T10:00:11Z", "2018-01-01", LeapNone, ""},
		{"leap-second", "0001-01-01", "0001-01-01", LeapNone, "0010-11-22T10:00:10Z"},
		// A deleted one: from 23:59:58.999999999 to midnight.
		{"2016-12-31T23:59:50Z leap-", "2026-11-21T10:00:09.999999999Z", "2016-12-30T23:59:59.999999999Z", LeapNone, "2026-11-21T10:00:10Z"},
		{"2016-12-31T23:59:50Z leap-", "2026-11-21T10:00:10Z", "2016-12-31", LeapDelete, "2026-11-22T10:00:09Z"},
		{"2016-12-31T23:59:50Z leap-", "2026-11-22T10:00:08.999999999Z", "2016-12-31T23:59:58.999999999Z", LeapDelete, "2026-11-22T10:00:09Z"},
		{"2016-12-31T23:59:50Z leap-", "2026-11-22T10:00:09Z", "2017-01-01", LeapNone, ""},
		{"2016-12-31T23:59:50Z leap-", "2026-11-22T10:00:09.000000001Z", "2017-01-01T00:00:00.000000001Z", LeapNone, ""},
		// A piece that starts at the deleted second, or in it, finds it gone.
		{"2016-12-31T23:59:58.999999999Z leap-", realStart, "2016-12-31T23:59:58.999999999Z", LeapDelete, "2026-11-22T10:00:00.000000001Z"},
		{"2016-12-31T23:59:59Z leap-", realStart, "2017-01-01", LeapNone, ""},
		{"2016-12-31T23:59:59.5Z leap-", realStart, "2017-01-01T00:00:00.5Z", LeapNone, ""},
		{"2016-12-31T23:59:59.5Z leap-", "2026-11-22T09:59:59.499999999Z", "2016-12-31T23:59:58.999999999Z", LeapDelete, "2026-11-22T09:59:59.5Z"},
		{"now for 10m then 2016-12-31T23:59:59.5Z leap-", "2026-11-22T10:10:00Z", "2017-01-01T00:00:00.5Z", LeapNone, ""},
		// A piece that starts in the last second of an inserted one's day; at midnight the day is a new one.
		{"2016-12-31T23:59:59.5Z leap", "2026-11-22T10:00:00.5Z", repeated, LeapInsert, "2026-11-22T10:00:01.5Z"},
		{"2017-01-01 leap", realStart, "2017-01-01", LeapInsert, "2026-11-23T10:00:00Z"},
		{"2017-01-01 leap", "2026-11-22T09:59:59.999999999Z", "2016-12-31T23:59:59.999999999Z", LeapNone, realStart},
		{"2017-01-01 leap", "2026-11-23T10:00:00Z", "2017-01-01T23:59:59Z", LeapInsert, "2026-11-23T10:00:01Z"},
		{"leap-second +10s", realStart, "2017-01-01", LeapInsert, "2026-11-23T10:00:00Z"},
		{"1969-12-31 leap", "2026-11-23T10:00:00Z", "1969-12-31T23:59:59Z", LeapInsert, "2026-11-23T10:00:01Z"},
		{"1600-02-29T23:00:00Z leap", "2026-11-22T11:00:00Z", "1600-02-29T23:59:59Z", LeapInsert, "2026-11-22T11:00:01Z"},
		// An offset: the day in which it starts counts.
		{"yesterday leap", realStart, "2026-11-21T10:00:00Z", LeapInsert, "2026-11-23T00:00:00Z"},
		{"yesterday leap", "2026-11-22", "2026-11-21", LeapInsert, "2026-11-23T00:00:00Z"},
		{"yesterday leap", "2026-11-21T23:59:59.999999999Z", "2026-11-20T23:59:59.999999999Z", LeapNone, "2026-11-22"},
		{"yesterday leap", "2026-11-23", "2026-11-21T23:59:59Z", LeapInsert, "2026-11-23T00:00:01Z"},
		{"yesterday leap", "2026-11-23T00:00:01Z", "2026-11-22", LeapNone, ""},
		{"+1h leap-", "2026-11-22T22:59:59Z", "2026-11-23", LeapNone, "9999-12-31T22:59:58.999999999Z"},
		{"now leap at 2016-12-31T12:00:00Z", "2017-01-01", repeated, LeapInsert, "2017-01-01T00:00:01Z"},
		// In a timeline each piece has its own day and second; one that ends before has none.
		{"now for 10m then leap-second", realStart, realStart, LeapNone, "2026-11-22T10:10:00Z"},
		{"now for 10m then leap-second", "2026-11-22T10:10:00Z", "2016-12-31T23:59:50Z", LeapInsert, "2026-11-22T10:10:10Z"},
		{"now for 10m then leap-second", "2026-11-22T10:10:10.5Z", "2016-12-31T23:59:59.5Z", LeapInsert, "2026-11-22T10:10:11Z"},
		{"leap-second for 5s then now", "2026-11-22T10:00:04Z", "2016-12-31T23:59:54Z", LeapInsert, "2026-11-22T10:00:05Z"},
		{"leap-second for 5s then now", "2026-11-22T10:00:05Z", "2026-11-22T10:00:05Z", LeapNone, "9999-12-31T23:59:59.999999999Z"},
		{"leap-second for 10500ms then now", "2026-11-22T10:00:10.499999999Z", "2016-12-31T23:59:59.499999999Z", LeapInsert, "2026-11-22T10:00:10.5Z"},
		{"leap-second for 5s then leap-second", "2026-11-22T10:00:15Z", repeated, LeapInsert, "2026-11-22T10:00:16Z"},
		{loop, "2026-11-22T10:00:11.5Z", "2017-01-01T00:00:00.5Z", LeapNone, "2026-11-22T10:00:12Z"},
		{loop, "2026-11-22T10:00:12Z", "2016-12-31T23:59:50Z", LeapInsert, "2026-11-22T10:00:22Z"},
		{loop, "2026-11-22T10:00:22Z", repeated, LeapInsert, "2026-11-22T10:00:23Z"},
		{loop, "2026-11-21T10:00:09Z", "2016-12-30T23:59:59Z", LeapNone, "2026-11-21T10:00:10Z"},
		{"yesterday leap for 24h repeat", "2026-11-24T09:00:00Z", "2026-11-23T08:59:59Z", LeapNone, "2026-11-24T10:00:00Z"},
		{"yesterday leap for 24h repeat", "2026-11-24T10:00:00Z", "2026-11-23T10:00:00Z", LeapInsert, "2026-11-25T00:00:00Z"},
		// A smear.
		{smear, "2026-11-22T09:59:59.999999999Z", "2016-12-31T11:59:59.999999999Z", LeapNone, realStart},
		{smear, realStart, "2016-12-31T12:00:00Z", LeapNone, "2026-11-23T10:00:01Z"},
		{smear, "2026-11-22T22:00:00.5Z", "2016-12-31T23:59:59.999999999Z", LeapNone, "2026-11-23T10:00:01Z"}, // the rate, rounded down
		{smear, "2026-11-22T22:00:00.500000001Z", "2017-01-01", LeapNone, "2026-11-23T10:00:01Z"},
		{smear, "2026-11-23T10:00:00.999999999Z", "2017-01-01T11:59:59.999999997Z", LeapNone, "2026-11-23T10:00:01Z"},
		{smear, "2026-11-23T10:00:01Z", "2017-01-01T12:00:00Z", LeapNone, ""},
		{smear, "2026-11-23T10:00:01.000000001Z", "2017-01-01T12:00:00.000000001Z", LeapNone, ""},
		{half, "2026-11-22T10:00:00.499999999Z", "2016-12-31T23:59:59.499999999Z", LeapNone, "2026-11-22T10:00:00.5Z"},
		{half, "2026-11-22T10:00:00.5Z", "2016-12-31T23:59:59.5Z", LeapNone, "2026-11-22T10:00:02.5Z"},
		{half, "2026-11-22T10:00:00.500000001Z", "2016-12-31T23:59:59.5Z", LeapNone, "2026-11-22T10:00:02.5Z"},
		{half, "2026-11-22T10:00:00.500000002Z", "2016-12-31T23:59:59.500000001Z", LeapNone, "2026-11-22T10:00:02.5Z"},
		{half, "2026-11-22T10:00:02.499999999Z", "2017-01-01T00:00:00.499999999Z", LeapNone, "2026-11-22T10:00:02.5Z"},
		{half, "2026-11-22T10:00:02.5Z", "2017-01-01T00:00:00.5Z", LeapNone, ""},
		// Started within: half of it is past.
		{"2016-12-31T23:59:59.75Z smear 1s", realStart, "2016-12-31T23:59:59.75Z", LeapNone, "2026-11-22T10:00:01.5Z"},
		{"2016-12-31T23:59:59.75Z smear 1s", "2026-11-22T09:59:59.5Z", "2016-12-31T23:59:59.5Z", LeapNone, "2026-11-22T10:00:01.5Z"},
		{"2016-12-31T23:59:59.75Z smear 1s", "2026-11-22T09:59:59.499999999Z", "2016-12-31T23:59:59.499999999Z", LeapNone, "2026-11-22T09:59:59.5Z"},
		{"2016-12-31T23:59:59.75Z smear 1s", "2026-11-22T10:00:01.5Z", "2017-01-01T00:00:00.5Z", LeapNone, ""},
		{"now for 10m then 2016-12-31T23:59:59.75Z smear 1s", "2026-11-22T10:10:01Z", "2017-01-01T00:00:00.25Z", LeapNone, "2026-11-22T10:10:01.5Z"},
		{"2016-12-31 smear 1ns", "2026-11-23T10:00:00Z", "2017-01-01", LeapNone, "2026-11-23T10:00:01.000000001Z"},
		{"2016-12-31 smear 1ns", "2026-11-23T10:00:01.000000001Z", "2017-01-01T00:00:00.000000001Z", LeapNone, ""},
		// The edges: the year 9999 has no end, the year 1 no day before.
		{"9999-12-31T23:59:58Z leap", realStart, "9999-12-31T23:59:58Z", LeapNone, "2026-11-22T10:00:01.999999999Z"},
		{"9999-12-31T23:59:58Z leap", "2026-11-22T10:00:03Z", "9999-12-31T23:59:59.999999999Z", LeapNone, ""},
		{"9999-12-31T23:59:58Z leap-", "2026-11-22T10:00:01Z", "9999-12-31T23:59:59Z", LeapNone, "2026-11-22T10:00:01.999999999Z"},
		{"9999-12-31T23:59:58Z smear 24h", "2026-11-22T10:00:01Z", "9999-12-31T23:59:59Z", LeapNone, "2026-11-22T10:00:01.999999999Z"},
		{"9999-12-30T23:59:59Z leap", "2026-11-22T10:00:01Z", "9999-12-30T23:59:59Z", LeapInsert, "2026-11-22T10:00:02Z"},
		{"9999-12-30T23:59:59Z smear 4d", "2026-11-24T09:59:59Z", "9999-12-31T23:59:59.999999999Z", LeapNone, ""},
		{"+3652059d leap", realStart, "9999-12-31T23:59:59.999999999Z", LeapNone, ""},
		{"0001-01-01 leap", "2026-11-22T09:59:59.999999999Z", "0001-01-01", LeapNone, realStart},
		{"0001-01-01 leap", realStart, "0001-01-01", LeapInsert, "2026-11-23T10:00:00Z"},
		{"0001-01-01T12:00:00Z smear 24h", "2026-11-22T09:00:00Z", "0001-01-01T11:00:00Z", LeapNone, realStart},
		{"0001-01-01T12:00:00Z smear 2d", "2026-11-21T21:59:00Z", "0001-01-01", LeapNone, "2026-11-21T21:59:59.75Z"},
		{"0001-01-01 smear 7d", "2026-11-01", "0001-01-01", LeapNone, realStart},
		{"yesterday leap at 0001-01-01", "0001-01-01T12:00:00Z", "0001-01-01", LeapNone, "0001-01-02"},
		{"yesterday leap at 0001-01-01", "0001-01-02", "0001-01-01", LeapInsert, "0001-01-03"},
	}
	for _, tt := range tests {
		c := start(t, tt.text)
		s := c.Segment(day(t, tt.real))
		if got := s.At(day(t, tt.real)); got != day(t, tt.want) {
			t.Errorf("%s: at %s reads %s, want %s", tt.text, tt.real, got.Format(time.RFC3339Nano), tt.want)
		}
		if s.Leap != tt.leap {
			t.Errorf("%s: at %s announces %v, want %v", tt.text, tt.real, s.Leap, tt.leap)
		}
		if until := (time.Time{}); tt.until == "" && s.Until != until || tt.until != "" && s.Until != day(t, tt.until) {
			t.Errorf("%s: at %s until %s, want %s", tt.text, tt.real, s.Until.Format(time.RFC3339Nano), tt.until)
		}
		checkClock(t, c, day(t, tt.real))
	}
}

func TestLeapString(t *testing.T) {
	for leap, want := range map[Leap]string{LeapNone: "none", LeapInsert: "insert", LeapDelete: "delete", LeapUnknown: "unknown"} {
		if text, err := leap.MarshalText(); leap.String() != want || string(text) != want || err != nil {
			t.Errorf("%d is %v, %s, %v, want %s", leap, leap, text, err, want)
		}
	}
	// RFC 5905, figure 9.
	if LeapNone != 0 || LeapInsert != 1 || LeapDelete != 2 || LeapUnknown != 3 {
		t.Error("not NTP's numbers")
	}
}

// randomSecond is often a usual one.
func randomSecond(r *rand.Rand) second {
	switch r.IntN(5) {
	case 0:
		return second{leap: LeapInsert}
	case 1:
		return second{leap: LeapDelete}
	case 2:
		return second{smear: 24 * 3600 * nanosecondsPerSecond}
	}
	return second{smear: 1 + r.Int64N(maxSmear)>>r.IntN(49)}
}

// Along a clock with a second served time goes on, but for the one step at midnight, and what it differs by from the same
// clock without changes by just a second.
func TestLeapIsOneSecond(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	real := instantOf(day(t, realStart))
	before, after := real.sub(span{sec: 30 * 24 * 3600}), real.add(span{sec: 30 * 24 * 3600})
	for range 5_000 {
		x := randomSecond(r)
		served := span{-50_000_000_000 + r.Int64N(280_000_000_000), r.Int64N(1e9)}
		if r.IntN(3) == 0 { // near midnight
			served = served.endOfDay().add(nanoseconds(-1 - r.Int64N(1<<r.IntN(47))))
		}
		c := Recipe{pieces: []piece{{value: served, rate: Normal, second: x}}}.Start(real.time())
		behind := func(at span) span { return served.add(at.sub(real)).sub(instantOf(Read(c, at.time()))) }
		want := oneSecond
		if x.leap == LeapDelete {
			want = oneSecond.neg()
		}
		if got := behind(after).sub(behind(before)); got != want {
			t.Fatalf("%v: inserts %v", c, got)
		}
		if got := behind(real); got != (span{}) && (got != want || x.leap != LeapDelete) {
			t.Fatalf("%v: reads %v at its start", c, Read(c, real.time()))
		}

		var midnight time.Time // of the step
		for now := before; ; {
			s := c.Segment(now.time())
			checkClock(t, c, now.time())
			if s.Until.IsZero() || after.less(instantOf(s.Until)) {
				break
			}
			now = instantOf(s.Until)
			next := c.Segment(s.Until)
			last, first := s.At(s.Until.Add(-1)), next.At(s.Until)
			switch step := first.Sub(last); {
			case x.leap == LeapInsert && step == 1-time.Second && s.Leap == LeapInsert && next.Leap == LeapInsert && midnight.IsZero():
				midnight = last.Add(1)
			case x.leap == LeapDelete && step == 1+time.Second && s.Leap == LeapDelete && next.Leap == LeapNone && midnight.IsZero():
				midnight = first
			case x.smear > 0 && (step < 0 || step > 1+smearRest || next.Leap != LeapNone):
				t.Fatalf("%v: at %v steps by %v and announces %v", c, s.Until, step, next.Leap)
			case x.smear == 0 && step != 1:
				t.Fatalf("%v: at %v steps by %v", c, s.Until, step)
			}
		}
		if day := instantOf(served.time()).endOfDay().time(); midnight != day && x.smear == 0 {
			t.Fatalf("%v: has its second at %v, want %v", c, midnight, day)
		}
	}
}

// referenceSecond is what a piece with a second reads at the real instant now that reads served at start, all in
// nanoseconds, in numbers of any size; and how much more or less a smear may read, whose rate is rounded down.
func referenceSecond(x second, start, served, now *big.Int) (reads *big.Int, slack int64) {
	add := func(a *big.Int, b int64) *big.Int { return new(big.Int).Add(a, big.NewInt(b)) }
	const oneDay = 24 * 3600 * nanosecondsPerSecond
	passed := new(big.Int).Sub(now, start)
	plain := new(big.Int).Add(served, passed)
	if edge := bigNanoseconds(earliest.time()); served.Cmp(edge) < 0 {
		served = edge
	}
	midnight := add(new(big.Int).Sub(served, new(big.Int).Mod(served, big.NewInt(oneDay))), oneDay)
	served = new(big.Int).Sub(plain, passed)
	switch {
	case midnight.Cmp(bigNanoseconds(latest.time())) > 0:
		return plain, 0
	case x.leap == LeapInsert && plain.Cmp(midnight) >= 0:
		return add(plain, -nanosecondsPerSecond), 0
	case x.leap == LeapDelete && plain.Cmp(add(midnight, -nanosecondsPerSecond)) >= 0:
		return add(plain, nanosecondsPerSecond), 0
	case x.smear == 0:
		return plain, 0
	}
	long := x.smear + nanosecondsPerSecond
	first := add(midnight, -(x.smear / 2))
	// How long the smear has been going on, exactly.
	gone := new(big.Rat).SetInt(new(big.Int).Sub(served, first))
	if gone.Sign() > 0 {
		gone.Mul(gone, big.NewRat(long, x.smear))
	}
	gone.Add(gone, new(big.Rat).SetInt(passed))
	switch {
	case gone.Cmp(big.NewRat(long, 1)) >= 0:
		gone.Sub(gone, big.NewRat(nanosecondsPerSecond, 1))
	case gone.Sign() > 0:
		gone.Mul(gone, big.NewRat(x.smear, long))
	}
	whole := new(big.Int).Div(gone.Num(), gone.Denom())
	return whole.Add(whole, first), 3 + long/x.smear*long>>rateBits
}
