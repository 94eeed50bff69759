package ask_test

import (
	"math"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
)

func TestOffsetText(t *testing.T) {
	for _, c := range []struct {
		offset      ask.Offset
		exact, six  string
		whole       int64
		wholeDigits string
	}{
		{ask.Offset{}, "0s", "0.000000", 0, "0"},
		{ask.Offset{0, 1}, "0.000000001s", "0.000000", 0, "0"},
		{ask.Offset{-1, 999_999_999}, "-0.000000001s", "0.000000", 0, "0"},
		{ask.Offset{-1, 999_999_500}, "-0.0000005s", "-0.000001", 0, "0"},
		{ask.Offset{-86400, 13_000}, "-86399.999987s", "-86399.999987", -86400, "-86400"},
		{ask.Offset{-86400, 0}, "-86400s", "-86400.000000", -86400, "-86400"},
		{ask.Offset{-1, 500_000_000}, "-0.5s", "-0.500000", 0, "-1"},
		{ask.Offset{0, 500_000_000}, "0.5s", "0.500000", 1, "1"},
		{ask.Offset{59, 999_999_999}, "59.999999999s", "60.000000", 60, "60"},
		{ask.Offset{-60, 1}, "-59.999999999s", "-60.000000", -60, "-60"},
		{ask.Offset{251_604_921_600, 250_000_000}, "251604921600.25s", "251604921600.250000", 251_604_921_600, "251604921600"},
		{ask.Offset{-315_537_897_600, 0}, "-315537897600s", "-315537897600.000000", -315_537_897_600, "-315537897600"},
	} {
		if got := c.offset.String(); got != c.exact {
			t.Errorf("%#v is %s, want %s", c.offset, got, c.exact)
		}
		if got := c.offset.Format(6); got != c.six {
			t.Errorf("%#v with 6 digits is %s, want %s", c.offset, got, c.six)
		}
		if got := c.offset.Format(0); got != c.wholeDigits {
			t.Errorf("%#v without digits is %s, want %s", c.offset, got, c.wholeDigits)
		}
		if got := c.offset.Round(); got != c.whole {
			t.Errorf("%#v is about %d s, want %d", c.offset, got, c.whole)
		}
	}
}

func TestOffsetDuration(t *testing.T) {
	const most = math.MaxInt64 / int64(time.Second)
	for _, c := range []struct {
		offset ask.Offset
		want   time.Duration
	}{
		{ask.Offset{}, 0},
		{ask.Offset{-1, 999_999_999}, -1},
		{ask.Offset{-86400, 13_000}, -24*time.Hour + 13*time.Microsecond},
		{ask.Offset{most - 1, 999_999_999}, time.Duration(most-1)*time.Second + 999_999_999},
		{ask.Offset{most, 0}, math.MaxInt64},
		{ask.Offset{-most, 5}, time.Duration(-most)*time.Second + 5},
		{ask.Offset{-most - 1, 999_999_999}, math.MinInt64},
		{ask.Offset{math.MaxInt64, 0}, math.MaxInt64},
		{ask.Offset{math.MinInt64, 0}, math.MinInt64},
	} {
		if got := c.offset.Duration(); got != c.want {
			t.Errorf("%#v is %d ns, want %d", c.offset, got, c.want)
		}
	}
}
