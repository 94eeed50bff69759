package rfc867_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/wire/rfc867"
)

var east = time.FixedZone("east", 5*3600+1800)

var lines = []struct {
	line string
	time time.Time
}{
	{"Sun Mar 20 09:29:09 2016", time.Date(2016, 3, 20, 9, 29, 9, 0, time.UTC)},
	{"Sun Mar 20 09:29:09 2016", time.Date(2016, 3, 20, 9, 29, 9, 0, east)},
	{"Sun Feb  1 00:00:00 2026", time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
	{"Thu Jan  1 00:00:00 1970", time.Date(1970, 1, 1, 0, 0, 0, 0, east)},
	{"Tue Feb 29 23:59:59 2000", time.Date(2000, 2, 29, 23, 59, 59, 0, time.UTC)},
	{"Thu Feb  7 06:28:16 2036", time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)},
	{"Mon Jan  1 00:00:00 1", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
	{"Tue Apr  8 12:00:00 825", time.Date(825, 4, 8, 12, 0, 0, 0, time.UTC)},
	{"Fri Dec 31 23:59:59 9999", time.Date(9999, 12, 31, 23, 59, 59, 0, east)},
}

func TestLines(t *testing.T) {
	for _, l := range lines {
		if got := string(rfc867.AppendCtime(nil, l.time)); got != l.line {
			t.Errorf("AppendCtime(%v) = %q, want %q", l.time, got, l.line)
		}
		if got := string(rfc867.Append([]byte("> "), l.time.Add(999_999_999))); got != "> "+l.line+"\r\n" {
			t.Errorf("Append(%v) = %q, want %q and CRLF after what was there", l.time, got, l.line)
		}
		for _, end := range []string{"\r\n", "\n", ""} {
			got, err := rfc867.Parse([]byte(l.line+end), l.time.Location())
			if err != nil || !got.Equal(l.time) || got.Location() != l.time.Location() {
				t.Errorf("Parse(%q) = %v, %v, want %v", l.line+end, got, err, l.time)
			}
		}
	}
}

// TestEachDay writes and reads a day of each month and weekday, over the leap years' cycle.
func TestEachDay(t *testing.T) {
	day := time.Date(1899, 12, 31, 23, 59, 59, 0, time.UTC)
	for day.Year() < 2301 {
		line := rfc867.Append(nil, day)
		if len(line) != rfc867.MaxSize {
			t.Fatalf("%q has %d bytes, want %d", line, len(line), rfc867.MaxSize)
		}
		if want := day.Format(time.ANSIC) + "\r\n"; string(line) != want {
			t.Fatalf("got %q, want %q", line, want)
		}
		if got, err := rfc867.Parse(line, time.UTC); err != nil || !got.Equal(day) {
			t.Fatalf("Parse(%q) = %v, %v, want %v", line, got, err, day)
		}
		day = day.Add(86399 * time.Second) // so that the time of day changes too
	}
}

func TestParsePadding(t *testing.T) {
	want := time.Date(2026, 2, 1, 3, 4, 5, 0, time.UTC)
	for _, line := range []string{"Sun Feb  1 03:04:05 2026", "Sun Feb 01 03:04:05 2026", "Sun Feb 1 3:4:5 2026\n"} {
		if got, err := rfc867.Parse([]byte(line), time.UTC); err != nil || !got.Equal(want) {
			t.Errorf("Parse(%q) = %v, %v, want %v", line, got, err, want)
		}
	}
}

func TestParseHostsZone(t *testing.T) {
	got, err := rfc867.Parse([]byte("Sun Feb  1 03:04:05 2026\r\n"), nil)
	if want := time.Date(2026, 2, 1, 3, 4, 5, 0, time.Local); err != nil || !got.Equal(want) || got.Location() != time.Local {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestParseErrors(t *testing.T) {
	const form = `want the form "Sun Mar 20 09:29:09 2016"`
	for _, c := range []struct{ line, want string }{
		{"", `rfc867: line is "", ` + form},
		{"\r\n", form},
		{"Sun Mar 20 09:29:09 2016\r", ""}, // a lone CR ends it too
		{"Sun Mar 20 09:29:09 2016\n\n", form},
		{"Sun Mar 20 09:29:09 2016\x00", form},
		{"Sun Mar 20 09:29:09", form},
		{"Sun Mar 20 09:29:09 0", form},
		{"Sun Mar 20 09:29:09 -16", form},
		{"Sun Mar 20 09:29:09 12016", form},
		{"Sun Mar 20 09:29:09 UTC 2016", form},
		{"Sun Mar 20 24:00:00 2016", form},
		{"Sun Mar 20 09:60:00 2016", form},
		{"Sat Dec 31 23:59:60 2016", form},
		{"Sun Mar 0 09:29:09 2016", form},
		{"Sun Mar   1 09:29:09 2016", form},
		{"Sun Mar 32 09:29:09 2016", form},
		{"sun mar 20 09:29:09 2016", form},
		{"Sun  Mar 20 09:29:09 2016", form},
		{"unM arA 20 09:29:09 2016", form},
		{"57713 16-11-21 09:29:09 00 0 0 50.0 UTC(NIST) *", form},
		{"Mon Mar 20 09:29:09 2016", `rfc867: line is "Mon Mar 20 09:29:09 2016", but that day is a Sunday`},
		{"Sun Feb 30 09:29:09 2016", `rfc867: line is "Sun Feb 30 09:29:09 2016", but February 2016 has no day 30`},
		{strings.Repeat("x", 600), "… (600 bytes), " + form},
	} {
		got, err := rfc867.Parse([]byte(c.line), time.UTC)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("Parse(%q): %v", c.line, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !got.IsZero()):
			t.Errorf("Parse(%q) = %v, %v, want %s", c.line, got, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, l := range lines {
		f.Add([]byte(l.line + "\r\n"))
	}
	f.Add([]byte("Sun Feb 1 3:4:5 2026"))
	f.Add([]byte("\n57713 16-11-21 09:29:09 00 0 0 50.0 UTC(NIST) * \n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := rfc867.Parse(line, time.UTC)
		if err != nil {
			return
		}
		if got.Year() < 1 || got.Year() > 9999 || got.Nanosecond() != 0 {
			t.Fatalf("%q is %v", line, got)
		}
		written := rfc867.Append(nil, got)
		if len(written) > rfc867.MaxSize {
			t.Fatalf("%q has %d bytes, want at most %d", written, len(written), rfc867.MaxSize)
		}
		if again, err := rfc867.Parse(written, time.UTC); err != nil || !again.Equal(got) {
			t.Fatalf("%q is %v, written %q, which is %v, %v", line, got, written, again, err)
		}
	})
}

func TestAllocs(t *testing.T) {
	buf := make([]byte, 0, rfc867.MaxSize)
	moment := time.Date(2026, 11, 21, 9, 29, 9, 0, time.Local)
	n := testing.AllocsPerRun(100, func() {
		buf = rfc867.Append(buf[:0], moment)
		if got, err := rfc867.Parse(buf, time.Local); err != nil || !got.Equal(moment) {
			t.Fatal(got, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, rfc867.MaxSize)
	moment := time.Date(2026, 11, 21, 9, 29, 9, 0, time.UTC)
	for b.Loop() {
		buf = rfc867.Append(buf[:0], moment)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	line := []byte("Sat Nov 21 09:29:09 2026\r\n")
	for b.Loop() {
		if _, err := rfc867.Parse(line, time.UTC); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	line := rfc867.Append(nil, time.Date(2016, 3, 20, 9, 29, 9, 0, time.UTC))
	fmt.Printf("%q\n", line)
	moment, err := rfc867.Parse(line, time.UTC)
	fmt.Println(moment, err)
	// Output:
	// "Sun Mar 20 09:29:09 2016\r\n"
	// 2016-03-20 09:29:09 +0000 UTC <nil>
}
