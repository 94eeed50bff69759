package ask_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// TestNTPStrays sends what answers no question of ours before, or instead of, what does.
func TestNTPStrays(t *testing.T) {
	other := func(d datagram, change func(*ntp.Header)) []byte {
		h := answerAt(d.data, today, today)
		h.Origin++
		change(&h)
		return h.Append(nil)
	}
	same := func(*ntp.Header) {}
	t.Run("then the answer", func(t *testing.T) {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			d.reply(other(d, same))
			d.reply(nil)
			d.reply([]byte("hello"))
			d.reply([]byte(d.data)) // as an echo
			d.reply(other(d, func(h *ntp.Header) { h.Origin = 0 }))
			d.reply(other(d, func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissDeny }))
			d.reply(good(d))
			d.reply(good(d))
		})
		a, err := (&ask.Client{Timeout: never, Now: clockAt(today)}).NTP(t.Context(), addr)
		if err != nil || !a.Good() || !a.Served.Equal(yesterday) || a.Attempts != 1 {
			t.Errorf("answer is %+v, %v, want the last", a, err)
		}
	})
	for _, c := range []struct {
		name  string
		reply func(datagram)
		want  []ask.Check
		timed bool
	}{
		{"another origin", func(d datagram) { d.reply(other(d, same)) }, []ask.Check{ask.CheckOrigin}, true},
		{"no origin", func(d datagram) { d.reply(other(d, func(h *ntp.Header) { h.Origin = 0 })) }, []ask.Check{ask.CheckOrigin}, true},
		{"five bytes", func(d datagram) { d.reply([]byte("hello")) }, []ask.Check{ask.CheckLength}, false},
		{"a whole one first", func(d datagram) { d.reply(other(d, same)); d.reply([]byte("hello")) }, []ask.Check{ask.CheckOrigin}, true},
		{"a whole one last", func(d datagram) { d.reply([]byte("hello")); d.reply(other(d, same)) }, []ask.Check{ask.CheckOrigin}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits for all of its tries
			addr := serveUDP(t, "127.0.0.1", c.reply)
			client := ask.Client{Timeout: 50 * time.Millisecond}
			a, err := client.NTP(t.Context(), addr)
			var failed []ask.Check
			for _, f := range a.Failed {
				failed = append(failed, f.Check)
			}
			if err != nil || !slices.Equal(failed, c.want) || a.Timed != c.timed || a.Server != addrPort(t, addr) {
				t.Errorf("failed %v, timed %v, %v, want %v, %v", a.Failed, a.Timed, err, c.want, c.timed)
			}
		})
	}
	t.Run("then the answer to the next try", func(t *testing.T) {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			if d.count == 1 {
				d.reply(other(d, same))
			} else {
				d.reply(good(d))
			}
		})
		a, err := (&ask.Client{Timeout: 20 * time.Millisecond, Tries: 12}).NTP(t.Context(), addr)
		if err != nil || !a.Sample.Good() || a.Attempts < 2 || !a.Served.Equal(yesterday) {
			t.Errorf("answer is %+v, %v, want the good one", a, err)
		}
	})
	t.Run("an echo", func(t *testing.T) {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply([]byte(d.data)) })
		a, err := (&ask.Client{Timeout: 50 * time.Millisecond}).NTP(t.Context(), addr)
		if err != nil || a.Timed || a.Good() {
			t.Errorf("answer is %+v, %v, want a bad one without a time", a, err)
		}
	})
	t.Run("until the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			if d.count == 1 {
				d.reply([]byte("hello"))
			} else {
				cancel(errors.New("enough"))
			}
		})
		c := ask.Client{Timeout: 200 * time.Millisecond}
		_, err := c.NTP(ctx, addr)
		e, ok := errors.AsType[*ask.NoReplyError](err)
		if !ok || e.Strays != 1 || string(e.Stray) != "hello" || !strings.Contains(err.Error(), ", 1 datagram came back but none for what was sent, the last of 5 bytes; enough") {
			t.Errorf("error is %v, want a NoReplyError with a stray", err)
		}
	})
}

// TestNTPLate: the answer to the first datagram comes after the second was sent, and is measured from the first.
func TestNTPLate(t *testing.T) {
	var first string
	addr := serveUDP(t, "127.0.0.1", func(d datagram) {
		if d.count == 1 {
			first = d.data
			return
		}
		if d.data == first {
			t.Errorf("the second datagram is the first: % x", d.data)
		}
		d.data = first
		d.reply(good(d))
	})
	c := ask.Client{Timeout: 20 * time.Millisecond, Tries: 12, Now: ticking(time.Second)}
	a, err := c.NTP(t.Context(), addr)
	if err != nil || !a.Good() || a.Attempts < 2 || !a.Sent.Equal(today) || a.RoundTrip != a.Received.Sub(today) || a.RoundTrip < 2*time.Second {
		t.Errorf("answer is %+v, %v, want one that was asked for at %v", a.Sample, err, today)
	}
}

// TestNTPTwoServers: an answer counts on the path on which it was asked for alone.
func TestNTPTwoServers(t *testing.T) {
	var other atomic.Value // what the silent server was last asked
	port := twins(t, func(v4, v6 string) error {
		l, err := net.ListenPacket("udp", v4)
		if err != nil {
			return err
		}
		l.Close()
		serveUDPAt(t, v6, func(d datagram) { other.Store(d.data) })
		serveUDPAt(t, v4, func(d datagram) {
			if question, ok := other.Load().(string); ok {
				d.reply(answerAt(question, today, today).Append(nil))
				d.reply(good(d))
			}
		})
		return nil
	})
	c := ask.Client{
		Timeout:  10 * time.Millisecond,
		Tries:    12,
		Samples:  3,
		Interval: 1,
		Resolver: names{hosts: map[string][]string{"server.test": {"::1", "127.0.0.1"}}},
		Now:      clockAt(today),
	}
	a, err := c.NTP(t.Context(), "server.test:"+port)
	if err != nil || len(a.Samples) != 3 || a.Samples[0].Attempts < 2 {
		t.Fatalf("answer is %+v, %v, want three samples", a, err)
	}
	for _, s := range a.Samples {
		if s.Server != addrPort(t, "127.0.0.1:"+port) || !s.Served.Equal(yesterday) || !s.Good() {
			t.Errorf("a sample is %+v, want a good one of 127.0.0.1", s)
		}
	}
}
