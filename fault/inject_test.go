package fault

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// allTexts has each fault once.
var allTexts = []string{
	"loss 1%", "silence 1%", "delay 50ms..90ms", "duplicate", "corrupt 50%", "length 68", "kiss RATE", "stratum 7", "leap insert",
	"wrong-origin", "zero-transmit 50%", "mode 3", "version 2", "unsynchronised 20%",
}

var received = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// handlers are the services as they are served.
var handlers = map[service.Kind]exchange.Handler{
	service.Time:    service.TimeHandler{},
	service.Daytime: service.DaytimeHandler{Zone: time.UTC},
	service.Echo:    service.EchoHandler{},
	service.NTP:     service.NTPHandler{Now: func() time.Time { return received.Add(time.Millisecond) }},
}

// A link is a service, asked by datagrams or on connections.
type link struct {
	kind   service.Kind
	stream bool
}

func (l link) String() string {
	if l.stream {
		return l.kind.String() + "/tcp"
	}
	return l.kind.String() + "/udp"
}

var links = []link{
	{service.Time, false}, {service.Time, true}, {service.Daytime, false}, {service.Daytime, true},
	{service.Echo, false}, {service.Echo, true}, {service.NTP, false},
}

// request is what a client asks there: on connections nothing.
func (l link) request() *exchange.Request {
	r := &exchange.Request{Received: received, Clock: clock.Offset(-24 * time.Hour)}
	switch {
	case l.stream:
	case l.kind == service.NTP:
		r.Data = ntp.Header{Version: 4, Mode: ntp.ModeClient, Poll: 6, Transmit: 0x0123456789abcdef}.Append(nil)
	default:
		r.Data = []byte("what time is it?")
	}
	return r
}

// answer is what the service answers, in a buffer that held something else before.
func (l link) answer(tb testing.TB, r *exchange.Request) exchange.Reply {
	tb.Helper()
	p := exchange.Reply{Data: bytes.Repeat([]byte{0xaa}, 2048)[:0]}
	if v := handlers[l.kind].Serve(&p, r); v != exchange.Answer {
		tb.Fatalf("%v: verdict %v", l, v)
	}
	return p
}

// keep returns p with bytes of its own.
func keep(p exchange.Reply) exchange.Reply {
	p.Data = bytes.Clone(p.Data)
	return p
}

func same(a, b exchange.Reply) bool {
	return bytes.Equal(a.Data, b.Data) && a.Told.Equal(b.Told) && a.Notes == b.Notes && a.Delay == b.Delay && a.Copies == b.Copies
}

func shown(p exchange.Reply) string {
	return fmt.Sprintf("% x, told %v, notes %q, delay %v, copies %d", p.Data, p.Told, p.Notes, p.Delay, p.Copies)
}

// What each fault that leaves nothing to chance makes of the reply of each service. Where it has nothing to do, the reply is as it was.
func TestEachFaultOnEachService(t *testing.T) {
	everywhere := func(link) bool { return true }
	ofNTP := func(l link) bool { return l.kind == service.NTP }
	datagrams := func(l link) bool { return !l.stream }
	sized := func(l link) bool { return l != link{service.Echo, true} } // what has a length
	bytesAt := func(offset int, b ...byte) func(*exchange.Reply) {
		return func(p *exchange.Reply) { copy(p.Data[offset:], b) }
	}
	cutTo := func(n int) func(*exchange.Reply) {
		return func(p *exchange.Reply) { p.Data = append(p.Data, make([]byte, 2000)...)[:n] }
	}
	for _, test := range []struct {
		text   string
		acts   func(link) bool
		change func(*exchange.Reply) // of data, delay and copies
		untold func(link) bool       // where it says no time any more; nil: nowhere
	}{
		{"delay 50ms", everywhere, func(p *exchange.Reply) { p.Delay = 50 * time.Millisecond }, nil},
		{"delay 1h", everywhere, func(p *exchange.Reply) { p.Delay = time.Hour }, nil},
		{"duplicate", datagrams, func(p *exchange.Reply) { p.Copies = 1 }, nil},
		{"length 0", sized, cutTo(0), everywhere},
		{"length 3", sized, cutTo(3), everywhere},
		{"length 4", func(l link) bool { return sized(l) && l.kind != service.Time }, cutTo(4),
			func(l link) bool { return l.kind != service.Time }},
		{"length 5", sized, cutTo(5), func(l link) bool { return l.kind != service.Time }},
		{"length 16", func(l link) bool { return sized(l) && l.kind != service.Echo }, cutTo(16),
			func(l link) bool { return l.kind != service.Time }},
		{"length 23", sized, cutTo(23), func(l link) bool { return l.kind == service.Daytime || l.kind == service.NTP }},
		{"length 24", sized, cutTo(24), ofNTP}, // the line without its end
		{"length 26", func(l link) bool { return sized(l) && l.kind != service.Daytime }, cutTo(26), ofNTP},
		{"length 47", sized, cutTo(47), ofNTP},
		{"length 48", func(l link) bool { return sized(l) && l.kind != service.NTP }, cutTo(48), nil},
		{"length 52", sized, cutTo(52), nil},
		{"length 1472", sized, cutTo(1472), nil},
		{"kiss RATE", ofNTP, func(p *exchange.Reply) { p.Data[0], p.Data[1] = 0xe4, 0; copy(p.Data[12:16], "RATE") }, nil},
		{"kiss DENY", ofNTP, func(p *exchange.Reply) { p.Data[0], p.Data[1] = 0xe4, 0; copy(p.Data[12:16], "DENY") }, nil},
		{"kiss RSTR", ofNTP, func(p *exchange.Reply) { p.Data[0], p.Data[1] = 0xe4, 0; copy(p.Data[12:16], "RSTR") }, nil},
		{"unsynchronised", ofNTP, func(p *exchange.Reply) { p.Data[0], p.Data[1] = 0xe4, 0; copy(p.Data[12:16], "INIT") }, nil},
		{"stratum 0", ofNTP, bytesAt(1, 0), nil},
		{"stratum 16", ofNTP, bytesAt(1, 16), nil},
		{"stratum 255", ofNTP, bytesAt(1, 255), nil},
		{"leap insert", ofNTP, bytesAt(0, 0x64), nil},
		{"leap delete", ofNTP, bytesAt(0, 0xa4), nil},
		{"leap unknown", ofNTP, bytesAt(0, 0xe4), nil},
		{"mode 0", ofNTP, bytesAt(0, 0x20), nil},
		{"mode 3", ofNTP, bytesAt(0, 0x23), nil},
		{"mode 7", ofNTP, bytesAt(0, 0x27), nil},
		{"version 0", ofNTP, bytesAt(0, 0x04), nil},
		{"version 3", ofNTP, bytesAt(0, 0x1c), nil},
		{"version 7", ofNTP, bytesAt(0, 0x3c), nil},
		{"zero-transmit", ofNTP, bytesAt(40, 0, 0, 0, 0, 0, 0, 0, 0), ofNTP},
		{"stratum 1", nil, nil, nil}, // what it was
		{"leap none", nil, nil, nil},
		{"mode 4", nil, nil, nil},
		{"version 4", nil, nil, nil},
		{"loss 0%", nil, nil, nil},
		{"zero-transmit 0%", nil, nil, nil},
	} {
		f := parsed(t, test.text)
		for _, l := range links {
			r := l.request()
			p := l.answer(t, r)
			want := keep(p)
			if test.acts != nil && test.acts(l) {
				test.change(&want)
				want.Notes = f[0].Note()
				if test.untold != nil && test.untold(l) {
					want.Told = time.Time{}
				}
			}
			if v := NewInjector(l.kind, l.stream, 1, 1).Inject(f, &p, r); v != exchange.Answer {
				t.Errorf("%s on %v: verdict %v", test.text, l, v)
			}
			if !same(p, want) {
				t.Errorf("%s on %v:\n%s, want\n%s", test.text, l, shown(p), shown(want))
			}
		}
	}
}

// A reply that is kept back bears the fault's note alone, whatever else was to be made of it.
func TestKeptBack(t *testing.T) {
	for _, text := range []string{"loss", "silence"} {
		faults := parsed(t, "delay 5ms", "duplicate", "stratum 3", "length 3", text)
		for _, l := range links {
			r := l.request()
			p := l.answer(t, r)
			p.Notes |= exchange.Unsigned
			if v := NewInjector(l.kind, l.stream, 1, 1).Inject(faults, &p, r); v != exchange.Fault {
				t.Errorf("%s on %v: verdict %v", text, l, v)
			}
			if want := (exchange.Reply{Notes: faults[4].Note()}); !same(p, want) {
				t.Errorf("%s on %v: %s, want %s", text, l, shown(p), shown(want))
			}
		}
	}
}

// The first to happen keeps the reply back, and it alone is noted.
func TestFirstKeepsBack(t *testing.T) {
	for _, test := range []struct {
		texts []string
		want  exchange.Notes
	}{
		{[]string{"loss", "silence"}, exchange.FaultLoss},
		{[]string{"silence", "loss"}, exchange.FaultSilence},
		{[]string{"loss 0%", "delay 1s", "silence"}, exchange.FaultSilence},
	} {
		var p exchange.Reply
		if v := new(Injector).Inject(parsed(t, test.texts...), &p, new(exchange.Request)); v != exchange.Fault || p.Notes != test.want {
			t.Errorf("%v: %v, noted %v, want %v", test.texts, v, p.Notes, test.want)
		}
	}
}

// The fault unsynchronised and our own server at stratum 16 tell the same.
func TestUnsynchronisedIsAsServed(t *testing.T) {
	l := link{service.NTP, false}
	r := l.request()
	p := l.answer(t, r)
	NewInjector(l.kind, false, 1, 1).Inject(parsed(t, "unsynchronised"), &p, r)
	h := handlers[service.NTP].(service.NTPHandler)
	h.Stratum = service.Unsynchronised
	var want exchange.Reply
	if v := h.Serve(&want, r); v != exchange.Answer || !bytes.Equal(p.Data, want.Data) {
		t.Errorf("% x, want % x", p.Data, want.Data)
	}
}

// The request's MAC is still told of, and bytes behind the header stay.
func TestNotesAndTrailerStay(t *testing.T) {
	l := link{service.NTP, false}
	r := l.request()
	p := l.answer(t, r)
	p.Notes = exchange.Unsigned
	p.Data = append(p.Data, "trailer!"...)
	want := keep(p)
	want.Data[1], want.Notes = 9, exchange.Unsigned|exchange.FaultStratum
	NewInjector(l.kind, false, 1, 1).Inject(parsed(t, "stratum 9"), &p, r)
	if !same(p, want) {
		t.Errorf("%s, want %s", shown(p), shown(want))
	}
}

func TestSeveral(t *testing.T) {
	for _, test := range []struct {
		faults []string
		delay  time.Duration
		copies int
		first  []byte
	}{
		{[]string{"delay 50ms", "delay 1s", "duplicate", "duplicate"}, 1050 * time.Millisecond, 2, []byte{0x24, 1}},
		{[]string{"delay 1h", "delay 1h"}, time.Hour, 0, []byte{0x24, 1}},
		{[]string{"stratum 3", "kiss RATE"}, 0, 0, []byte{0xe4, 0}},
		{[]string{"kiss RATE", "stratum 3", "leap none"}, 0, 0, []byte{0x24, 3}},
		{[]string{"length 1", "stratum 3", "mode 3"}, 0, 0, []byte{0x23}}, // fields first
		{[]string{"length 0", "length 2"}, 0, 0, []byte{0, 0}},
	} {
		l := link{service.NTP, false}
		r := l.request()
		p := l.answer(t, r)
		NewInjector(l.kind, false, 1, 1).Inject(parsed(t, test.faults...), &p, r)
		if p.Delay != test.delay || p.Copies != test.copies || !bytes.HasPrefix(p.Data, test.first) {
			t.Errorf("%v: delay %v, %d copies, % x", test.faults, p.Delay, p.Copies, p.Data)
		}
	}
}

// Whatever comes to Inject, it does not trip over it.
func TestOddReplies(t *testing.T) {
	faults := append(parsed(t, allTexts...), Fault{})
	faults = slices.DeleteFunc(faults, func(f Fault) bool { return f.Word() == "loss" || f.Word() == "silence" })
	for _, data := range [][]byte{nil, {1}, make([]byte, 47), make([]byte, 49), make([]byte, 4000)} {
		for _, k := range append(service.Kinds(), service.Kind(200)) {
			p := exchange.Reply{Data: bytes.Clone(data)}
			in := Injector{Service: k}
			if v := in.Inject(faults, &p, new(exchange.Request)); v != exchange.Answer {
				t.Errorf("%v, %d bytes: %v", k, len(data), v)
			}
			if k > service.NTP && !same(p, exchange.Reply{Data: data}) {
				t.Errorf("what is no service has faults: %s", shown(p))
			}
			if ofNTP := p.Notes&exchange.FaultStratum != 0; ofNTP != (k == service.NTP && len(data) >= ntp.HeaderSize) {
				t.Errorf("%v, %d bytes: notes %v", k, len(data), p.Notes)
			}
		}
	}
	var p exchange.Reply
	if v := new(Injector).Inject(nil, &p, nil); v != exchange.Answer || !same(p, exchange.Reply{}) {
		t.Errorf("no faults: %v, %s", v, shown(p))
	}
}

// FuzzInject makes any fault in any reply: it never panics, and keeps the bounds.
func FuzzInject(f *testing.F) {
	for i, text := range allTexts {
		f.Add(text, "stratum 9 50%", make([]byte, 4*i), uint8(i), i%2 == 0, uint64(i))
	}
	f.Fuzz(func(t *testing.T, one, other string, data []byte, k uint8, stream bool, seed uint64) {
		var faults []Fault
		for _, text := range []string{one, other} {
			if fault, err := Parse(text); err == nil {
				faults = append(faults, fault)
			}
		}
		p := exchange.Reply{Data: bytes.Clone(data)}
		r := exchange.Request{Data: data}
		v := NewInjector(service.Kind(k%5), stream, seed, 0).Inject(faults, &p, &r)
		if len(p.Data) > max(len(data), MaxLength) || p.Delay < 0 || p.Delay > MaxDelay || p.Copies > len(faults) {
			t.Errorf("%v: %v, %s", faults, v, shown(p))
		}
		if v == exchange.Fault != (p.Notes == exchange.FaultLoss || p.Notes == exchange.FaultSilence) {
			t.Errorf("%v: %v, noted %v", faults, v, p.Notes)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	faults := parsed(t, allTexts...)
	for _, l := range links {
		r := l.request()
		before := l.answer(t, r)
		p := exchange.Reply{Data: make([]byte, 0, MaxLength)}
		in := NewInjector(l.kind, l.stream, 1, 1)
		if n := testing.AllocsPerRun(1000, func() {
			p = exchange.Reply{Data: append(p.Data[:0], before.Data...), Told: before.Told}
			in.Inject(faults, &p, r)
		}); n != 0 {
			t.Errorf("%v: %v allocations a reply", l, n)
		}
	}
}

func BenchmarkInject(b *testing.B) {
	for name, texts := range map[string][]string{"one": {"loss 10%"}, "all": allTexts} {
		b.Run(name, func(b *testing.B) {
			l := link{service.NTP, false}
			faults, r := parsed(b, texts...), l.request()
			before := l.answer(b, r)
			p := exchange.Reply{Data: make([]byte, 0, MaxLength)}
			in := NewInjector(l.kind, l.stream, 1, 1)
			b.ReportAllocs()
			for b.Loop() {
				p = exchange.Reply{Data: append(p.Data[:0], before.Data...), Told: before.Told}
				in.Inject(faults, &p, r)
			}
		})
	}
}

// Each service, transport, seed and shard has random numbers of its own, and the same ones again.
func TestInjectorsDiffer(t *testing.T) {
	fates := func(k service.Kind, stream bool, seed, shard uint64) (s string) {
		in := NewInjector(k, stream, seed, shard)
		for range 64 {
			p := exchange.Reply{Data: []byte("1234")}
			s += in.Inject(parsed(t, "loss 50%"), &p, new(exchange.Request)).String() + " "
		}
		return s
	}
	seen := make(map[string]string)
	for _, k := range []service.Kind{service.Echo, service.Daytime, service.Time} {
		for _, stream := range []bool{false, true} {
			for seed := range uint64(2) {
				for shard := range uint64(2) {
					who := fmt.Sprint(k, stream, seed, shard)
					s := fates(k, stream, seed, shard)
					if other, ok := seen[s]; ok {
						t.Errorf("%s and %s fail alike", who, other)
					}
					if seen[s] = who; fates(k, stream, seed, shard) != s {
						t.Errorf("%s fails otherwise the second time", who)
					}
				}
			}
		}
	}
}
