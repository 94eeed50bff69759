package service

import (
	"net/netip"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

var received = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// request is what a client asks, on a clock.
func request(c clock.Clock) *exchange.Request {
	q := ntp.Header{Version: 4, Mode: ntp.ModeClient, Poll: 6, Transmit: 0x0123456789abcdef}
	return &exchange.Request{
		Data: q.Append(nil), From: netip.MustParseAddrPort("192.0.2.1:50000"), Received: received, Clock: c,
	}
}

// answer returns what h answers r.
func answer(t *testing.T, h NTPHandler, r *exchange.Request) (ntp.Header, exchange.Reply) {
	t.Helper()
	var p exchange.Reply
	if v := h.Serve(&p, r); v != exchange.Answer {
		t.Fatalf("verdict %v", v)
	}
	a, err := ntp.Parse(p.Data)
	if err != nil || len(p.Data) != ntp.HeaderSize {
		t.Fatalf("reply of %d bytes, %v", len(p.Data), err)
	}
	return a, p
}

// Receive and transmit time are each what the client's clock reads then.
func TestNTPTimes(t *testing.T) {
	for _, test := range []struct {
		clock        string
		after        time.Duration // from the receipt to the answer
		receive, end string
	}{
		{"yesterday", 250 * time.Microsecond, "2026-11-21T10:00:00Z", "2026-11-21T10:00:00.00025Z"},
		{"now x60", time.Second, "2026-11-22T10:00:00Z", "2026-11-22T10:01:00Z"},
		{"now frozen", time.Second, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"},
		{"now for 1s then yesterday", 2 * time.Second, "2026-11-22T10:00:00Z", "2026-11-21T10:00:02Z"}, // the clock itself goes back
		{"now", -time.Hour, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"},                            // the host's clock was set back
		{"1600-01-01", time.Second, "1600-01-01T00:00:00Z", "1600-01-01T00:00:01Z"},
		{"9999-12-31T23:59:59Z", time.Minute, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999Z"},
		{"0001-01-01", time.Second, "0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z"},
	} {
		h := NTPHandler{Now: func() time.Time { return received.Add(test.after) }}
		a, p := answer(t, h, request(clock.MustParse(test.clock).Start(received)))
		for what, got := range map[string]struct {
			stamp ntp.Timestamp
			want  string
		}{"receive": {a.Receive, test.receive}, "transmit": {a.Transmit, test.end}} {
			want, err := time.Parse(time.RFC3339Nano, got.want)
			if err != nil {
				t.Fatal(err)
			}
			if near := got.stamp.Near(want); near.Sub(want).Abs() > time.Nanosecond {
				t.Errorf("%s: %s %v, want %v", test.clock, what, near, want)
			}
			if what == "transmit" && !p.Told.Equal(want) {
				t.Errorf("%s: told %v, want %v", test.clock, p.Told, want)
			}
		}
		if a.Origin != 0x0123456789abcdef || a.Poll != 6 {
			t.Errorf("%s: origin %x, poll %d", test.clock, a.Origin, a.Poll)
		}
		if age := a.Receive.Sub(a.Reference); age != time.Second {
			t.Errorf("%s: reference %v before receive", test.clock, age)
		}
	}
}

// announcing is a clock that announces a leap second.
type announcing clock.Leap

func (a announcing) Segment(real time.Time) clock.Segment {
	return clock.Segment{Real: real, Served: real, Rate: clock.Normal, Leap: clock.Leap(a)}
}

func TestNTPLeap(t *testing.T) {
	for leap, want := range map[clock.Leap]ntp.Leap{
		clock.LeapNone: ntp.LeapNone, clock.LeapInsert: ntp.LeapInsert, clock.LeapDelete: ntp.LeapDelete, clock.LeapUnknown: ntp.LeapUnknown,
	} {
		if a, _ := answer(t, NTPHandler{}, request(announcing(leap))); a.Leap != want {
			t.Errorf("%v: leap indicator %v, want %v", leap, a.Leap, want)
		}
	}
}

func TestNTPSettings(t *testing.T) {
	now := clock.Offset(0)
	a, _ := answer(t, NTPHandler{}, request(now))
	if a.Stratum != 1 || a.ReferenceID != DefaultReferenceID || a.Precision != defaultPrecision || a.RootDelay != 0 || a.RootDispersion != 0 {
		t.Errorf("zero handler: %+v", a)
	}
	h := NTPHandler{
		Stratum: 3, ReferenceID: ntp.ReferenceID{'X', 'T', 'S', 'T'}, Precision: -24,
		Root: func() (ntp.Short, ntp.Short) { return 5, 7 },
	}
	a, _ = answer(t, h, request(now))
	if a.Stratum != 3 || a.ReferenceID != h.ReferenceID || a.Precision != -24 || a.RootDelay != 5 || a.RootDispersion != 7 || a.Leap != ntp.LeapNone {
		t.Errorf("set: %+v", a)
	}
	a, _ = answer(t, NTPHandler{Stratum: Unsynchronised}, request(now))
	if a.Stratum != 0 || a.Leap != ntp.LeapUnknown || a.ReferenceID != notYetSet {
		t.Errorf("not synchronised: stratum %d, leap %v, %s; want 0, unknown and INIT", a.Stratum, a.Leap, a.ReferenceID)
	}
}

func TestNTPNotesMAC(t *testing.T) {
	r := request(clock.Offset(0))
	if _, p := answer(t, NTPHandler{}, r); p.Notes != 0 {
		t.Errorf("without a MAC: notes %q", p.Notes)
	}
	r.Data = append(r.Data, make([]byte, 20)...)
	if _, p := answer(t, NTPHandler{}, r); p.Notes != exchange.Unsigned {
		t.Errorf("with a MAC: notes %q, want %q", p.Notes, exchange.Unsigned)
	}
}

// A version 1 packet without a mode is a question, unless a server of that time sent it.
func TestNTPVersion1(t *testing.T) {
	r := request(clock.Offset(0))
	r.Data[0] = 1 << 3
	answer(t, NTPHandler{}, r)
	r.From = netip.AddrPortFrom(r.From.Addr(), ntpPort)
	if v := (NTPHandler{}).Serve(new(exchange.Reply), r); v != exchange.WrongMode {
		t.Errorf("from port 123: %v, want %v", v, exchange.WrongMode)
	}
}

func TestNTPTruncated(t *testing.T) {
	r := request(clock.Offset(0))
	r.Truncated = true
	if v := (NTPHandler{}).Serve(new(exchange.Reply), r); v != exchange.Truncated {
		t.Errorf("%v, want %v", v, exchange.Truncated)
	}
}
