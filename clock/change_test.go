package clock

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// listed gives up to n changes, one a line: when, what, what it reads.
func listed(c Clock, from, until time.Time, n int) []string {
	var lines []string
	for change := range Changes(c, from, until) {
		if len(lines) == n {
			break
		}
		lines = append(lines, fmt.Sprintf("%s %v %s", formatInstant(instantOf(change.Real)), change.Kind, formatInstant(instantOf(change.Served))))
	}
	return lines
}

func TestChanges(t *testing.T) {
	tests := []struct {
		text, from, until string
		want              []string // all, or the first
	}{
		{"now", "2036-02-07", "2036-02-08", []string{"2036-02-07T06:28:16Z rfc868-rollover 2036-02-07T06:28:16Z"}},
		{"now", "2036-02-07T06:28:16Z", "2036-02-08", nil}, // it has been
		{"now", "2036-02-07", "2036-02-07T06:28:16Z", []string{"2036-02-07T06:28:16Z rfc868-rollover 2036-02-07T06:28:16Z"}},
		{"now", "2036-02-07", "2036-02-07T06:28:15.999999999Z", nil},
		{"now", "2036-02-08", "2036-02-07", nil},
		{"yesterday", "2026-11-22", "2200-01-01", []string{
			"2036-02-08T06:28:16Z rfc868-rollover 2036-02-07T06:28:16Z",
			"2038-01-20T03:14:08Z unix-rollover 2038-01-19T03:14:08Z",
			"2172-03-16T12:56:32Z rfc868-rollover 2172-03-15T12:56:32Z",
		}},
		{"now", "1600-01-01", "1901-01-01", []string{
			"1627-10-18T11:03:28Z rfc868-rollover 1627-10-18T11:03:28Z",
			"1763-11-24T17:31:44Z rfc868-rollover 1763-11-24T17:31:44Z",
			"1900-01-01 rfc868-rollover 1900-01-01",
		}},
		{"now", "9900-01-01", "", []string{
			"9930-01-09T21:47:44Z rfc868-rollover 9930-01-09T21:47:44Z",
			"9999-12-31T23:59:59.999999999Z segment 9999-12-31T23:59:59.999999999Z",
		}},
		{"ntp-rollover x60", realStart, "2026-11-22T11:00:00Z", []string{
			"2026-11-22T10:00:00.166666667Z rfc868-rollover 2036-02-07T06:28:16.00000002Z",
		}},
		{"ntp-rollover frozen", realStart, "", nil},
		{"epoch for 10s then unix-rollover for 10s then now", realStart, "2026-11-23", []string{
			"2026-11-22T10:00:10Z segment 2038-01-19T03:13:58Z",
			"2026-11-22T10:00:20Z segment 2026-11-22T10:00:20Z", // it ends as it would have reached the moment
		}},
		{"unix-rollover for 10001ms repeat", realStart, "2026-11-22T10:00:10.001Z", []string{
			"2026-11-22T10:00:10Z unix-rollover 2038-01-19T03:14:08Z",
			"2026-11-22T10:00:10.001Z segment 2038-01-19T03:13:58Z",
		}},
		// Set right on the moment, from before it and from behind it; over it.
		{"now for 1s then 2036-02-07T06:28:16Z", realStart, "2026-11-23", []string{
			"2026-11-22T10:00:01Z segment 2036-02-07T06:28:16Z",
			"2026-11-22T10:00:01Z rfc868-rollover 2036-02-07T06:28:16Z",
		}},
		{"2037-01-01 for 1s then 2036-02-07T06:28:16Z", realStart, "2026-11-23", []string{"2026-11-22T10:00:01Z segment 2036-02-07T06:28:16Z"}},
		{"now for 1s then 2040-01-01", realStart, "2026-11-23", []string{"2026-11-22T10:00:01Z segment 2040-01-01"}},
		// One line in two pieces passes the moment at their seam.
		{"now for 1h then now", "2036-02-07T06:00:00Z", "2036-02-08", []string{
			"2036-02-07T06:28:16Z segment 2036-02-07T06:28:16Z",
			"2036-02-07T06:28:16Z rfc868-rollover 2036-02-07T06:28:16Z",
		}},
		{"now for 1ns repeat", realStart, "", []string{
			"2026-11-22T10:00:00.000000001Z segment 2026-11-22T10:00:00.000000001Z",
			"2026-11-22T10:00:00.000000002Z segment 2026-11-22T10:00:00.000000002Z",
		}},
		// Leap seconds.
		{"leap-second", "2026-11-20", "2026-11-23", []string{
			"2026-11-21T10:00:10Z leap-announced 2016-12-31",
			"2026-11-22T10:00:10Z leap-inserted 2016-12-31T23:59:59Z",
			"2026-11-22T10:00:11Z leap-over 2017-01-01",
		}},
		{"leap-second", "2026-11-22T10:00:10Z", "2026-11-22T10:00:11Z", []string{"2026-11-22T10:00:11Z leap-over 2017-01-01"}},
		{"now leap-", "2026-11-21", "2026-11-24", []string{
			"2026-11-22 leap-announced 2026-11-22",
			"2026-11-22T23:59:59Z leap-deleted 2026-11-23",
		}},
		{"now smear 24h", "2026-11-21", "2026-11-24", []string{
			"2026-11-22T12:00:00Z smear-begin 2026-11-22T12:00:00Z",
			"2026-11-23T12:00:01Z smear-end 2026-11-23T12:00:00Z",
		}},
		// Where a piece with one begins and ends; within a smear.
		{"epoch for 5s then leap-second for 5s then now", realStart, "2026-11-23", []string{
			"2026-11-22T10:00:05Z segment 2016-12-31T23:59:50Z",
			"2026-11-22T10:00:05Z leap-announced 2016-12-31T23:59:50Z",
			"2026-11-22T10:00:10Z segment 2026-11-22T10:00:10Z",
			"2026-11-22T10:00:10Z leap-over 2026-11-22T10:00:10Z",
		}},
		{"leap-second for 11s repeat", realStart, "2026-11-22T10:00:12Z", []string{
			"2026-11-22T10:00:10Z leap-inserted 2016-12-31T23:59:59Z",
			"2026-11-22T10:00:11Z segment 2016-12-31T23:59:50Z",
		}},
		{"now for 4h then now smear 24h for 1h then now", realStart, "2026-11-23", []string{
			"2026-11-22T14:00:00Z smear-begin 2026-11-22T14:00:00Z",
			"2026-11-22T15:00:00Z segment 2026-11-22T15:00:00Z",
			"2026-11-22T15:00:00Z smear-end 2026-11-22T15:00:00Z",
		}},
		{"now for 1h then now leap", realStart, "2026-11-22T12:00:00Z", []string{"2026-11-22T11:00:00Z leap-announced 2026-11-22T11:00:00Z"}},
		// A step back of a second that is none of midnight, and one that nobody announces.
		{"now leap for 1h then -1s leap", realStart, "2026-11-22T12:00:00Z", []string{"2026-11-22T11:00:00Z segment 2026-11-22T10:59:59Z"}},
		{"2016-12-31T23:59:59Z for 1s then 2016-12-31T23:59:59Z", realStart, "2026-11-23", []string{"2026-11-22T10:00:01Z segment 2016-12-31T23:59:59Z"}},
		// The rollover of 1900 is a midnight: it comes once, after the second that goes before it.
		{"1899-12-31T23:59:58Z leap", realStart, "2026-11-23", []string{
			"2026-11-22T10:00:02Z leap-inserted 1899-12-31T23:59:59Z",
			"2026-11-22T10:00:03Z leap-over 1900-01-01",
			"2026-11-22T10:00:03Z rfc868-rollover 1900-01-01",
		}},
		{"1899-12-31T23:59:58Z leap-", realStart, "2026-11-23", []string{
			"2026-11-22T10:00:01Z leap-deleted 1900-01-01",
			"2026-11-22T10:00:01Z rfc868-rollover 1900-01-01",
		}},
		{"1899-12-31T23:59:58Z smear 1s", realStart, "2026-11-23", []string{
			"2026-11-22T10:00:01.5Z smear-begin 1899-12-31T23:59:59.5Z",
			"2026-11-22T10:00:02.5Z rfc868-rollover 1900-01-01",
			"2026-11-22T10:00:03.5Z smear-end 1900-01-01T00:00:00.5Z",
		}},
		// At its end a smear jumps some nanoseconds, over the rollover of 2036.
		{"2036-02-04T00:59:59Z smear 4d12h56m32.000000002s", realStart, "2026-11-30", []string{
			"2026-11-25T15:28:17.711123634Z smear-end 2036-02-07T06:28:16.000000001Z",
			"2026-11-25T15:28:17.711123634Z rfc868-rollover 2036-02-07T06:28:16.000000001Z",
		}},
		{"9999-12-30T23:00:00Z smear 4d", realStart, "", []string{"2026-11-23T11:00:00.260416667Z segment 9999-12-31T23:59:59.999999999Z"}},
		{"0001-01-01 smear 7d", "2026-11-01", "2026-12-01", []string{
			"2026-11-22T10:00:00Z segment 0001-01-01",
			"2026-11-26T22:00:00.642857142Z smear-end 0001-01-05T12:00:00Z",
		}},
		{"yesterday", "0001-01-01", "0200-01-01", []string{
			"0001-01-02 segment 0001-01-01",
			"0130-09-04T11:52:32Z rfc868-rollover 0130-09-03T11:52:32Z",
		}},
		{"tomorrow", "9999-12-01", "", []string{"9999-12-30T23:59:59.999999999Z segment 9999-12-31T23:59:59.999999999Z"}},
		{"9999-12-31 x100000", realStart, "", []string{"2026-11-22T10:00:00.864Z segment 9999-12-31T23:59:59.999999999Z"}},
	}
	for _, tt := range tests {
		begin := day(t, realStart)
		if tt.text == "now for 1h then now" {
			begin = day(t, "2036-02-07T05:28:16Z")
		}
		r, err := Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		var until time.Time
		n := 20
		if tt.until != "" {
			until = day(t, tt.until)
		}
		if r.repeat && tt.until == "" {
			n = len(tt.want)
		}
		if got := listed(r.Start(begin), day(t, tt.from), until, n); !slices.Equal(got, tt.want) {
			t.Errorf("%s from %s until %s:\n got %q\nwant %q", tt.text, tt.from, tt.until, got, tt.want)
		}
	}
}

func TestChangesBefore(t *testing.T) {
	c := start(t, "yesterday for 10m then now x60 for 1s then now")
	var got []string
	for change := range Changes(c, day(t, realStart), day(t, "2026-11-23")) {
		got = append(got, fmt.Sprint(change.Served.Sub(change.Before), " ", change.Segment.Rate))
	}
	if want := []string{"24h0m0s x60", "-59s x1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// stuck is a clock that breaks the contract: its segment ended long ago.
type stuck struct{}

func (stuck) Segment(time.Time) Segment { return Segment{Rate: Normal, Until: time.Unix(0, 0)} }

func TestChangesOfABrokenClockEnd(t *testing.T) {
	for change := range Changes(stuck{}, time.Unix(1, 0), time.Time{}) {
		t.Fatal(change)
	}
}
