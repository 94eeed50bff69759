package ask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/service"
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

// TestShort is about replies over TCP that a reset cut off.
func TestShort(t *testing.T) {
	for _, c := range []struct {
		service service.Kind
		reply   string
		want    bool
	}{
		{service.Time, "", true}, {service.Time, "abc", true}, {service.Time, "abcde", false},
		{service.Daytime, "", true}, {service.Daytime, "S", false},
		{service.Echo, "", true}, {service.Echo, "h", true}, {service.Echo, "i", false}, {service.Echo, "hi!", false},
	} {
		q := question{service: c.service, send: []byte("hi")}
		if got := q.short([]byte(c.reply)); got != c.want {
			t.Errorf("%v: %q is short: %v, want %v", c.service, c.reply, got, c.want)
		}
	}
}

// A bare resolver knows no services, as on a system without a table of them.
type bare struct{}

func (bare) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("no such host")
}

func (bare) LookupPort(_ context.Context, network, service string) (int, error) {
	return 0, fmt.Errorf("lookup %s/%s: unknown port", network, service)
}

func TestResolvePort(t *testing.T) {
	for _, c := range []struct {
		port string
		kind service.Kind
		want uint16
	}{
		{"", service.Time, 12345}, {"", service.Daytime, 12321}, {"", service.Echo, 12315},
		{"time", service.Echo, 37}, {"DAYTIME", service.Time, 13}, {"echo", service.Time, 7}, {"ntp", service.Time, 123},
		{"37", service.Echo, 37}, {"00065535", service.Time, 65535},
	} {
		got, err := resolvePort(t.Context(), bare{}, UDP, Target{"localhost", c.port}, c.kind)
		if err != nil || got != c.want {
			t.Errorf("%v at port %q: %d, %v, want %d", c.kind, c.port, got, err, c.want)
		}
	}
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]string{
		85_432: "85µs", 123_456: "120µs", 7_012_345_678: "7s", 70_312_000: "70ms", 612_000_000: "610ms", 99_960_000_000: "1m40s",
	} {
		if got := round(d).String(); got != want {
			t.Errorf("%d ns is %s, want %s", d, got, want)
		}
	}
}

func TestCameAt(t *testing.T) {
	read := time.Now()
	wall := read.Round(0)
	for _, c := range []struct {
		name        string
		read, stamp time.Time
		want        time.Time
	}{
		{"stamped", read, wall.Add(-50 * time.Microsecond), read.Add(-50 * time.Microsecond)},
		{"stamped in another zone", read, wall.Add(-time.Second).In(time.FixedZone("east", 3600)), read.Add(-time.Second)},
		{"no stamp", read, time.Time{}, read},
		{"a clock of the caller's", wall, wall.Add(-50 * time.Microsecond), wall},
		{"set back", read, wall.Add(time.Nanosecond), read},
		{"set ahead", read, wall.Add(-time.Second - 1), read},
	} {
		if got := cameAt(c.read, c.stamp); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestStampOf reads what is no stamp.
func TestStampOf(t *testing.T) {
	for _, control := range [][]byte{nil, make([]byte, 8), make([]byte, 64), bytes.Repeat([]byte{0xff}, 64)} {
		if got := stampOf(control); !got.IsZero() {
			t.Errorf("% x is %v", control, got)
		}
	}
}

func mustAddr(t testing.TB, text string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
