package rfc868_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/wire/rfc868"
)

var vectors = []struct {
	text  string
	value rfc868.Time
	era   int
}{
	// The table of RFC 868.
	{"1970-01-01T00:00:00Z", 2_208_988_800, 0},
	{"1976-01-01T00:00:00Z", 2_398_291_200, 0},
	{"1980-01-01T00:00:00Z", 2_524_521_600, 0},
	{"1983-05-01T00:00:00Z", 2_629_584_000, 0},
	{"1858-11-17T00:00:00Z", 1<<32 - 1_297_728_000, -1},

	{"1900-01-01T00:00:00Z", 0, 0},
	{"1899-12-31T23:59:59Z", 0xffff_ffff, -1},
	{"1968-01-20T03:14:07Z", 0x7fff_ffff, 0},
	{"1968-01-20T03:14:08Z", 0x8000_0000, 0},
	{"2036-02-07T06:28:15Z", 0xffff_ffff, 0},
	{"2036-02-07T06:28:16Z", 0, 1},
	{"2038-01-19T03:14:08Z", 1<<31 + 2_208_988_800 - 1<<32, 1},
	{"2172-03-15T12:56:31Z", 0xffff_ffff, 1},
	{"2172-03-15T12:56:32Z", 0, 2},
	{"1600-01-01T00:00:00Z", 3_417_794_688, -3},
	{"2193-01-01T00:00:00Z", 656_334_208, 2},
	{"0001-01-01T00:00:00Z", 202_934_144, -14},
	{"9999-12-31T23:59:59Z", 2_208_219_135, 59},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		moment := at(t, v.text)
		if got := rfc868.Of(moment); got != v.value {
			t.Errorf("Of(%s) = %d, want %d", v.text, got, v.value)
		}
		if got := rfc868.Of(moment.Add(999_999_999)); got != v.value {
			t.Errorf("Of(%s and 999999999ns) = %d, want %d", v.text, got, v.value)
		}
		if got := rfc868.Era(moment); got != v.era {
			t.Errorf("Era(%s) = %d, want %d", v.text, got, v.era)
		}
		if got := v.value.In(v.era); !got.Equal(moment) || got.Location() != time.UTC {
			t.Errorf("%d.In(%d) = %v, want %s", v.value, v.era, got, v.text)
		}
		if got := v.value.Near(moment); !got.Equal(moment) || got.Location() != time.UTC {
			t.Errorf("%d.Near(%s) = %v, want the same", v.value, v.text, got)
		}
	}
}

// TestEras goes through every era of the years 1 to 9999, against arithmetic without bounds.
func TestEras(t *testing.T) {
	era0 := big.NewInt(at(t, "1900-01-01T00:00:00Z").Unix())
	for era := -14; era <= 59; era++ {
		start := new(big.Int).Lsh(big.NewInt(int64(era)), 32)
		start.Add(start, era0)
		for _, v := range []rfc868.Time{0, 1, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, 0xffff_ffff} {
			want := time.Unix(new(big.Int).Add(start, big.NewInt(int64(v))).Int64(), 0)
			got := v.In(era)
			if !got.Equal(want) {
				t.Errorf("%#x.In(%d) = %v, want %v", v, era, got, want.UTC())
			}
			if rfc868.Era(got) != era || rfc868.Of(got) != v {
				t.Errorf("%v is %#x in era %d, want %#x in era %d", got, rfc868.Of(got), rfc868.Era(got), v, era)
			}
			// The middle of an era chooses that era for each value.
			if near := v.Near(rfc868.Time(1 << 31).In(era)); !near.Equal(want) {
				t.Errorf("%#x near the middle of era %d is %v, want %v", v, era, near, want.UTC())
			}
		}
	}
}

func TestNear(t *testing.T) {
	const half = 1 << 31 // seconds
	pivots := []string{
		"0001-01-01T00:00:00Z", "1600-02-29T12:00:00Z", "1899-12-31T23:59:59.5Z", "1900-01-01T00:00:00Z",
		"1968-01-20T03:14:08Z", "1970-01-01T00:00:00Z", "2026-11-22T10:00:00.25Z", "2036-02-07T06:28:15.999999999Z",
		"2036-02-07T06:28:16Z", "2104-02-26T09:42:24Z", "2172-03-15T12:56:32Z", "2193-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999Z",
	}
	for _, text := range pivots {
		pivot := at(t, text)
		whole := pivot.Nanosecond() == 0
		for _, c := range []struct{ away, want int64 }{ // seconds from the pivot's second
			{0, 0}, {1, 1}, {-1, -1}, {86400, 86400}, {half - 1, half - 1}, {-half + 1, -half + 1},
			{half + 1, -half + 1}, {-half - 1, half - 1}, {1 << 32, 0}, {-1 << 32, 0},
		} {
			v := rfc868.Of(time.Unix(pivot.Unix()+c.away, 0))
			if got := v.Near(pivot); got.Unix() != pivot.Unix()+c.want || got.Nanosecond() != 0 {
				t.Errorf("%+d s near %s is %v, want %+d s", c.away, text, got, c.want)
			}
		}
		want := pivot.Unix() - half // equally near: the earlier
		if !whole {
			want = pivot.Unix() + half // the pivot's fraction decides
		}
		if got := rfc868.Of(time.Unix(pivot.Unix()+half, 0)).Near(pivot); got.Unix() != want {
			t.Errorf("half an era from %s is %v, want %v", text, got, time.Unix(want, 0).UTC())
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		reply string
		want  string
	}{
		{"", "rfc868: reply has 0 bytes, want 4"},
		{"\n", "rfc868: reply has 1 byte, want 4: 0a"},
		{"abc", "rfc868: reply has 3 bytes, want 4: 61 62 63"},
		{"hello", "rfc868: reply has 5 bytes, want 4: 68 65 6c 6c 6f"},
		{"0123456789abcdef", "rfc868: reply has 16 bytes, want 4: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66"},
		{strings.Repeat("x", 1472), "rfc868: reply has 1472 bytes, want 4:" + strings.Repeat(" 78", 64) + " …"},
	} {
		v, err := rfc868.Parse([]byte(c.reply))
		if err == nil || err.Error() != c.want || v != 0 {
			t.Errorf("Parse(%q) = %d, %v, want %s", c.reply, v, err, c.want)
		}
	}
}

func TestAppend(t *testing.T) {
	got := rfc868.Time(0x0102_03ff).Append([]byte("ab"))
	if want := []byte{'a', 'b', 1, 2, 3, 0xff}; !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Add([]byte{0x83, 0xaa, 0x7e, 0x80}, int64(0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, int64(2_085_978_496))
	f.Add([]byte("hello"), int64(-62_135_596_800))
	f.Fuzz(func(t *testing.T, b []byte, pivotUnix int64) {
		v, err := rfc868.Parse(b)
		if (err == nil) != (len(b) == rfc868.Size) {
			t.Fatalf("Parse(% x): %v", b, err)
		}
		if err != nil {
			return
		}
		if got := v.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("% x parsed and appended is % x", b, got)
		}
		first, last := int64(-62_135_596_800), int64(253_402_300_799) // the years 1 to 9999
		if pivotUnix < first || pivotUnix > last {
			return
		}
		near := v.Near(time.Unix(pivotUnix, 0))
		if rfc868.Of(near) != v || !v.In(rfc868.Era(near)).Equal(near) {
			t.Fatalf("%d near %d is %v, which is another value", v, pivotUnix, near)
		}
		if d := near.Unix() - pivotUnix; d < -1<<31 || d >= 1<<31 {
			t.Fatalf("%d near %d is %d seconds away", v, pivotUnix, d)
		}
	})
}

func TestAllocs(t *testing.T) {
	var (
		buf    = make([]byte, 0, rfc868.Size)
		moment = at(t, "2026-11-21T09:29:09Z")
		pivot  = at(t, "2026-11-22T09:29:09Z")
	)
	n := testing.AllocsPerRun(100, func() {
		buf = rfc868.Of(moment).Append(buf[:0])
		v, err := rfc868.Parse(buf)
		if err != nil || !v.Near(pivot).Equal(moment) || rfc868.Era(moment) != 0 {
			t.Fatal(v, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, rfc868.Size)
	moment := at(b, "2026-11-21T09:29:09Z")
	for b.Loop() {
		buf = rfc868.Of(moment).Append(buf[:0])
	}
}

func BenchmarkParseNear(b *testing.B) {
	b.ReportAllocs()
	pivot := at(b, "2026-11-22T09:29:09Z")
	reply := rfc868.Of(pivot).Append(nil)
	var near time.Time
	for b.Loop() {
		v, err := rfc868.Parse(reply)
		if err != nil {
			b.Fatal(err)
		}
		near = v.Near(pivot)
	}
	if !near.Equal(pivot) {
		b.Fatal(near)
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
