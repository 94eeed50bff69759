package probe

import (
	"bytes"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/service"
)

func TestLedgerStamps(t *testing.T) {
	begun := time.Now()
	us := time.Microsecond
	for name, c := range map[string]struct {
		stamp         time.Duration // of the request; 0: none
		kernel        bool          // of the reply
		want          time.Duration
		wantsToKernel bool
	}{
		"both":                 {10 * us, true, 90 * us, true},
		"none":                 {0, false, 100 * us, false},
		"only the reply's":     {0, true, 100 * us, false},
		"only the request's":   {10 * us, false, 90 * us, false},
		"one that cannot be":   {2 * time.Second, true, 100 * us, false},
		"one from long before": {-time.Second, true, 100 * us, false},
	} {
		l := newLedger(service.Echo, newQuestions(service.Echo, 16), begun, time.Second, time.Second)
		request := bytes.Clone(l.request())
		l.sent(begun)
		if c.stamp != 0 {
			l.stamp(arrival{sent: true, at: begun.Add(c.stamp), kernel: true})
		}
		l.stamp(arrival{sent: true, seq: 77, at: begun, kernel: true}) // of nothing
		e, ok := l.reply(arrival{data: request, at: begun.Add(100 * us), kernel: c.kernel})
		if !ok || e.Kind != Answered || e.RoundTrip != c.want || e.Kernel != c.wantsToKernel {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestApart(t *testing.T) {
	const short, right = 4767 * time.Microsecond, 5 * time.Millisecond
	for _, test := range []struct {
		monotonic, host time.Duration
		stamps          bool
		want            time.Duration
	}{
		{short, right, true, right},
		{short, right, false, short},
		{right, time.Hour, true, right},
		{right, -time.Hour, true, right},
	} {
		if got := apart(test.monotonic, test.host, test.stamps); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestLedgerOrder(t *testing.T) {
	begun := time.Now()
	l := newLedger(service.Echo, newQuestions(service.Echo, 16), begun, time.Second, time.Second)
	var requests [][]byte
	for range 4 {
		requests = append(requests, bytes.Clone(l.request()))
		l.sent(begun.Add(time.Microsecond))
	}
	for _, c := range []struct {
		seq       int
		at        time.Duration
		reordered uint64
		roundTrip time.Duration
	}{
		{1, 500, 0, 499}, {0, 400, 0, 399}, {3, 600, 0, 599}, {2, 601, 1, 600},
	} {
		e, ok := l.reply(arrival{data: requests[c.seq], at: begun.Add(c.at * time.Microsecond), kernel: true})
		if !ok || e.Kind != Answered || e.RoundTrip != c.roundTrip*time.Microsecond || l.reordered != c.reordered {
			t.Errorf("%+v: %+v, %d reordered", c, e, l.reordered)
		}
	}
	request := bytes.Clone(l.request())
	l.sent(begun.Add(time.Millisecond))
	if e, _ := l.reply(arrival{data: request, at: begun}); e.Kind != Answered || e.RoundTrip != 0 {
		t.Errorf("a reply from before its request: %+v", e)
	}
}

func TestLedgerRefuses(t *testing.T) {
	begun := time.Now()
	late := begun.Add(time.Hour)
	lost := func(l *ledger) (n int) {
		for range l.expire(late) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		kind         service.Kind
		sent         int
		handle, want uint64
		lost         int // later, by their time-outs
	}{
		{service.Echo, 1, 0, 1, 0}, {service.NTP, 1, 0, 1, 0}, {service.Echo, 2, 0, 0, 2}, {service.Time, 3, 1, 2, 2}, {service.Echo, 0, 0, 0, 0},
	} {
		l := newLedger(c.kind, newQuestions(c.kind, 16), begun, time.Second, time.Second)
		for range c.sent {
			l.request()
			l.sent(begun)
		}
		if e := l.refuse(c.handle, begun); e.Kind != Refused || e.Seq != c.want {
			t.Errorf("%+v: %+v", c, e)
		}
		if s := l.summary(); s.Refused != 1 || s.Lost != min(c.want, 1) || s.Lost+s.Pending != uint64(c.sent) {
			t.Errorf("%+v: %+v", c, s)
		}
		if got := lost(l); got != c.lost || l.summary().Lost != uint64(c.sent) {
			t.Errorf("%+v: %d lost later, %d in all", c, got, l.summary().Lost)
		}
	}
	// What was refused may come all the same.
	l := newLedger(service.Echo, newQuestions(service.Echo, 16), begun, time.Second, time.Second)
	request := bytes.Clone(l.request())
	l.sent(begun)
	l.refuse(0, begun)
	if e := l.refuse(0, begun); e.Seq != 0 {
		t.Errorf("refused again: %+v", e)
	}
	l.reply(arrival{data: request, at: begun.Add(time.Millisecond)})
	if s := l.summary(); s.Received != 1 || s.Lost != 0 || s.Refused != 2 {
		t.Errorf("%+v", s)
	}
}
