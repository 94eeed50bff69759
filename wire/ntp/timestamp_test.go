package ntp_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

// vectors are instants at which an era begins, ends, or is halfway, and others at which libraries that go through 32-bit
// seconds or 64-bit nanoseconds are wrong.
var vectors = []struct {
	text    string
	seconds uint32
	era     int
}{
	// The dates of RFC 5905, figure 4.
	{"0001-01-01T00:00:00Z", 202_934_144, -14},
	{"1582-10-15T00:00:00Z", 2_874_597_888, -3},
	{"1899-12-31T00:00:00Z", 4_294_880_896, -1},
	{"1900-01-01T00:00:00Z", 0, 0},
	{"1970-01-01T00:00:00Z", 2_208_988_800, 0},
	{"1972-01-01T00:00:00Z", 2_272_060_800, 0},
	{"1999-12-31T00:00:00Z", 3_155_587_200, 0},
	{"2036-02-08T00:00:00Z", 63_104, 1},

	{"1600-01-01T00:00:00Z", 3_417_794_688, -3},
	{"1763-11-24T17:31:43Z", math.MaxUint32, -2},
	{"1763-11-24T17:31:44Z", 0, -1},
	{"1831-12-13T20:45:52Z", 1 << 31, -1},
	{"1899-12-31T23:59:59Z", math.MaxUint32, -1},
	{"1900-01-01T00:00:01Z", 1, 0},
	{"1968-01-20T03:14:07Z", 1<<31 - 1, 0},
	{"1968-01-20T03:14:08Z", 1 << 31, 0},
	{"1969-12-31T23:59:59Z", 2_208_988_799, 0},
	{"2036-02-07T06:28:15Z", math.MaxUint32, 0},
	{"2036-02-07T06:28:16Z", 0, 1},
	{"2038-01-19T03:14:08Z", 1<<31 + 2_208_988_800 - 1<<32, 1},
	{"2104-02-26T09:42:23Z", 1<<31 - 1, 1},
	{"2104-02-26T09:42:24Z", 1 << 31, 1},
	{"2172-03-15T12:56:31Z", math.MaxUint32, 1},
	{"2172-03-15T12:56:32Z", 0, 2},
	{"2193-01-01T00:00:00Z", 656_334_208, 2},
	{"2262-04-11T23:47:16Z", 2_842_426_244, 2}, // where 64-bit nanoseconds since 1970 end
	{"9999-12-31T23:59:59Z", 2_208_219_135, 59},
}

// fractions are nanoseconds and what they are in 2^-32 seconds, rounded down.
var fractions = []struct {
	nanoseconds int
	fraction    uint32
}{
	{0, 0}, {1, 4}, {2, 8}, {3, 12}, {232, 996}, {233, 1000}, {1_000, 4_294}, {123_456_789, 530_242_871}, {250_000_000, 1 << 30},
	{499_999_999, 1<<31 - 5}, {500_000_000, 1 << 31}, {999_999_999, math.MaxUint32 - 4},
}

func TestTimestampOf(t *testing.T) {
	for _, v := range vectors {
		second := at(t, v.text)
		for _, f := range fractions {
			moment := second.Add(time.Duration(f.nanoseconds))
			want := ntp.Timestamp(uint64(v.seconds)<<32 | uint64(f.fraction))
			if want == 0 {
				want = 1 // zero would say that nobody knows
			}
			if got := ntp.TimestampOf(moment); got != want {
				t.Errorf("TimestampOf(%v) = %#016x, want %#016x", moment, got, want)
			}
			if got := ntp.TimestampOf(moment.In(time.FixedZone("east", 5*3600+1800))); got != want {
				t.Errorf("TimestampOf(%v) in another zone = %#016x, want %#016x", moment, got, want)
			}
			if got := want.Near(moment); !got.Equal(moment) || got.Location() != time.UTC {
				t.Errorf("%#016x.Near(%v) = %v, want the same", want, moment, got)
			}
			if got := want.In(v.era); !got.Equal(moment) || got.Location() != time.UTC {
				t.Errorf("%#016x.In(%d) = %v, want %v", want, v.era, got, moment)
			}
			if got := ntp.Era(moment); got != v.era {
				t.Errorf("Era(%v) = %d, want %d", moment, got, v.era)
			}
		}
	}
}

// TestRoundTrip takes instants of each year, and each era's edges, there and back, from pivots up to 68 years away.
func TestRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1900, 2036))
	check := func(moment time.Time) {
		t.Helper()
		s := ntp.TimestampOf(moment)
		for _, away := range []int64{0, 1, -1, 86_400, -86_400, 1<<31 - 1, -1<<31 + 1} {
			if got := s.Near(time.Unix(moment.Unix()+away, random.Int64N(1e9))); !got.Equal(moment) {
				t.Fatalf("%v is %#016x, which is %v for a pivot %+d s away", moment, s, got, away)
			}
		}
		if got := s.In(ntp.Era(moment)); !got.Equal(moment) {
			t.Fatalf("%v is %#016x, which is %v in its era", moment, s, got)
		}
	}
	for year := 1; year <= 9999; year++ {
		start := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		check(start)
		check(start.Add(time.Duration(random.Int64N(365 * 86_400 * 1e9))))
		check(time.Date(year, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
	}
	for era := -13; era <= 59; era++ {
		edge := time.Unix(int64(era)<<32-2_208_988_800, 0)
		for _, d := range []time.Duration{-time.Second, -1, 0, 1, 2, time.Second} {
			check(edge.Add(d))
		}
		check(time.Unix(edge.Unix()+1<<31, 0))
		check(time.Unix(edge.Unix()+1<<31, -1))
	}
	for range 10_000 {
		check(time.Unix(firstSecond+random.Int64N(lastSecond-firstSecond), random.Int64N(1e9)))
	}
}

// The years 1 to 9999 in Unix seconds.
const firstSecond, lastSecond = -62_135_596_800, 253_402_300_799

// TestIn compares each era with arithmetic without bounds, at fractions that no nanosecond makes.
func TestIn(t *testing.T) {
	unix1900 := big.NewInt(at(t, "1900-01-01T00:00:00Z").Unix())
	for era := -14; era <= 59; era++ {
		for _, seconds := range []uint32{0, 1, 1<<31 - 1, 1 << 31, math.MaxUint32} {
			for _, fraction := range []uint32{0, 1, 2, 3, 1 << 31, 0xc000_0001, math.MaxUint32 - 2, math.MaxUint32} {
				// (era·2^32 + seconds + fraction·2^-32) in nanoseconds, and a half for rounding.
				n := new(big.Int).Lsh(big.NewInt(int64(era)), 32)
				n.Add(n, big.NewInt(int64(seconds))).Add(n, unix1900).Lsh(n, 32).Add(n, big.NewInt(int64(fraction)))
				n.Mul(n, big.NewInt(1e9)).Add(n, big.NewInt(1<<31)).Rsh(n, 32)
				sec, nsec := new(big.Int).DivMod(n, big.NewInt(1e9), new(big.Int))
				want := time.Unix(sec.Int64(), nsec.Int64())

				s := ntp.Timestamp(uint64(seconds)<<32 | uint64(fraction))
				if got := s.In(era); !got.Equal(want) {
					t.Errorf("%#016x.In(%d) = %v, want %v", s, era, got, want.UTC())
				}
				if got := s.Near(want); !got.Equal(want) {
					t.Errorf("%#016x.Near(%v) = %v", s, want.UTC(), got)
				}
			}
		}
	}
}

func TestNear(t *testing.T) {
	const half = 1 << 31 // seconds
	for _, text := range []string{
		"0001-01-01T00:00:00Z", "1600-02-29T12:00:00Z", "1899-12-31T23:59:59.5Z", "1900-01-01T00:00:00Z", "1968-01-20T03:14:08Z",
		"1970-01-01T00:00:00Z", "2026-11-22T10:00:00.25Z", "2036-02-07T06:28:15.999999999Z", "2036-02-07T06:28:16Z",
		"2104-02-26T09:42:24Z", "2172-03-15T12:56:32Z", "2193-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
	} {
		pivot := at(t, text)
		for _, c := range []struct {
			away int64 // seconds from the pivot
			nano int64 // and nanoseconds
			want int64 // seconds, with the same nanoseconds
		}{
			{0, 0, 0}, {0, 1, 0}, {0, -1, 0}, {86_400, 0, 86_400}, {half - 1, 0, half - 1}, {-half, 1, -half}, {half, -1, half},
			{half, 0, -half}, {-half, 0, -half}, // equally near: the earlier
			{half, 1, -half}, {-half, -1, half}, {1 << 32, 0, 0}, {-1 << 32, 5, 0},
		} {
			moment := time.Unix(pivot.Unix()+c.away, int64(pivot.Nanosecond())+c.nano)
			want := time.Unix(pivot.Unix()+c.want, int64(pivot.Nanosecond())+c.nano)
			s := ntp.TimestampOf(moment)
			if moment.Nanosecond() == 0 {
				s &^= 1 // what a server sends that does not spare the zero
			}
			if got := s.Near(pivot); !got.Equal(want) {
				t.Errorf("%+d s %+d ns from %s is %v, want %v", c.away, c.nano, text, got, want.UTC())
			}
		}
	}
}

// TestOrder: what is later is no lower, within an era.
func TestOrder(t *testing.T) {
	for _, start := range []string{"1600-01-01T00:00:00Z", "2026-11-22T10:00:00.999999990Z", "2036-02-07T06:28:16Z"} {
		moment := at(t, start)
		for range 100 {
			next := moment.Add(1)
			if a, b := ntp.TimestampOf(moment), ntp.TimestampOf(next); a >= b || b.Sub(a) != 1 {
				t.Fatalf("%v is %#016x and a nanosecond later %#016x, %v apart", moment, a, b, b.Sub(a))
			}
			moment = next
		}
	}
}

func TestSub(t *testing.T) {
	base := at(t, "2036-02-07T06:28:15.5Z")
	for _, d := range []time.Duration{
		0, 1, -1, time.Second, -time.Second, 499_999_999, 500_000_001, 24 * time.Hour, -24 * time.Hour, (1<<31 - 1) * time.Second,
		-(1<<31 - 1) * time.Second, (1<<31-1)*time.Second + 999_999_999, -1 << 31 * time.Second,
	} {
		if got := ntp.TimestampOf(base.Add(d)).Sub(ntp.TimestampOf(base)); got != d {
			t.Errorf("%v after %v is %v", d, base, got)
		}
	}
	if got := ntp.Timestamp(0).Sub(1); got != 0 {
		t.Errorf("2^-32 s before is %v, want 0s", got)
	}
	if got := ntp.Timestamp(0).Sub(3); got != -1 {
		t.Errorf("3·2^-32 s before is %v, want -1ns", got)
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want ntp.Short
		back time.Duration
	}{
		{-time.Hour, 0, 0},
		{0, 0, 0},
		{1, 1, 15_259}, // rounded up: 2^-16 s
		{15_258, 1, 15_259},
		{15_259, 2, 30_518},
		{time.Millisecond, 66, 1_007_080},
		{500 * time.Millisecond, 1 << 15, 500 * time.Millisecond},
		{time.Second, 1 << 16, time.Second},
		{time.Second + 1, 1<<16 + 1, time.Second + 15_259},
		{65_535 * time.Second, 65_535 << 16, 65_535 * time.Second},
		{65_536*time.Second - 1, math.MaxUint32, 65_536*time.Second - 15_259},
		{65_536 * time.Second, math.MaxUint32, 65_536*time.Second - 15_259},
		{math.MaxInt64, math.MaxUint32, 65_536*time.Second - 15_259},
	} {
		got := ntp.ShortOf(c.d)
		if got != c.want || got.Duration() != c.back {
			t.Errorf("ShortOf(%v) = %#x, which is %v, want %#x, %v", c.d, got, got.Duration(), c.want, c.back)
		}
	}
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
