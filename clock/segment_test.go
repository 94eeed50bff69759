package clock

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// day gives an instant as clock text has it.
func day(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := ParseInstant(text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func bigNanoseconds(t time.Time) *big.Int {
	n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
	return n.Add(n, big.NewInt(int64(t.Nanosecond())))
}

// referenceAt is At in integers of any size: the floor of (real−s.Real)·Rate, between the edges.
func referenceAt(s Segment, real time.Time) time.Time {
	passed := new(big.Int).Sub(bigNanoseconds(real), bigNanoseconds(s.Real))
	passed.Mul(passed, new(big.Int).SetUint64(uint64(s.Rate)))
	passed.Rsh(passed, rateBits) // floor, for negative numbers too
	return withinYears(passed.Add(passed, bigNanoseconds(s.Served)))
}

// withinYears gives the instant of so many nanoseconds, or the edge of time that it is beyond.
func withinYears(served *big.Int) time.Time {
	for _, edge := range []span{earliest, latest} {
		at := bigNanoseconds(edge.time())
		if edge == earliest && served.Cmp(at) < 0 || edge == latest && served.Cmp(at) > 0 {
			served = at
		}
	}
	sec, nsec := new(big.Int).DivMod(served, big.NewInt(1e9), new(big.Int))
	return time.Unix(sec.Int64(), nsec.Int64()).UTC()
}

// randomInstant is often near a moment where arithmetic goes wrong.
func randomInstant(r *rand.Rand) time.Time {
	near := []time.Time{
		earliest.time(), latest.time(), time.Unix(0, 0), time.Unix(1<<31, 0), time.Unix(-1<<31, 0), time.Unix(2_085_978_496, 0),
		time.Unix(-2_208_988_800, 0), time.Unix(0, 1<<63-1), time.Unix(0, -1<<63),
		time.Date(1600, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(2193, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
	}
	if r.IntN(2) == 0 {
		spread := int64(1) << r.IntN(62)
		a := instantOf(near[r.IntN(len(near))]).add(nanoseconds(r.Int64N(2*spread) - spread))
		return a.within().time()
	}
	return span{earliest.sec + r.Int64N(latest.sec-earliest.sec+1), r.Int64N(1e9)}.time()
}

func randomRate(r *rand.Rand) Rate {
	switch named := []Rate{Frozen, 1, 2, Normal - 1, Normal, Normal + 1, 60 * Normal, MaxRate - 1, MaxRate}; r.IntN(3) {
	case 0:
		return named[r.IntN(len(named))]
	case 1:
		return Rate(r.Uint64N(uint64(MaxRate)) >> r.IntN(63))
	default:
		return Normal + Rate(r.Int64N(1<<38)) - 1<<37
	}
}

func TestSegmentAt(t *testing.T) {
	tests := []struct {
		real, served string
		rate         Rate
		at, want     string
	}{
		{"1970-01-01", "1600-02-28", Normal, "1970-01-02T00:00:00.000000001Z", "1600-02-29T00:00:00.000000001Z"},
		{"2026-11-22", "0001-01-01", Normal, "2026-11-23", "0001-01-02"},
		{"2026-11-22", "2193-05-01", Normal, "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"},
		{"0001-01-01", "0001-01-01", Normal, "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"},
		{"2026-11-22", "2036-02-07T06:28:06Z", 60 * Normal, "2026-11-22T00:00:01Z", "2036-02-07T06:29:06Z"},
		{"2026-11-22", "2036-02-07T06:28:06Z", 60 * Normal, "2026-11-21T23:59:59Z", "2036-02-07T06:27:06Z"},
		{"2026-11-22", "1900-01-01", MaxRate, "2026-11-22T00:00:00.000000001Z", "1900-01-01T00:00:00.0001Z"},
		{"2026-11-22", "1900-01-01", MaxRate, "9999-12-31", "9999-12-31T23:59:59.999999999Z"},
		{"2026-11-22", "1900-01-01", MaxRate, "0001-01-01", "0001-01-01"},
		{"2026-11-22", "1900-01-01", Frozen, "9999-12-31", "1900-01-01"},
		{"2026-11-22", "1900-01-01", Normal / 2, "2026-11-22T00:00:00.000000003Z", "1900-01-01T00:00:00.000000001Z"},
		{"2026-11-22", "1900-01-01", Normal / 2, "2026-11-21T23:59:59.999999999Z", "1899-12-31T23:59:59.999999999Z"},
		// 2^46 ns are 70,368.744177664 s.
		{"1970-01-01", "1970-01-01", 1, "1970-01-01T19:32:48.744177663Z", "1970-01-01"},
		{"1970-01-01", "1970-01-01", 1, "1970-01-01T19:32:48.744177664Z", "1970-01-01T00:00:00.000000001Z"},
	}
	for _, tt := range tests {
		s := Segment{Real: day(t, tt.real), Served: day(t, tt.served), Rate: tt.rate}
		if got := s.At(day(t, tt.at)); got != day(t, tt.want) {
			t.Errorf("from %s, %s, %v: at %s = %v, want %s", tt.real, tt.served, tt.rate, tt.at, got, tt.want)
		}
	}
}

func TestSegmentAtAgreesWithReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60_000 {
		s := Segment{Real: randomInstant(r), Served: randomInstant(r), Rate: randomRate(r)}
		real := randomInstant(r)
		got, want := s.At(real), referenceAt(s, real)
		if got != want { // the location too: UTC
			t.Fatalf("%+v: at %v = %v, want %v", s, real, got, want)
		}
		if s.At(s.Real) != s.Served.UTC() {
			t.Fatalf("%+v: reads %v at its own Real", s, s.At(s.Real))
		}
		if after := s.At(real.Add(time.Duration(r.Int64N(1 << 40)))); after.Before(got) {
			t.Fatalf("%+v: goes back from %v to %v behind %v", s, got, after, real)
		}
	}
}

// Whatever an instant is made of, At gives one of the years 1 to 9999.
func TestSegmentAtOddInstants(t *testing.T) {
	odd := []time.Time{{}, time.Unix(1<<63-1, 0), time.Unix(-1<<63, 0), time.Unix(1<<62, 999_999_999), time.Unix(-1<<62, 0), time.Now(),
		time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.FixedZone("x", 3600))}
	for _, a := range odd {
		for _, b := range odd {
			for _, c := range odd {
				for _, rate := range []Rate{0, 1, Normal, MaxRate, 1<<64 - 1} {
					s := Segment{Real: a, Served: b, Rate: rate, Until: c}
					if year := s.At(c).Year(); year < 1 || year > 9999 {
						t.Errorf("%+v: at %v in the year %d", s, c, year)
					}
					s.When(c)
				}
			}
		}
	}
	now := time.Now()
	if got := (Segment{Real: now, Served: now, Rate: Normal}).At(now); got != now.Round(0).UTC() {
		t.Errorf("at a time with a monotonic reading: %v, want %v", got, now.Round(0).UTC())
	}
}

func TestSegmentWhen(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	found := 0
	for range 60_000 {
		s := Segment{Real: randomInstant(r), Served: randomInstant(r), Rate: randomRate(r)}
		if r.IntN(2) == 0 {
			s.Until = randomInstant(r)
		}
		served := randomInstant(r)
		real, ok := s.When(served)
		last := latest.time()
		if !s.Until.IsZero() {
			last = s.Until.Add(-1)
		}
		switch {
		case !ok:
			if s.Until != earliest.time() && !s.At(last).Before(served) {
				t.Fatalf("%+v: reads %v at %v, yet when(%v) is not found", s, s.At(last), last, served)
			}
		case s.At(real).Before(served):
			t.Fatalf("%+v: when(%v) = %v, where it reads %v", s, served, real, s.At(real))
		case real != earliest.time() && !s.At(real.Add(-1)).Before(served):
			t.Fatalf("%+v: when(%v) = %v, but it reads %v before", s, served, real, s.At(real.Add(-1)))
		case real.After(last):
			t.Fatalf("%+v: when(%v) = %v, behind its end", s, served, real)
		default:
			found++
		}
	}
	if found < 6_000 {
		t.Errorf("found only %d", found)
	}
}

func TestRateRoundTrip(t *testing.T) {
	for text, want := range map[string]Rate{
		"x60": 60 * Normal, "x0.5": Normal / 2, "x100000": MaxRate, "+1000ppm": 70439112921842, "x1.5": Normal + Normal/2,
		"x0.000000000000015": 1, "+20ppm": 70370151552548, "-0.5ppm": 70368708993292, "+1000000ppm": 2 * Normal,
	} {
		r, err := Parse("now " + text)
		if err != nil || r.pieces[0].rate != want {
			t.Errorf("%s: rate %v, %v, want %v", text, r, err, uint64(want))
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 5_000 {
		rate := randomRate(r)
		parsed, err := Parse("now " + rate.String())
		if err != nil || rate != parsed.canonicalPieces()[0].rate {
			t.Fatalf("rate %d: %s parses as %v, %v", uint64(rate), rate, parsed, err)
		}
	}
	for rate, want := range map[Rate]string{
		Frozen: "frozen", Normal: "x1", Normal / 10: "x0.1", MaxRate: "x100000", Normal + 1: "+0.00000001ppm", Normal / 3: "x0.33333333333333",
		1: "x0.00000000000001", Rate(1<<64 - 1): "x262143.9999999999999857891452847979962825775146484375",
	} {
		if got := rate.String(); got != want {
			t.Errorf("rate %d = %s, want %s", uint64(rate), got, want)
		}
	}
}

func BenchmarkSegmentAt(b *testing.B) {
	for _, rate := range []Rate{Normal, 60 * Normal, Normal + 1} {
		b.Run(rate.String(), func(b *testing.B) {
			s := Segment{Real: time.Unix(1_790_000_000, 1), Served: time.Unix(1_000_000_000, 2), Rate: rate}
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				s.At(now)
			}
		})
	}
}
