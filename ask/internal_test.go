package ask

import (
	"testing"
	"time"
)

func TestOffset(t *testing.T) {
	base := time.Date(2026, 11, 22, 9, 29, 9, 0, time.UTC)
	after := func(d time.Duration) time.Time { return base.Add(d) }
	const ms = time.Millisecond
	for _, c := range []struct {
		name           string
		served         time.Time
		sent, received time.Time
		want           int64
	}{
		{"within a second", after(-24 * time.Hour), after(100 * ms), after(200 * ms), -86400},
		{"on the second", after(-24 * time.Hour), after(0), after(0), -86400},
		{"the server read before the second began", after(-24*time.Hour - time.Second), after(-1 * ms), after(900 * ms), -86400},
		{"the server read after the second began", after(-24 * time.Hour), after(-900 * ms), after(1 * ms), -86400},
		{"no whole minute: the middle", after(-24*time.Hour + 7*time.Second), after(-1 * ms), after(2 * ms), -86393},
		{"no whole minute: the middle before", after(-24*time.Hour + 7*time.Second), after(-2 * ms), after(1 * ms), -86392},
		{"slow: the middle", after(-24 * time.Hour), after(-1500 * ms), after(500 * ms), -86399},
		{"ahead, beyond a Duration", base.AddDate(7973, 0, 0), after(0), after(ms), 251604921600},
		{"behind, beyond a Duration", base.AddDate(-2025, 0, 0), after(0), after(ms), -63903513600},
		{"in time", after(0), after(500 * ms), after(501 * ms), 0},
	} {
		want := c.want
		if c.name == "ahead, beyond a Duration" || c.name == "behind, beyond a Duration" {
			want = c.served.Unix() - base.Unix()
		}
		if got := offset(c.served, c.sent, c.received); got != want {
			t.Errorf("%s: %d s, want %d", c.name, got, want)
		}
	}
}

// TestOffsetYesterday asks a clock that is exactly 24 hours behind, at each hundredth of a second, over a path on which
// the server reads its clock anywhere between sending and receiving.
func TestOffsetYesterday(t *testing.T) {
	base := time.Date(2026, 11, 22, 9, 29, 9, 0, time.UTC)
	for start := range 100 {
		for trip := range 99 {
			for read := range trip + 1 {
				at := func(hundredths int) time.Time { return base.Add(time.Duration(hundredths) * 10 * time.Millisecond) }
				served := at(start + read).Add(-24 * time.Hour).Truncate(time.Second)
				if got := offset(served, at(start), at(start+trip)); got != -86400 {
					t.Fatalf("sent at %d, read at +%d, received at +%d hundredths: %d s", start, read, trip, got)
				}
			}
		}
	}
}

func TestPatience(t *testing.T) {
	for _, c := range []struct {
		first time.Duration
		try   int
		want  time.Duration
	}{
		{time.Second, 0, time.Second},
		{time.Second, 1, 2 * time.Second},
		{time.Second, 5, 32 * time.Second},
		{time.Second, 6, time.Minute},
		{time.Second, 1 << 30, time.Minute},
		{time.Nanosecond, 3, 8},
		{time.Hour, 0, time.Hour},
		{time.Hour, 2, time.Hour},
		{1<<63 - 1, 2, 1<<63 - 1},
	} {
		if got := (&question{timeout: c.first}).patience(c.try); got != c.want {
			t.Errorf("try %d after a first of %v: %v, want %v", c.try, c.first, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"tiem": "time", "TIME": "time", "datime": "daytime", "day": "", "ehco": "echo", "ecko": "echo", "nt": "ntp",
		"": "", "http": "", "npt": "", "x": "", "timeserver": "",
	} {
		if got := nearest(name); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
