package probe

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// A server that asks to be left alone is, and its kiss is an event; what it declined is neither lost nor pending.
func TestPingObeysKissCodes(t *testing.T) {
	for code, stops := range map[string]bool{"RATE": true, "DENY": true, "RSTR": true, "INIT": false} {
		synctest.Test(t, func(t *testing.T) {
			n := newFakeNetwork(service.NTP, nil)
			var told []Event
			p := Ping{
				Service: service.NTP, Servers: []netip.AddrPort{somebody}, Count: 3, Interval: time.Millisecond, Timeout: time.Second,
				Each:    func(e Event) { told = append(told, e) },
				connect: func(netip.AddrPort) (network, error) { return &kissingNetwork{n, code}, nil },
			}
			s, err := p.Run(t.Context())
			kiss, is := errors.AsType[*KissError](err)
			if is != stops || stops && (kiss.Code != code || s.Sent != 1) || !stops && s.Received != 3 {
				t.Errorf("%s: %+v, %v", code, s, err)
			}
			if s.Sent != s.Received+s.Kissed || s.Lost+s.Pending+s.Late != 0 || (s.Kissed == 1) != stops {
				t.Errorf("%s: %+v", code, s)
			}
			last := told[len(told)-1]
			if stops && (last.Kind != Kissed || last.Code != code || last.Seq != 1 || last.Server != somebody || last.At.IsZero()) || !stops && last.Kind != Answered {
				t.Errorf("%s: told %+v", code, told)
			}
		})
	}
}

type kissingNetwork struct {
	*fakeNetwork
	code string
}

func (n *kissingNetwork) send(handle, seq uint64, data []byte) (time.Time, error) {
	reply := kissTo(data, n.code)
	before := time.Now()
	time.AfterFunc(time.Microsecond, func() { n.pass(arrival{handle: handle, data: reply, at: before.Add(time.Microsecond)}) })
	return before, nil
}

func kissTo(request []byte, code string) []byte {
	h, _ := ntp.Parse(request)
	return ntp.Header{Version: 4, Mode: ntp.ModeServer, ReferenceID: ntp.ReferenceID([]byte(code)), Origin: h.Transmit}.Append(nil)
}

// A request counts once, whatever it had become before the kiss.
func TestKissedRequestsCountOnce(t *testing.T) {
	begun := time.Now()
	for name, c := range map[string]struct {
		before func(l *ledger, request []byte)
		want   Summary
	}{
		"under way": {func(*ledger, []byte) {}, Summary{Sent: 2, Kissed: 1, Pending: 1}},
		"lost": {func(l *ledger, _ []byte) {
			for range l.expire(begun.Add(2 * time.Second)) {
			}
		}, Summary{Sent: 2, Kissed: 1, Lost: 1}},
		"answered": {func(l *ledger, request []byte) {
			l.reply(arrival{data: answerTo(service.NTP, request), at: begun})
		}, Summary{Sent: 2, Received: 1, Pending: 1}},
		"kissed": {func(l *ledger, request []byte) {
			l.kiss(arrival{data: kissTo(request, "DENY"), at: begun})
		}, Summary{Sent: 2, Kissed: 1, Pending: 1}},
	} {
		l := newLedger(service.NTP, newQuestions(service.NTP, 48), begun, time.Second, time.Second)
		request := append([]byte(nil), l.request()...)
		l.sent(begun)
		l.sent(begun) // another, of which nothing is heard
		c.before(l, request)
		if e, ok := l.kiss(arrival{data: kissTo(request, "RATE"), at: begun}); !ok || e.Seq != 1 || e.Code != "RATE" {
			t.Errorf("%s: %+v, %v", name, e, ok)
		}
		s := l.summary()
		got := Summary{Sent: s.Sent, Received: s.Received, Late: s.Late, Lost: s.Lost, Pending: s.Pending, Kissed: s.Kissed}
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
		strange := newQuestions(service.NTP, 48)
		if _, ok := l.kiss(arrival{data: kissTo(strange.append(nil, 0), "RATE"), at: begun}); ok {
			t.Errorf("%s: anybody's kiss is obeyed", name)
		}
	}
}
