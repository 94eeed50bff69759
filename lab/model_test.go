package lab

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
)

// randomAddr returns an address; with few, one of so few that many are equal or neighbours.
func randomAddr(r *rand.Rand, few bool) netip.Addr {
	var b [16]byte
	for i := range b {
		if b[i] = byte(r.Uint32()); few {
			b[i] &= 0x81
		}
	}
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	b[0] = 0x20
	return netip.AddrFrom16(b)
}

// randomRules returns n rules of different prefixes, each with a delay that tells it by its index.
func randomRules(r *rand.Rand, n int, few bool) []Rule {
	seen := make(map[netip.Prefix]bool)
	var rules []Rule
	for len(rules) < n {
		a := randomAddr(r, few)
		p, err := a.Prefix(r.IntN(a.BitLen() + 1))
		if err != nil {
			panic(err)
		}
		if !seen[p] {
			seen[p] = true
			rules = append(rules, Rule{From: p, Faults: faults(fmt.Sprintf("delay %dms", 1+len(rules)))})
		}
	}
	return rules
}

// longest is the rule for a client, found one by one: -1 is the default rule.
func longest(rules []Rule, client netip.Addr) int {
	best := -1
	for i, r := range rules {
		if r.From.Contains(client.WithZone("")) && (best < 0 || r.From.Bits() > rules[best].From.Bits()) {
			best = i
		}
	}
	return best
}

func TestRulesAgreeWithLinearScan(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	check := func(l *Lab, rules []Rule, client netip.Addr) {
		t.Helper()
		_, p, _ := newShard(l, service.Time).ask(client, noon)
		if want := longest(rules, client); p.Delay != time.Duration(want+1)*time.Millisecond {
			t.Fatalf("%v meets rule %d, want %d", client, int(p.Delay/time.Millisecond)-1, want)
		}
	}
	for range 200 {
		rules := randomRules(r, r.IntN(40), true)
		l := new(Lab)
		set(t, l, Config{Rules: rules}, noon)
		for range 100 {
			client := randomAddr(r, true)
			if client.Is6() && r.IntN(3) == 0 {
				client = client.WithZone("eth0")
			}
			check(l, rules, client)
		}
	}
	rules := randomRules(r, 100_000, false)
	l := new(Lab)
	set(t, l, Config{Rules: rules}, noon)
	for range 30 {
		check(l, rules, randomAddr(r, false))
		check(l, rules, rules[r.IntN(len(rules))].From.Addr())
	}
}

// A model is a naive Lab: a slice of who was seen, the last one last.
type model struct {
	config    Config
	generated map[string]int // which of its name a clock is
	limit     int
	seen      []modelFirst
	forgotten uint64
}

type modelFirst struct {
	name       string
	generation int
	client     netip.Addr
	start      time.Time
}

func (m *model) set(c Config) {
	old := m.config
	for name, r := range c.Clocks {
		if was, ok := old.Clocks[name]; !ok || !was.Equal(r) {
			m.generated[name]++
		}
	}
	m.config = c
	m.config.Clocks = maps.Clone(c.Clocks)
	m.seen = slices.DeleteFunc(m.seen, func(f modelFirst) bool {
		_, ok := c.Clocks[f.name]
		return !ok || m.generated[f.name] != f.generation
	})
	m.limit = c.Remember
	for len(m.seen) > m.limit {
		m.seen = m.seen[1:]
		m.forgotten++
	}
}

// ask returns the clock's name and start.
func (m *model) ask(client netip.Addr, received time.Time) (string, time.Time) {
	rule := m.config.Rules[longest(m.config.Rules, client)]
	f := modelFirst{rule.Clock, m.generated[rule.Clock], client, received}
	if i := slices.IndexFunc(m.seen, func(g modelFirst) bool {
		return g.name == f.name && g.generation == f.generation && g.client == client
	}); i >= 0 {
		f = m.seen[i]
		m.seen = slices.Delete(m.seen, i, i+1)
	} else if len(m.seen) == m.limit {
		m.seen = m.seen[1:]
		m.forgotten++
	}
	m.seen = append(m.seen, f)
	return f.name, f.start
}

// Random requests and changes, against the model. Time stamps jump about: the order of requests counts.
func TestFirstRequestsAgreeWithModel(t *testing.T) {
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	texts := []string{"y2k", "epoch", "leap-second", "now for 5s then y2k x2"}
	names := []string{"a", "b", "c"}
	for range 150 {
		var l Lab
		s := newShard(&l, service.Time)
		m := &model{generated: make(map[string]int)}
		clients := 1 + r.IntN(40)
		c := Config{Clocks: make(map[string]clock.Recipe)}
		for _, name := range names {
			c.Clocks[name] = clock.MustParse(texts[r.IntN(len(texts))])
		}
		for range 20 {
			// A change: most are to what is in force already.
			if r.IntN(3) == 0 || c.Remember == 0 {
				c.Remember = 1 + r.IntN(40)
			}
			if r.IntN(3) == 0 {
				c.Clocks[names[r.IntN(len(names))]] = clock.MustParse(texts[r.IntN(len(texts))])
			}
			c.Rules = []Rule{
				{From: prefix("0.0.0.0/0"), Clock: names[r.IntN(2)], Start: FirstRequest},
				{From: prefix("::/0"), Clock: names[r.IntN(2)], Start: FirstRequest},
				{From: prefix("10.0.0.0/28"), Clock: names[r.IntN(2)], Start: FirstRequest},
			}
			if delete(c.Clocks, "c"); r.IntN(2) == 0 {
				c.Clocks["c"] = clock.MustParse("y2k")
				c.Rules[1].Clock = "c"
			}
			set(t, &l, c, noon)
			m.set(c)
			for range 100 {
				i := byte(r.IntN(clients))
				client := netip.AddrFrom4([4]byte{10, 0, 0, i})
				if i%3 == 0 {
					client = netip.AddrFrom16([16]byte{0xfe, 0x80, 15: i}).WithZone([]string{"", "eth0"}[r.IntN(2)])
				}
				received := noon.Add(time.Duration(r.Int64N(1e15)))
				name, want := m.ask(client, received)
				if got, _, _ := s.ask(client, received); got.Name != name || !start(t, got).Equal(want) {
					t.Fatalf("%v has clock %q from %v, want %q from %v", client, got.Name, start(t, got), name, want)
				}
				if got := l.Counts(); got != (Counts{len(m.seen), m.forgotten}) {
					t.Fatalf("counts %v, want %v", got, Counts{len(m.seen), m.forgotten})
				}
			}
			checkMemory(t, &l)
		}
	}
}

// checkMemory checks that the table and the queue hold the same, and that the queue is in order.
func checkMemory(t *testing.T, l *Lab) {
	t.Helper()
	f := &l.firsts
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[*first]bool)
	for i, p := range f.queue {
		all[p.first] = true
		if p.first.seen.Load() < p.seen || p.first.seen.Load() > f.seen.Load() {
			t.Errorf("place %d: key %d, seen %d of %d", i, p.seen, p.first.seen.Load(), f.seen.Load())
		}
		if i > 0 && f.queue[(i-1)/2].seen > p.seen {
			t.Errorf("place %d is out of order", i)
		}
	}
	linked := 0
	if table := f.table.Load(); table != nil {
		for i := range table.chains {
			for e := table.chains[i].Load(); e != nil; e = e.next.Load() {
				if linked++; !all[e] || e.clock.gone || table.find(e.asker) != e {
					t.Errorf("%v is linked, and should not", e.addr)
				}
			}
		}
	}
	if linked != len(f.queue) || len(all) != linked || linked > f.limit {
		t.Errorf("%d linked, %d in the queue, %d of them different, %d allowed", linked, len(f.queue), len(all), f.limit)
	}
}

// Time stamps that no sane host makes change nothing but what a clock reads.
func TestOddTimes(t *testing.T) {
	l := new(Lab)
	set(t, l, Config{
		Clocks: recipes(map[string]string{"x": "leap-second for 3s then y2k for 5s repeat"}),
		Rules:  []Rule{{From: prefix("0.0.0.0/0"), Clock: "x", Start: FirstRequest}},
	}, time.Time{})
	s := newShard(l, service.Time)
	odd := []time.Time{{}, noon, time.Unix(1<<62, 0), time.Unix(-1<<62, 0), noon.Add(-100 * 365 * 24 * time.Hour), time.Now(),
		time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i, at := range odd {
		client := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		first, _, v := s.ask(client, at)
		for _, later := range odd {
			if got, _, _ := s.ask(client, later); got != first || v != exchange.Answer {
				t.Errorf("%v, then %v: %v, want %v", at, later, got, first)
			}
			if served := clock.Read(first, later); served.Year() < 1 || served.Year() > 9999 {
				t.Errorf("%v, then %v: reads %v", at, later, served)
			}
		}
		set(t, l, Config{Clocks: map[string]clock.Recipe{"x": first.Recipe()}}, at)
		set(t, l, Config{
			Clocks: recipes(map[string]string{"x": "leap-second for 3s then y2k for 5s repeat"}),
			Rules:  []Rule{{From: prefix("0.0.0.0/0"), Clock: "x", Start: FirstRequest}},
		}, at)
	}
}
