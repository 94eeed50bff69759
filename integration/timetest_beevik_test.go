package integration_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/ntp"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
)

// What an author of a client library would test with package timetest, by a library that is widely used.

// query asks over a server's own connections, which is all that a server in memory needs of a library.
func query(s *timetest.Server) (*ntp.Response, error) {
	return ntp.QueryWithOptions(s.Addr(service.NTP), ntp.QueryOptions{
		Dialer: func(_, remote string) (net.Conn, error) { return s.Dial("udp", remote) },
	})
}

// The library finds the era on both sides of the rollover of 2036.
func TestBeevikRollover(t *testing.T) {
	s := timetest.NewServer(t, "now")
	for _, c := range []struct {
		time string
		era  uint8
	}{
		{"2036-02-07T06:28:15.5Z", 0},
		{"2036-02-07T06:28:16Z", 1},
		{"2036-02-07T06:28:17.25Z", 1},
	} {
		s.SetClock(c.time + " frozen")
		r, err := ntp.Query(s.Addr(service.NTP))
		if err != nil {
			t.Fatal(err)
		}
		want, err := time.Parse(time.RFC3339, c.time)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Time.Equal(want) || r.Era != c.era || r.Validate() != nil {
			t.Errorf("%v in era %d (%v), want %v in era %d", r.Time, r.Era, r.Validate(), want, c.era)
		}
	}
	if n := len(s.Exchanges()); n != 3 {
		t.Errorf("%d exchanges, want 3", n)
	}
}

// The clock that it keeps by one server goes through the rollover without a step.
func TestBeevikThroughRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timetest.NewMemoryServer(t, "ntp-rollover")
		want := time.Until(time.Date(2036, 2, 7, 6, 28, 6, 0, time.UTC))
		for range 3 * 60 { // minutes
			r, err := query(s)
			if err != nil {
				t.Fatal(err)
			}
			// Fractions of seconds in 32 bits are a quarter of a nanosecond.
			if off := r.ClockOffset - want; off.Abs() > time.Nanosecond || r.Validate() != nil {
				t.Fatalf("at %v: offset %v (%v), want %v", r.Time, r.ClockOffset, r.Validate(), want)
			}
			time.Sleep(time.Minute)
		}
	})
}

// It passes on the announcement of a leap second, until that has come.
func TestBeevikLeapSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timetest.NewMemoryServer(t, "2016-12-31T22:30:00.5Z leap")
		before := time.Until(time.Date(2016, 12, 31, 22, 30, 0, 5e8, time.UTC))
		for second := range 3 * 60 * 60 {
			r, err := query(s)
			if err != nil {
				t.Fatal(err)
			}
			leap, want := ntp.LeapAddSecond, before
			switch {
			case second > 90*60: // it is over
				leap, want = ntp.LeapNoWarning, before-time.Second
			case second == 90*60: // half of it
				want = before - time.Second
			}
			if r.Leap != leap || (r.ClockOffset-want).Abs() > time.Nanosecond {
				t.Fatalf("second %d, %v: leap %v, offset %v, want %v, %v", second, r.Time, r.Leap, r.ClockOffset, leap, want)
			}
			time.Sleep(time.Second)
		}
	})
}

// How it takes each fault: the error of the question, that of Validate, and how long it took.
func TestBeevikFaults(t *testing.T) {
	for _, c := range []struct {
		faults  []string
		err     error
		invalid error
		kiss    string
		offset  time.Duration
		took    time.Duration
	}{
		{faults: nil},
		{faults: []string{"kiss RATE"}, invalid: ntp.ErrKissOfDeath, kiss: "RATE"},
		{faults: []string{"kiss DENY"}, invalid: ntp.ErrKissOfDeath, kiss: "DENY"},
		{faults: []string{"unsynchronised"}, invalid: ntp.ErrKissOfDeath, kiss: "INIT"},
		{faults: []string{"stratum 16"}, invalid: ntp.ErrInvalidStratum},
		{faults: []string{"leap unknown"}, invalid: ntp.ErrInvalidLeapSecond},
		{faults: []string{"wrong-origin"}, err: ntp.ErrServerResponseMismatch},
		{faults: []string{"zero-transmit"}, err: ntp.ErrInvalidTransmitTime},
		{faults: []string{"length 47"}, err: ntp.ErrInvalidTime},
		{faults: []string{"length 0"}, err: ntp.ErrInvalidTime},
		{faults: []string{"silence"}, err: os.ErrDeadlineExceeded, took: 5 * time.Second},
		{faults: []string{"delay 10s"}, err: os.ErrDeadlineExceeded, took: 5 * time.Second},
		{faults: []string{"delay 50ms"}, offset: -25 * time.Millisecond, took: 50 * time.Millisecond},
		{faults: []string{"duplicate"}},
		{faults: []string{"mode 3"}, err: ntp.ErrInvalidMode},
		{faults: []string{"version 1"}}, // it does not look
	} {
		t.Run(strings.Join(c.faults, ","), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := timetest.NewMemoryServer(t, "now")
				s.SetFaults(c.faults...)
				begun := time.Now()
				r, err := query(s)
				if took := time.Since(begun); took != c.took || !errors.Is(err, c.err) {
					t.Errorf("%v after %v, want %v after %v", err, took, c.err, c.took)
				}
				if err != nil {
					return
				}
				if invalid := r.Validate(); invalid != c.invalid || r.KissCode != c.kiss {
					t.Errorf("%v, kiss code %q, want %v, %q", invalid, r.KissCode, c.invalid, c.kiss)
				}
				if (r.ClockOffset - c.offset).Abs() > time.Nanosecond {
					t.Errorf("offset %v, want %v", r.ClockOffset, c.offset)
				}
			})
		})
	}
}

// Over sockets it takes them in the same way.
func TestBeevikFaultsOverSockets(t *testing.T) {
	s := timetest.NewServer(t, "yesterday")
	s.SetFaults("kiss RATE")
	if r, err := ntp.Query(s.Addr(service.NTP)); err != nil || r.KissCode != "RATE" || !r.IsKissOfDeath() {
		t.Errorf("kiss RATE: %+v, %v", r, err)
	}
	s.SetFaults("wrong-origin")
	if _, err := ntp.Query(s.Addr(service.NTP)); err != ntp.ErrServerResponseMismatch {
		t.Errorf("wrong-origin: %v", err)
	}
	s.SetFaults("delay 100ms")
	if r, err := ntp.Query(s.Addr(service.NTP)); err != nil || r.RTT < 100*time.Millisecond || r.ClockOffset > -24*time.Hour {
		t.Errorf("delay 100ms: %+v, %v, want it in the round trip", r, err)
	}
	s.SetFaults("silence")
	_, err := ntp.QueryWithOptions(s.Addr(service.NTP), ntp.QueryOptions{Timeout: 20 * time.Millisecond})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silence: %v, want no time left", err)
	}
}
