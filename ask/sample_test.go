package ask

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

const cookie ntp.Timestamp = 0x0123_4567_89ab_cdef

var asked = time.Date(2026, 11, 22, 9, 29, 9, 250_000_000, time.UTC)

// exchanged is a good answer to the cookie: of a server that is off, that is reached after there, works for within, and
// is heard after back.
func exchanged(off func(time.Time) time.Time, there, within, back time.Duration) (Answer, ntp.Header) {
	served := off(asked.Add(there))
	h := ntp.Header{
		Version:     4,
		Mode:        ntp.ModeServer,
		Stratum:     1,
		Precision:   -20,
		ReferenceID: ntp.ReferenceID{'X', 'D', 'A', 'Y'},
		Reference:   ntp.TimestampOf(served.Add(-time.Second)),
		Origin:      cookie,
		Receive:     ntp.TimestampOf(served),
		Transmit:    ntp.TimestampOf(served.Add(within)),
	}
	return Answer{Sent: asked, Received: asked.Add(there + within + back)}, h
}

// TestMeasure works out offsets to any year, with arithmetic without bounds beside it.
func TestMeasure(t *testing.T) {
	for _, year := range []int{1, 1600, 1900, 1968, 1970, 2026, 2036, 2104, 2172, 2193, 9999} {
		random := rand.New(rand.NewPCG(uint64(year), 5905))
		for range 200 {
			start := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(random.Int64N(365*86_400*1e9 - 10e9)))
			there, within, back := time.Duration(random.Int64N(1e9)), time.Duration(random.Int64N(1e6)), time.Duration(random.Int64N(1e9))
			a, h := exchanged(func(time.Time) time.Time { return start }, there, within, back)
			a.Raw = h.Append(nil)
			s := sampleOf(a, cookie, start)
			if !s.Timed || !s.Arrived.Equal(start) || !s.Served.Equal(start.Add(within)) || !s.Reference.Equal(start.Add(-time.Second)) {
				t.Fatalf("%v: arrived %v, served %v, reference %v", start, s.Arrived, s.Served, s.Reference)
			}
			nanoseconds := func(t time.Time) *big.Int {
				n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
				return n.Add(n, big.NewInt(int64(t.Nanosecond())))
			}
			// ((T2 - T1) + (T3 - T4)) / 2, rounded down.
			want := new(big.Int).Add(nanoseconds(start), nanoseconds(start.Add(within)))
			want.Sub(want, nanoseconds(a.Sent)).Sub(want, nanoseconds(a.Received)).Rsh(want, 1)
			got := new(big.Int).Mul(big.NewInt(s.Offset.Seconds), big.NewInt(1e9))
			got.Add(got, big.NewInt(s.Offset.Nanoseconds))
			if got.Cmp(want) != 0 || s.Offset.Nanoseconds < 0 || s.Offset.Nanoseconds >= 1e9 {
				t.Fatalf("%v: offset %#v, want %v ns", start, s.Offset, want)
			}
			if s.Delay != there+back || s.RoundTrip != there+within+back || s.ReferenceAge != within+time.Second {
				t.Fatalf("%v: delay %v of %v, reference age %v, want %v of %v, %v", start, s.Delay, s.RoundTrip, s.ReferenceAge,
					there+back, there+within+back, within+time.Second)
			}
			if !s.Good() {
				t.Fatalf("%v: failed %v", start, s.Failed)
			}
		}
	}
}

// TestDelay: whatever the server's clock does meanwhile, the delay is not negative nor more than the round trip.
func TestDelay(t *testing.T) {
	for _, c := range []struct {
		name       string
		passed     time.Duration // between receive and transmit, by the server's clock
		want       time.Duration
		fails      []Check
		roundTrips time.Duration
	}{
		{"as long as ours", 2 * time.Millisecond, 8 * time.Millisecond, nil, 10 * time.Millisecond},
		{"frozen", 0, 10 * time.Millisecond, nil, 10 * time.Millisecond},
		{"sixty times too fast", 120 * time.Millisecond, 0, nil, 10 * time.Millisecond},
		{"jumped ahead", 24 * time.Hour, 0, nil, 10 * time.Millisecond},
		{"jumped back", -24 * time.Hour, 10 * time.Millisecond, []Check{CheckReference, CheckOrder}, 10 * time.Millisecond},
		{"our clock stood still", time.Millisecond, 0, nil, 0},
		{"heard before it was asked", time.Millisecond, 0, nil, -time.Second},
	} {
		a, h := exchanged(func(t time.Time) time.Time { return t }, 0, 0, 0)
		h.Transmit = ntp.TimestampOf(asked.Add(c.passed))
		a.Received = asked.Add(c.roundTrips)
		a.Raw = h.Append(nil)
		s := sampleOf(a, cookie, time.Time{})
		if s.Delay != c.want || !slices.Equal(failedChecks(s), c.fails) {
			t.Errorf("%s: delay %v, failed %v, want %v, %v", c.name, s.Delay, s.Failed, c.want, c.fails)
		}
	}
}

func failedChecks(s Sample) (failed []Check) {
	for _, f := range s.Failed {
		failed = append(failed, f.Check)
	}
	return failed
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*ntp.Header)
		behind []byte
		want   []Failure
	}{
		{"good", func(*ntp.Header) {}, nil, nil},
		{"stratum 15", func(h *ntp.Header) { h.Stratum = 15 }, nil, nil},
		{"a leap second is announced", func(h *ntp.Header) { h.Leap = ntp.LeapInsert }, nil, nil},
		{"never set", func(h *ntp.Header) { h.Reference = 0 }, nil, nil},
		{"set just now", func(h *ntp.Header) { h.Reference = h.Transmit }, nil, nil},
		{"almost too far off", func(h *ntp.Header) { h.RootDelay, h.RootDispersion = 16<<16, 8<<16-1 }, nil, nil},
		{"with a MAC", func(*ntp.Header) {}, make([]byte, 20), nil},
		{"with an extension field", func(*ntp.Header) {}, append([]byte{0, 0, 0, 28}, make([]byte, 24)...), nil},

		{"bytes behind", func(*ntp.Header) {}, make([]byte, 12), []Failure{{CheckLength, "answer has 60 bytes, want 48: what follows is neither extension fields nor a MAC"}}},
		{"an odd length", func(*ntp.Header) {}, make([]byte, 1), []Failure{{CheckLength, "answer has 49 bytes, want 48: what follows is neither extension fields nor a MAC"}}},
		{"leap 3", func(h *ntp.Header) { h.Leap = ntp.LeapUnknown }, nil, []Failure{{CheckLeap, "leap indicator is 3: the server's clock is not synchronised"}}},
		{"version 3", func(h *ntp.Header) { h.Version = 3 }, nil, []Failure{{CheckVersion, "version is 3, want 4 as asked"}}},
		{"mode 3", func(h *ntp.Header) { h.Mode = ntp.ModeClient }, nil, []Failure{{CheckMode, "mode is 3 (client), want 4 (server)"}}},
		{"mode 5", func(h *ntp.Header) { h.Mode = ntp.ModeBroadcast }, nil, []Failure{{CheckMode, "mode is 5 (broadcast), want 4 (server)"}}},
		{"stratum 0", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.ReferenceID{} }, nil, []Failure{{CheckStratum, "stratum is 0 (unspecified), want 1 to 15"}}},
		{"stratum 16", func(h *ntp.Header) { h.Stratum = 16 }, nil, []Failure{{CheckStratum, "stratum is 16 (not synchronised), want 1 to 15"}}},
		{"stratum 255", func(h *ntp.Header) { h.Stratum = 255 }, nil, []Failure{{CheckStratum, "stratum is 255 (reserved), want 1 to 15"}}},
		{"RATE", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissRate }, nil, []Failure{{CheckKiss, "kiss code RATE: asked to ask less often"}}},
		{"DENY", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissDeny }, nil, []Failure{{CheckKiss, "kiss code DENY: access denied"}}},
		{"RSTR", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissRestrict }, nil, []Failure{{CheckKiss, "kiss code RSTR: access denied by the server's policy"}}},
		{"XDAY is no kiss code", func(h *ntp.Header) { h.Stratum = 0 }, nil, []Failure{{CheckStratum, "stratum is 0 (unspecified), want 1 to 15"}}},
		{"ABCD", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.ReferenceID{'A', 'B', 'C', 'D'} }, nil, []Failure{{CheckKiss, "kiss code ABCD: a code that is not in RFC 5905"}}},
		{"too far off", func(h *ntp.Header) { h.RootDelay, h.RootDispersion = 16<<16, 8<<16 }, nil, []Failure{{CheckRoot, "root distance is 16s, want less than 16s"}}},
		{"set in the future", func(h *ntp.Header) { h.Reference = h.Transmit + 5<<32 }, nil, []Failure{{CheckReference, "reference time is 5s after the transmit time"}}},
		{"another's origin", func(h *ntp.Header) { h.Origin = 1 }, nil, []Failure{{CheckOrigin, "origin is 0000000000000001, want 0123456789abcdef: this is no answer to the question"}}},
		{"no receive", func(h *ntp.Header) { h.Receive = 0 }, nil, []Failure{{CheckReceive, "receive time is zero"}}},
		{"receive copied", func(h *ntp.Header) { h.Receive = cookie }, nil, []Failure{{CheckReceive, "receive time is the question's transmit time"}}},
		{"no transmit", func(h *ntp.Header) { h.Transmit = 0 }, nil, []Failure{{CheckTransmit, "transmit time is zero"}}},
		{"transmit copied", func(h *ntp.Header) { h.Transmit = cookie }, nil, []Failure{{CheckTransmit, "transmit time is the question's own"}}},
		{"transmit before receive", func(h *ntp.Header) { h.Receive += 1 << 31 }, nil, []Failure{{CheckOrder, "transmit time is 500ms before the receive time"}}},
		{"all at once", func(h *ntp.Header) { *h = ntp.Header{Leap: 3, Mode: 7, RootDelay: 1 << 31} }, nil, []Failure{
			{CheckLeap, "leap indicator is 3: the server's clock is not synchronised"},
			{CheckVersion, "version is 0, want 4 as asked"},
			{CheckMode, "mode is 7 (private), want 4 (server)"},
			{CheckStratum, "stratum is 0 (unspecified), want 1 to 15"},
			{CheckRoot, "root distance is 4h33m4s, want less than 16s"},
			{CheckOrigin, "origin is 0000000000000000, want 0123456789abcdef: this is no answer to the question"},
			{CheckReceive, "receive time is zero"},
			{CheckTransmit, "transmit time is zero"},
		}},
	} {
		a, h := exchanged(func(t time.Time) time.Time { return t }, time.Millisecond, 0, time.Millisecond)
		c.change(&h)
		a.Raw = append(h.Append(nil), c.behind...)
		s := sampleOf(a, cookie, time.Time{})
		if !slices.Equal(s.Failed, c.want) || s.Good() != (c.want == nil) || s.Header != h {
			t.Errorf("%s: failed %q, want %q", c.name, s.Failed, c.want)
		}
		if timed := h.Transmit != 0 && h.Transmit != cookie; s.Timed != timed || timed && s.Offset.Round() != 0 || !timed && (!s.Served.IsZero() || s.Offset != Offset{}) {
			t.Errorf("%s: timed %v, served %v, offset %v", c.name, s.Timed, s.Served, s.Offset)
		}
	}
	for n := range ntp.HeaderSize {
		s := sampleOf(Answer{Sent: asked, Received: asked, Raw: make([]byte, n)}, cookie, time.Time{})
		if !slices.Equal(failedChecks(s), []Check{CheckLength}) || s.Timed || s.Header != (ntp.Header{}) {
			t.Errorf("%d bytes: %+v", n, s)
		}
	}
}

func TestTrailers(t *testing.T) {
	a, h := exchanged(func(t time.Time) time.Time { return t }, 0, 0, 0)
	field := append([]byte{1, 4, 0, 32}, make([]byte, 28)...)
	a.Raw = append(append(h.Append(nil), field...), make([]byte, 24)...)
	if s := sampleOf(a, cookie, time.Time{}); s.Fields != 1 || s.MAC != 24 || !s.Good() {
		t.Errorf("%d extension fields, %d bytes of MAC, failed %v, want 1, 24, none", s.Fields, s.MAC, s.Failed)
	}
}

func TestRootDistance(t *testing.T) {
	a, h := exchanged(func(t time.Time) time.Time { return t }, 3*time.Millisecond, 0, time.Millisecond)
	h.RootDelay, h.RootDispersion = ntp.ShortOf(500*time.Millisecond), ntp.ShortOf(250*time.Millisecond)
	a.Raw = h.Append(nil)
	if s, want := sampleOf(a, cookie, time.Time{}), 502*time.Millisecond; s.RootDistance != want {
		t.Errorf("root distance is %v, want %v", s.RootDistance, want)
	}
}

// TestKissNames: each code has a meaning, and the checks have names.
func TestKissNames(t *testing.T) {
	for code := range kisses {
		if len(code) != 4 || KissMeaning(code) == "" {
			t.Errorf("kiss code %q means %q", code, KissMeaning(code))
		}
	}
	seen := map[string]bool{}
	for c := range numChecks {
		if name := c.String(); name == "" || seen[name] {
			t.Errorf("check %d is named %q", c, name)
		} else {
			seen[name] = true
		}
	}
	if got := numChecks.String(); got != "Check(12)" {
		t.Errorf("no check is named %q", got)
	}
}

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		server string
		set    time.Duration
		want   time.Duration
	}{
		{"127.0.0.1", 0, 100 * time.Millisecond},
		{"::1", 0, 100 * time.Millisecond},
		{"192.168.1.1", 0, 100 * time.Millisecond},
		{"fd00::1", 0, 100 * time.Millisecond},
		{"fe80::1%lo", 0, 100 * time.Millisecond},
		{"192.0.2.1", 0, 2 * time.Second},
		{"2001:db8::1", 0, 2 * time.Second},
		{"192.0.2.1", time.Nanosecond, time.Nanosecond},
		{"127.0.0.1", time.Minute, time.Minute},
	} {
		if got := (&Client{Interval: c.set}).interval(mustAddr(t, c.server)); got != c.want {
			t.Errorf("%s, interval %v: %v, want %v", c.server, c.set, got, c.want)
		}
	}
}

// TestCookies: they are random, and not zero.
func TestCookies(t *testing.T) {
	seen := map[ntp.Timestamp]bool{}
	for range 1000 {
		c := newCookie()
		if c == 0 || seen[c] {
			t.Fatalf("cookie %#x came before, or is zero", c)
		}
		seen[c] = true
	}
}

// FuzzSample reads any bytes as an answer.
func FuzzSample(f *testing.F) {
	a, h := exchanged(func(t time.Time) time.Time { return t.Add(-24 * time.Hour) }, time.Millisecond, 0, time.Millisecond)
	f.Add(h.Append(nil), int64(time.Millisecond), int64(0))
	f.Add([]byte("hello"), int64(-1), int64(1<<40))
	f.Add(append(h.Append(nil), make([]byte, 20)...), int64(1<<40), int64(-1<<35))
	f.Fuzz(func(t *testing.T, raw []byte, trip, pivot int64) {
		a := a
		a.Raw, a.Received = raw, a.Sent.Add(time.Duration(trip))
		at := time.Unix(min(max(pivot, -62_135_596_800), 253_402_300_799), 0)
		s := sampleOf(a, cookie, at)
		if s.Delay < 0 || s.Delay > s.RoundTrip || s.RootDistance < 0 || s.Offset.Nanoseconds < 0 || s.Offset.Nanoseconds >= 1e9 {
			t.Fatalf("% x, a round trip of %d ns: %+v", raw, trip, s)
		}
		if s.Good() && (!s.Timed || len(raw) < ntp.HeaderSize || s.Header.Origin != cookie) {
			t.Fatalf("% x is good", raw)
		}
		if s.Timed && ntp.TimestampOf(s.Served).Sub(s.Header.Transmit).Abs() > 1 {
			t.Fatalf("transmit %#x is %v", s.Header.Transmit, s.Served)
		}
	})
}
