package lab

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// noon is the real time at which most tests begin.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func recipes(texts map[string]string) map[string]clock.Recipe {
	m := make(map[string]clock.Recipe)
	for name, text := range texts {
		m[name] = clock.MustParse(text)
	}
	return m
}

func faults(texts ...string) (all []fault.Fault) {
	for _, text := range texts {
		all = append(all, fault.MustParse(text))
	}
	return all
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func set(tb testing.TB, l *Lab, c Config, at time.Time) {
	tb.Helper()
	if err := l.Set(c, at); err != nil {
		tb.Fatal(err)
	}
}

// A shard is a Lab's Middleware around a handler that answers with one byte.
type shard struct{ handler exchange.Handler }

func newShard(l *Lab, k service.Kind) shard {
	return shard{l.Middleware(fault.NewInjector(k, false, 1, 2))(exchange.HandlerFunc(
		func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			p.Data = append(p.Data, 1)
			return exchange.Answer
		}))}
}

// ask returns what a request from the client met.
func (s shard) ask(client netip.Addr, received time.Time) (*Clock, exchange.Reply, exchange.Verdict) {
	r := exchange.Request{From: netip.AddrPortFrom(client, 5000), Received: received}
	var p exchange.Reply
	v := s.handler.Serve(&p, &r)
	return r.Clock.(*Clock), p, v
}

// start returns when a clock was started.
func start(tb testing.TB, c *Clock) time.Time {
	tb.Helper()
	at, ok := c.Recipe().Anchor()
	if !ok {
		tb.Fatalf("%v has no start", c)
	}
	return at
}

func TestZeroLab(t *testing.T) {
	l := new(Lab)
	s := newShard(l, service.Time)
	for _, client := range []string{"10.0.0.1", "2001:db8::1", "fe80::1%eth0"} {
		c, p, v := s.ask(addr(client), noon)
		if got := clock.Read(c, noon); !got.Equal(noon) || c.Name != "" || v != exchange.Answer || p.Notes != 0 {
			t.Errorf("%s reads %v on clock %q, %v", client, got, c.Name, v)
		}
	}
	if c, ok := l.Clock(""); !ok || c.String() != "now" {
		t.Errorf("the default clock is %v, %v", c, ok)
	}
	if l.Counts() != (Counts{}) {
		t.Errorf("counts %v", l.Counts())
	}
}

func TestRules(t *testing.T) {
	c := Config{
		Clock:  clock.MustParse("yesterday"),
		Faults: faults("delay 1s"),
		Clocks: recipes(map[string]string{"one": "+1h", "two": "+2h", "three": "+3h"}),
		Rules: []Rule{
			{From: prefix("10.0.0.0/8"), Clock: "one"},
			{From: prefix("10.0.3.7/32"), Clock: "three", Faults: faults("duplicate", "delay 3s")},
			{From: prefix("10.0.3.0/24"), Clock: "two", Faults: faults("delay 2s")},
			{From: prefix("192.0.2.0/24")},
			{From: prefix("198.51.100.0/24"), Faults: []fault.Fault{}},
			{From: prefix("fe80::/64"), Clock: "one"},
			{From: prefix("2001:db8::/32"), Clock: "two", Faults: faults("loss")},
		},
	}
	check := func(t *testing.T, l *Lab, client, name string, ahead time.Duration, delay time.Duration, copies int, want exchange.Verdict) {
		t.Helper()
		c, p, v := newShard(l, service.Time).ask(addr(client), noon)
		if got := clock.Read(c, noon).Sub(noon); c.Name != name || got != ahead || p.Delay != delay || p.Copies != copies || v != want {
			t.Errorf("%s: clock %q, %v ahead, held back %v, %d copies, %v; want %q, %v, %v, %d, %v",
				client, c.Name, got, p.Delay, p.Copies, v, name, ahead, delay, copies, want)
		}
	}
	for range 2 {
		l := new(Lab)
		set(t, l, c, noon)
		const h, s, ok = time.Hour, time.Second, exchange.Answer
		check(t, l, "10.9.9.9", "one", h, s, 0, ok) // a rule without faults of its own
		check(t, l, "10.0.3.8", "two", 2*h, 2*s, 0, ok)
		check(t, l, "10.0.3.7", "three", 3*h, 3*s, 1, ok)
		check(t, l, "192.0.2.1", "", -24*h, s, 0, ok)    // and without a clock
		check(t, l, "198.51.100.1", "", -24*h, 0, 0, ok) // a rule that has no faults
		check(t, l, "11.0.0.1", "", -24*h, s, 0, ok)
		check(t, l, "fe80::1%eth0", "one", h, s, 0, ok)
		check(t, l, "fe80::1", "one", h, s, 0, ok)
		check(t, l, "fe80:0:0:1::1", "", -24*h, s, 0, ok)
		check(t, l, "2001:db8::1", "two", 2*h, 0, 0, exchange.Fault)
		slices.Reverse(c.Rules)
	}

	// The default rules can be replaced, each by itself.
	l := new(Lab)
	c.Rules = []Rule{{From: prefix("0.0.0.0/0"), Clock: "one"}}
	set(t, l, c, noon)
	check(t, l, "11.0.0.1", "one", time.Hour, time.Second, 0, exchange.Answer)
	check(t, l, "2001:db8::1", "", -24*time.Hour, time.Second, 0, exchange.Answer)
	c.Rules[0].From = prefix("::/0")
	set(t, l, c, noon)
	check(t, l, "11.0.0.1", "", -24*time.Hour, time.Second, 0, exchange.Answer)
	check(t, l, "2001:db8::1", "one", time.Hour, time.Second, 0, exchange.Answer)

	// No address: an asker in memory may have none.
	if c, p, _ := newShard(l, service.Time).ask(netip.Addr{}, noon); c.Name != "" || p.Delay != time.Second {
		t.Errorf("no address: clock %q, held back %v", c.Name, p.Delay)
	}
}

// Faults are for answers, and made by the Injector if there is one.
func TestMiddlewareFaults(t *testing.T) {
	l := new(Lab)
	set(t, l, Config{Faults: faults("delay 1s")}, noon)
	for _, test := range []struct {
		in      *fault.Injector
		v       exchange.Verdict
		delayed bool
	}{
		{fault.NewInjector(service.Time, false, 1, 2), exchange.Answer, true},
		{fault.NewInjector(service.Time, false, 1, 2), exchange.Malformed, false},
		{nil, exchange.Answer, false},
	} {
		h := l.Middleware(test.in)(exchange.HandlerFunc(func(*exchange.Reply, *exchange.Request) exchange.Verdict { return test.v }))
		var p exchange.Reply
		if got := h.Serve(&p, &exchange.Request{From: netip.MustParseAddrPort("10.0.0.1:1")}); got != test.v || p.Delay > 0 != test.delayed {
			t.Errorf("%v came out as %v, held back %v", test.v, got, p.Delay)
		}
	}
}

// Set keeps nothing of its Config.
func TestSetKeepsNothing(t *testing.T) {
	l := new(Lab)
	c := Config{
		Faults: faults("delay 1s"),
		Clocks: recipes(map[string]string{"one": "+1h"}),
		Rules:  []Rule{{From: prefix("10.0.0.0/8"), Clock: "one", Faults: faults("delay 2s")}},
	}
	set(t, l, c, noon)
	copy(c.Faults, faults("delay 9s"))
	copy(c.Rules[0].Faults, faults("delay 9s"))
	c.Rules[0] = Rule{From: prefix("11.0.0.0/8")}
	c.Clocks["one"] = clock.MustParse("+9h")
	delete(c.Clocks, "one")
	s := newShard(l, service.Time)
	got, p, _ := s.ask(addr("10.0.0.1"), noon)
	_, other, _ := s.ask(addr("11.0.0.1"), noon)
	if got.String() != "+1h" || p.Delay != 2*time.Second || other.Delay != time.Second {
		t.Errorf("%v, held back %v and %v", got, p.Delay, other.Delay)
	}
	if _, ok := l.Clock("one"); !ok {
		t.Error("the clock is gone")
	}
}

// An error changes nothing.
func TestSetRefuses(t *testing.T) {
	l := new(Lab)
	c := Config{Clock: clock.MustParse("yesterday"), Clocks: recipes(map[string]string{"one": "y2k"})}
	set(t, l, c, noon)
	before, _ := l.Clock("one")
	bad := Config{Clocks: recipes(map[string]string{"one": "epoch"}), Rules: []Rule{{From: prefix("10.0.0.1/8")}}}
	err := l.Set(bad, noon)
	if e, ok := errors.AsType[*ConfigError](err); !ok || e.Rule != 0 || e.Field != "from" {
		t.Fatalf("got %v", err)
	}
	if after, ok := l.Clock("one"); !ok || after != before {
		t.Errorf("the clock is %v", after)
	}
	if c, _ := l.Clock(""); c.String() != clock.MustParse("yesterday").String() {
		t.Errorf("the default clock is %v", c)
	}
}

// A clock that is not changed goes on; one that is, or comes back, starts anew. So do the clocks of clients.
func TestSetKeepsUnchangedClocks(t *testing.T) {
	l := new(Lab)
	s := newShard(l, service.Time)
	c := Config{
		Clock:  clock.MustParse("now x2"),
		Clocks: recipes(map[string]string{"kept": "y2k", "changed": "y2k", "dropped": "epoch"}),
		Rules: []Rule{
			{From: prefix("10.1.0.0/16"), Clock: "kept", Start: FirstRequest},
			{From: prefix("10.2.0.0/16"), Clock: "changed", Start: FirstRequest},
			{From: prefix("10.3.0.0/16"), Clock: "dropped", Start: FirstRequest},
			{From: prefix("10.4.0.0/16"), Start: FirstRequest}, // the default clock
		},
	}
	clients := []netip.Addr{addr("10.1.0.1"), addr("10.2.0.1"), addr("10.3.0.1"), addr("10.4.0.1")}
	step := func(i int) time.Time { return noon.Add(time.Duration(i) * time.Minute) }
	check := func(at int, client netip.Addr, want int) {
		t.Helper()
		got, _, _ := s.ask(client, step(at))
		if !start(t, got).Equal(step(want)) {
			t.Errorf("step %d: %v started at %v, want step %d", at, client, start(t, got), want)
		}
	}
	set(t, l, c, step(0))
	first := make(map[string]*Clock)
	for name := range c.Clocks {
		first[name], _ = l.Clock(name)
	}
	first[""], _ = l.Clock("")
	for _, client := range clients {
		check(1, client, 1)
		check(2, client, 1)
	}

	// The same recipe from another text, another clock's recipe, one fewer, and rules and faults that differ.
	delete(c.Clocks, "dropped")
	c.Clocks["kept"] = clock.MustParse(clock.MustParse("y2k").String())
	c.Clocks["changed"] = clock.MustParse("y2k x2")
	c.Rules[2].Clock = "kept"
	c.Rules[0].Faults = faults("delay 1s")
	c.Faults = faults("delay 1s")
	set(t, l, c, step(3))
	for name, was := range first {
		got, ok := l.Clock(name)
		kept := name == "kept" || name == ""
		if ok != (name != "dropped") || (got == was) != kept || ok && !start(t, got).Equal(step(map[bool]int{true: 0, false: 3}[kept])) {
			t.Errorf("clock %q is %v after a change, was %v", name, got, was)
		}
	}
	check(4, clients[0], 1)
	check(4, clients[1], 4)
	check(4, clients[2], 4) // it is given another clock than before
	check(4, clients[3], 1)
	if got := l.Counts(); got != (Counts{Remembered: 4}) {
		t.Errorf("counts %v", got)
	}

	// A rule that does not start at first requests any more, and does again.
	c.Rules[0].Start = WhenSet
	set(t, l, c, step(5))
	check(6, clients[0], 0)
	c.Rules[0].Start = FirstRequest
	set(t, l, c, step(7))
	check(8, clients[0], 1)

	// The recipe of before is a change too.
	c.Clocks["changed"] = clock.MustParse("y2k")
	set(t, l, c, step(9))
	check(10, clients[1], 10)
}

// A clock's start is each client's own: two devices live the same leap second, each at its own time.
func TestLeapSecondTwice(t *testing.T) {
	l := new(Lab)
	set(t, l, Config{
		Clocks: recipes(map[string]string{"leap": "leap-second"}),
		Rules:  []Rule{{From: prefix("10.0.3.0/24"), Clock: "leap", Start: FirstRequest}},
	}, noon)
	var now time.Time
	handler := l.Middleware(nil)(service.NTPHandler{Now: func() time.Time { return now }})
	type told struct {
		leap ntp.Leap
		at   string
	}
	ask := func(device string, at time.Time) told {
		now = at
		r := exchange.Request{From: netip.MustParseAddrPort(device), Received: at, Data: ntp.Header{Version: 4, Mode: ntp.ModeClient}.Append(nil)}
		var p exchange.Reply
		if v := handler.Serve(&p, &r); v != exchange.Answer {
			t.Fatalf("%s: %v", device, v)
		}
		h, err := ntp.Parse(p.Data)
		if err != nil {
			t.Fatal(err)
		}
		return told{h.Leap, h.Transmit.Near(noon).UTC().Format(time.DateTime)}
	}
	want := []told{
		{ntp.LeapInsert, "2016-12-31 23:59:50"},
		{ntp.LeapInsert, "2016-12-31 23:59:59"},
		{ntp.LeapInsert, "2016-12-31 23:59:59"}, // once more
		{ntp.LeapNone, "2017-01-01 00:00:00"},
	}
	for i, seconds := range []int{0, 9, 10, 11} {
		for k, device := range []string{"10.0.3.1:123", "10.0.3.2:40000"} {
			began := noon.Add(time.Duration(1+3*k) * time.Hour)
			if got := ask(device, began.Add(time.Duration(seconds)*time.Second)); got != want[i] {
				t.Errorf("%s after %d s: %v, want %v", device, seconds, got, want[i])
			}
		}
	}
	if got := l.Counts(); got != (Counts{Remembered: 2}) {
		t.Errorf("counts %v", got)
	}
}

// A client is its address with its zone, on all services; a clock whose start changes nothing needs no memory.
func TestFirstRequestOfAClient(t *testing.T) {
	l := new(Lab)
	set(t, l, Config{
		Clock:  clock.MustParse("yesterday"),
		Clocks: recipes(map[string]string{"y2k": "y2k"}),
		Rules: []Rule{
			{From: prefix("::/0"), Clock: "y2k", Start: FirstRequest},
			{From: prefix("0.0.0.0/0"), Start: FirstRequest},
		},
	}, noon)
	ntp, tcp := newShard(l, service.NTP), newShard(l, service.Time)
	for i, zone := range []string{"", "eth0", "eth1"} {
		at := noon.Add(time.Duration(i+1) * time.Minute)
		a, _, _ := ntp.ask(addr("fe80::1").WithZone(zone), at)
		b, _, _ := tcp.ask(addr("fe80::1").WithZone(zone), at.Add(time.Hour))
		if a != b || !start(t, a).Equal(at) || a.Name != "y2k" {
			t.Errorf("zone %q: %v and %v, want the start %v", zone, a, b, at)
		}
	}
	ntp.ask(addr("10.0.0.1"), noon)
	if got := l.Counts(); got != (Counts{Remembered: 3}) {
		t.Errorf("counts %v", got)
	}
}
