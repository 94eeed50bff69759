package lab

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/service"
)

// crowd is a Config of so many rules, two at least: the clients in 198.18.0.0/15 start at their first requests, those in
// 198.51.100.0/24 meet faults, and the others are all over.
func crowd(rules int) Config {
	c := Config{Clock: clock.MustParse("yesterday"), Clocks: recipes(map[string]string{"leap": "leap-second"})}
	c.Rules = []Rule{
		{From: prefix("198.18.0.0/15"), Clock: "leap", Start: FirstRequest},
		{From: prefix("198.51.100.0/24"), Clock: "leap", Faults: faults("delay 50ms..90ms", "loss 1%", "duplicate 5%", "stratum 3")},
	}
	r := rand.New(rand.NewPCG(1, 0))
	seen := make(map[netip.Prefix]bool)
	for i := 0; len(c.Rules) < rules; i++ {
		a := randomAddr(r, false)
		p := netip.PrefixFrom(a, a.BitLen()/4+r.IntN(a.BitLen()*3/4+1)).Masked()
		if !seen[p] && !p.Overlaps(c.Rules[0].From) && !p.Overlaps(c.Rules[1].From) {
			seen[p] = true
			c.Rules = append(c.Rules, Rule{From: p, Clock: []string{"", "leap"}[i%2]})
		}
	}
	return c
}

// timeHandler returns the time service behind the Lab.
func timeHandler(l *Lab) exchange.Handler {
	return l.Middleware(fault.NewInjector(service.Time, false, 1, 2))(service.TimeHandler{})
}

func TestNoAllocation(t *testing.T) {
	c := crowd(100_000)
	c.Remember = 2
	l := new(Lab)
	set(t, l, c, noon)
	h := timeHandler(l)
	p := exchange.Reply{Data: make([]byte, 0, 64)}
	for _, client := range []string{"10.0.0.1", "198.18.0.1", "198.51.100.1", "2001:db8::1", "fe80::1%eth0", c.Rules[99_999].From.Addr().String()} {
		r := exchange.Request{From: netip.AddrPortFrom(addr(client), 5000)}
		if n := testing.AllocsPerRun(1000, func() {
			p = exchange.Reply{Data: p.Data[:0]}
			r.Received = noon
			h.Serve(&p, &r)
		}); n != 0 {
			t.Errorf("%s: %v allocations", client, n)
		}
	}
	// Known clients in turn, so that each request is noted.
	i := byte(0)
	r := exchange.Request{Received: noon}
	if n := testing.AllocsPerRun(1000, func() {
		i ^= 1
		p = exchange.Reply{Data: p.Data[:0]}
		r.From = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, i}), 5000)
		h.Serve(&p, &r)
	}); n != 0 {
		t.Errorf("two known clients: %v allocations", n)
	}
	if got := l.Counts(); got.Remembered != 2 {
		t.Errorf("counts %v", got)
	}
}

// What looking a client up adds to the time service. The addresses asked for change: half of them lie in a rule.
func BenchmarkMiddleware(b *testing.B) {
	run := func(name string, h exchange.Handler, clients []netip.Addr) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p := exchange.Reply{Data: make([]byte, 0, 64)}
			r := exchange.Request{Received: noon}
			for i := 0; b.Loop(); i++ {
				p = exchange.Reply{Data: p.Data[:0]}
				r.From = netip.AddrPortFrom(clients[i&(len(clients)-1)], 5000)
				h.Serve(&p, &r)
			}
		})
	}
	const n = 4096
	many := crowd(100_000)
	r := rand.New(rand.NewPCG(2, 0))
	var mixed, known, faulty []netip.Addr
	for i := range n {
		a := randomAddr(r, false)
		if i%2 == 0 {
			a = many.Rules[2+r.IntN(len(many.Rules)-2)].From.Addr()
		}
		mixed = append(mixed, a)
		known = append(known, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}))
		faulty = append(faulty, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
	}
	with := func(c Config) exchange.Handler {
		l := new(Lab)
		set(b, l, c, noon)
		return timeHandler(l)
	}
	fixed := clock.MustParse("yesterday").Start(noon)
	run("without a Lab", exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		r.Clock = fixed
		return service.TimeHandler{}.Serve(p, r)
	}), mixed)
	run("no rules", with(Config{Clock: clock.MustParse("yesterday")}), mixed)
	run("100,000 rules", with(many), mixed)
	run("first request known", with(crowd(2)), known)
	run("first request known, 100,000 rules", with(many), known)
	run("faults", with(crowd(2)), faulty)
	first := crowd(2)
	first.Remember = n / 2
	run("first request, memory full", with(first), known)
}

func BenchmarkSet(b *testing.B) {
	c := crowd(100_000)
	l := new(Lab)
	for b.Loop() {
		set(b, l, c, time.Time{})
	}
}
