package ask_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// ticking is a clock that reads today at first and step later each time.
func ticking(step time.Duration) func() time.Time {
	var reads atomic.Int64
	return func() time.Time { return today.Add(time.Duration(reads.Add(1)-1) * step) }
}

// cookieOf is the transmit time of a question.
func cookieOf(question string) ntp.Timestamp {
	return ntp.Timestamp(binary.BigEndian.Uint64([]byte(question[40:])))
}

// answerAt is a good answer to a question that came at received and is answered at sent, both served time.
func answerAt(question string, received, sent time.Time) ntp.Header {
	return ntp.Header{
		Version:        4,
		Mode:           ntp.ModeServer,
		Stratum:        1,
		Precision:      -20,
		RootDispersion: ntp.ShortOf(time.Millisecond),
		ReferenceID:    ntp.ReferenceID{'X', 'D', 'A', 'Y'},
		Reference:      ntp.TimestampOf(received.Add(-time.Second)),
		Origin:         cookieOf(question),
		Receive:        ntp.TimestampOf(received),
		Transmit:       ntp.TimestampOf(sent),
	}
}

// good answers a question with yesterday's time.
func good(d datagram) []byte { return answerAt(d.data, yesterday, yesterday).Append(nil) }

func TestNTP(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		asked := make(chan datagram, 1)
		addr := serveUDP(t, host, func(d datagram) {
			asked <- d
			// Half a millisecond there, a quarter within, one and a quarter back.
			received := today.Add(-24 * time.Hour).Add(500 * time.Microsecond)
			d.reply(answerAt(d.data, received, received.Add(250*time.Microsecond)).Append(nil))
		})
		c := ask.Client{Timeout: never, Now: ticking(2 * time.Millisecond)}
		a, err := c.NTP(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		d := <-asked
		if want := "\x23" + strings.Repeat("\x00", 39); len(d.data) != 48 || d.data[:40] != want || cookieOf(d.data) == 0 {
			t.Errorf("it was asked with % x, want version 4, mode 3, a cookie and zeros", d.data)
		}
		if a.Server != addrPort(t, addr) || a.Attempts != 1 || len(a.Samples) != 1 || a.Ended != nil || !a.Good() || a.KissCode() != "" {
			t.Errorf("answer is %+v, want one good sample of %s", a, addr)
		}
		if want := (ask.Offset{Seconds: -86401, Nanoseconds: 999_625_000}); a.Offset != want || a.Offset.String() != "-86400.000375s" {
			t.Errorf("offset is %v, want %v", a.Offset, want)
		}
		if a.RoundTrip != 2*time.Millisecond || a.Delay != 1750*time.Microsecond || !a.Sent.Equal(today) || !a.Received.Equal(today.Add(2*time.Millisecond)) {
			t.Errorf("answer is %+v, want a delay of 1.75ms of 2ms", a)
		}
		if want := today.Add(-24 * time.Hour).Add(750 * time.Microsecond); !a.Served.Equal(want) || a.Served.Location() != time.UTC {
			t.Errorf("served %v, want %v in UTC", a.Served, want)
		}
		if a.Header.Origin != cookieOf(d.data) || !bytes.Equal(a.Header.Append(nil), a.Raw) || a.Header.Stratum != 1 {
			t.Errorf("header is %+v, of % x", a.Header, a.Raw)
		}
		if want := 875*time.Microsecond + 1007080; a.RootDistance != want || a.ReferenceAge != time.Second+250*time.Microsecond {
			t.Errorf("root distance %v, reference age %v, want %v, 1.00025s", a.RootDistance, a.ReferenceAge, want)
		}
	})
}

// TestNTPRealClock lets the client read the host's clock, as it does by default.
func TestNTPRealClock(t *testing.T) {
	addr := serveUDP(t, "127.0.0.1", func(d datagram) {
		now := time.Now()
		d.reply(answerAt(d.data, now.Add(-24*time.Hour), time.Now().Add(-24*time.Hour)).Append(nil))
	})
	begun := time.Now()
	a, err := (&ask.Client{Timeout: never}).NTP(t.Context(), addr)
	took := time.Since(begun)
	if err != nil || !a.Good() {
		t.Fatalf("answer is %+v, %v", a, err)
	}
	if off := (a.Offset.Duration() + 24*time.Hour).Abs(); off > took || a.Delay > took || a.RoundTrip > took {
		t.Errorf("%v from 24h behind, delay %v, in %v", off, a.Delay, took)
	}
}

func TestNTPEras(t *testing.T) {
	rollover := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	middle := ntp.Timestamp(1 << 63)
	for _, c := range []struct {
		name   string
		served time.Time // of the transmit time; received is a second before
		pivot  time.Time
		now    time.Time
	}{
		{"nearest to now, past 2036", rollover.Add(123_456_789), time.Time{}, today},
		{"receive before 2036, transmit after", rollover, time.Time{}, today},
		{"before 2036, now past it", rollover.Add(-1), time.Time{}, rollover},
		{"1968", time.Date(1968, 1, 20, 3, 14, 8, 0, time.UTC), time.Time{}, today},
		{"2094", time.Date(2094, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}, today},
		{"era 0 by its middle", time.Date(1900, 1, 1, 0, 0, 1, 0, time.UTC), middle.In(0), today},
		{"1600", time.Date(1600, 1, 1, 0, 0, 0, 5, time.UTC), middle.In(-3), today},
		{"2104", time.Date(2104, 2, 26, 9, 42, 24, 0, time.UTC), middle.In(1), today},
		{"2193", time.Date(2193, 1, 1, 0, 0, 0, 0, time.UTC), middle.In(2), today},
		{"9999", time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), middle.In(59), today},
		{"1", time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), middle.In(-14), today},
	} {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			d.reply(answerAt(d.data, c.served.Add(-time.Second), c.served).Append(nil))
		})
		client := ask.Client{Timeout: never, Pivot: c.pivot, Now: clockAt(c.now)}
		a, err := client.NTP(t.Context(), addr)
		if err != nil || !a.Good() || !a.Served.Equal(c.served) || !a.Arrived.Equal(c.served.Add(-time.Second)) || !a.Reference.Equal(c.served.Add(-2*time.Second)) {
			t.Errorf("%s: %+v, %v, want %v", c.name, a.Sample, err, c.served)
			continue
		}
		// In between receive and transmit: half a second before served.
		half := c.served.Add(-500 * time.Millisecond)
		if got := time.Unix(c.now.Unix()+a.Offset.Seconds, int64(c.now.Nanosecond())+a.Offset.Nanoseconds); !got.Equal(half) {
			t.Errorf("%s: offset %v leads to %v, want %v", c.name, a.Offset, got.UTC(), half)
		}
	}
}

// TestNTPBadAnswers: what answers the question is returned at once, whatever is wrong with it.
func TestNTPBadAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*ntp.Header)
		behind int
		want   ask.Check
	}{
		{"mode", func(h *ntp.Header) { h.Mode = ntp.ModeClient }, 0, ask.CheckMode},
		{"version", func(h *ntp.Header) { h.Version = 2 }, 0, ask.CheckVersion},
		{"stratum 0", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.ReferenceID{} }, 0, ask.CheckStratum},
		{"stratum 16", func(h *ntp.Header) { h.Stratum = 16 }, 0, ask.CheckStratum},
		{"kiss", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissDeny }, 0, ask.CheckKiss},
		{"leap", func(h *ntp.Header) { h.Leap = ntp.LeapUnknown }, 0, ask.CheckLeap},
		{"receive", func(h *ntp.Header) { h.Receive = 0 }, 0, ask.CheckReceive},
		{"transmit", func(h *ntp.Header) { h.Transmit = 0 }, 0, ask.CheckTransmit},
		{"transmit copied", func(h *ntp.Header) { h.Transmit = h.Origin }, 0, ask.CheckTransmit},
		{"length", func(h *ntp.Header) {}, 3, ask.CheckLength},
		{"order", func(h *ntp.Header) { h.Receive++; h.Transmit -= 1 << 31; h.Reference -= 1 << 32 }, 0, ask.CheckOrder},
	} {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			h := answerAt(d.data, yesterday, yesterday)
			c.change(&h)
			d.reply(append(h.Append(nil), make([]byte, c.behind)...))
		})
		a, err := (&ask.Client{Timeout: never, Samples: 3, Interval: 1}).NTP(t.Context(), addr)
		if err != nil || a.Good() || len(a.Failed) != 1 || a.Failed[0].Check != c.want {
			t.Errorf("%s: failed %v, %v, want %v alone", c.name, a.Failed, err, c.want)
		}
		if want := map[bool]int{true: 1, false: 3}[c.want == ask.CheckKiss]; len(a.Samples) != want {
			t.Errorf("%s: %d samples, want %d", c.name, len(a.Samples), want)
		}
	}
}

// TestNTPKiss: after a kiss code nothing more is sent.
func TestNTPKiss(t *testing.T) {
	for _, at := range []int{1, 3} {
		var asked atomic.Int64
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			asked.Add(1)
			h := answerAt(d.data, yesterday, yesterday)
			if d.count >= at {
				h.Stratum, h.Leap, h.ReferenceID = 0, ntp.LeapUnknown, ntp.KissRate
			}
			d.reply(h.Append(nil))
		})
		c := ask.Client{Timeout: never, Samples: 8, Interval: 1, Now: clockAt(today)}
		a, err := c.NTP(t.Context(), addr)
		if err != nil || a.KissCode() != "RATE" || a.Good() || len(a.Samples) != at || a.Ended != nil {
			t.Errorf("a kiss code at sample %d: %+v, %v", at, a, err)
		}
		if best := at == 1; a.Sample.Good() == best || (a.Kiss != "") != best {
			t.Errorf("a kiss code at sample %d: the best sample is %+v", at, a.Sample)
		}
		if got := asked.Load(); got != int64(at) {
			t.Errorf("a kiss code at sample %d: %d datagrams came", at, got)
		}
	}
}

func TestNTPSamples(t *testing.T) {
	var mu sync.Mutex
	ports, cookies := map[netip.AddrPort]bool{}, map[ntp.Timestamp]bool{}
	passed := []time.Duration{1, 7, 9, 3, 9} // within the server, of 10 ms each
	addr := serveUDP(t, "127.0.0.1", func(d datagram) {
		mu.Lock()
		defer mu.Unlock()
		ports[d.from], cookies[cookieOf(d.data)] = true, true
		h := answerAt(d.data, yesterday, yesterday.Add(passed[d.count-1]*time.Millisecond))
		if d.count == 3 {
			h.Stratum = 16 // the least delay, but not good
		}
		d.reply(h.Append(nil))
	})
	c := ask.Client{Timeout: never, Samples: len(passed), Interval: 1, Now: ticking(10 * time.Millisecond)}
	a, err := c.NTP(t.Context(), addr)
	if err != nil || len(a.Samples) != len(passed) || a.Ended != nil {
		t.Fatalf("answer is %+v, %v", a, err)
	}
	for i, s := range a.Samples {
		if want := 10*time.Millisecond - passed[i]*time.Millisecond; s.Delay != want {
			t.Errorf("sample %d has a delay of %v, want %v", i, s.Delay, want)
		}
	}
	if a.Delay != time.Millisecond || !a.Sample.Good() || !a.Served.Equal(a.Samples[4].Served) || a.Good() {
		t.Errorf("the best is %+v, want the last, and not all good", a.Sample)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) != len(passed) || len(cookies) != len(passed) {
		t.Errorf("%d source ports, %d cookies, want %d of each", len(ports), len(cookies), len(passed))
	}
}

// TestNTPSamplesEnd: the server goes away after two samples.
func TestNTPSamplesEnd(t *testing.T) {
	gone := make(chan struct{})
	addr := serveUDP(t, "127.0.0.1", func(d datagram) {
		d.reply(good(d))
		if d.count == 2 {
			d.conn.Close()
			close(gone)
		}
	})
	c := ask.Client{Timeout: never, Samples: 5, Interval: 1, Now: clockAt(today)}
	dialed := 0
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dialed++; dialed == 3 {
			<-gone // a datagram to a socket that is about to be closed is neither answered nor refused
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	a, err := c.NTP(t.Context(), addr)
	if err != nil || len(a.Samples) != 2 || !a.Good() {
		t.Fatalf("answer is %+v, %v, want two samples", a, err)
	}
	if _, ok := errors.AsType[*ask.RefusedError](a.Ended); !ok {
		t.Errorf("ended by %v, want a RefusedError", a.Ended)
	}
}

// TestNTPContext ends while it waits between two samples, and while it waits for the second.
func TestNTPContext(t *testing.T) {
	for _, interval := range []time.Duration{1, never} {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the user went away")
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			if d.count == 1 {
				d.reply(good(d))
			}
			if d.count == 2 || interval == never {
				cancel(why)
			}
		})
		c := ask.Client{Timeout: never, Samples: 2, Interval: interval}
		a, err := c.NTP(ctx, addr)
		if err == nil {
			err = a.Ended // what it has by then, it keeps
		}
		if !errors.Is(err, why) || len(a.Samples) > 1 || interval == 1 && len(a.Samples) != 1 {
			t.Errorf("interval %v: %+v, %v, want the context's cause", interval, a, err)
		}
	}
}

func TestNTPSilence(t *testing.T) {
	addr := serveUDP(t, "127.0.0.1", func(datagram) {})
	_, err := (&ask.Client{Timeout: 5 * time.Millisecond}).NTP(t.Context(), addr)
	e, ok := errors.AsType[*ask.NoReplyError](err)
	if !ok || e.Attempts != 3 || e.Service != service.NTP || !strings.HasSuffix(err.Error(), ", nothing came back") {
		t.Errorf("error is %v, want a NoReplyError after 3 datagrams", err)
	}
}

func TestNTPRefused(t *testing.T) {
	addr := refusingUDP(t, "127.0.0.1")
	_, err := (&ask.Client{Timeout: never}).NTP(t.Context(), addr)
	if want := "ask: nothing listens for ntp/udp there: " + addr + ": connection refused"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestNTPSettings(t *testing.T) {
	for _, c := range []struct {
		client ask.Client
		want   string
	}{
		{ask.Client{Transport: ask.TCP}, "ask: transport is tcp, want UDP: ntp over TCP is no standard"},
		{ask.Client{Samples: -1}, "ask: samples are -1, want 1 or more, or 0 for 1"},
		{ask.Client{Interval: -1}, "ask: interval is -1ns, want more than 0, or 0 for 100ms or 2s"},
	} {
		if _, err := c.client.NTP(t.Context(), "127.0.0.1"); err == nil || err.Error() != c.want {
			t.Errorf("error is %v, want %s", err, c.want)
		}
	}
	r := recorder{names{ports: map[string]int{}}, new([]string)}
	_, err := (&ask.Client{Resolver: r}).NTP(t.Context(), "127.0.0.1:tnp")
	if err == nil || !strings.HasSuffix(err.Error(), ", perhaps ntp") {
		t.Errorf("error is %v, want a hint at ntp", err)
	}
}
