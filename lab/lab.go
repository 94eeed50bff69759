// Package lab gives each client a clock of its own and the faults it is to meet: named clocks, and rules that say which
// clients live by which. All of it can be changed while requests are served.
//
//	l := new(lab.Lab)
//	err := l.Set(lab.Config{
//		Clocks: map[string]clock.Recipe{"lab": clock.MustParse("leap-second")},
//		Rules:  []lab.Rule{{From: netip.MustParsePrefix("10.0.3.0/24"), Clock: "lab", Start: lab.FirstRequest}},
//	}, time.Now())
//	handler := l.Middleware(fault.NewInjector(service.NTP, false, seed, 0))(service.NTPHandler{})
//
// A client is an address; its port does not matter. Of the rules whose prefix holds the address, the one with the
// longest prefix is the client's: it alone says the clock and the faults. Zones do not count here, so fe80::/64 holds
// fe80::1%eth0.
//
// # Changes
//
// [Lab.Set] changes everything at once: a request is served wholly by the Config before or wholly by the one after. A
// clock goes on as it is when its name is in both and its recipe is the same (Equal), whatever else is changed, and so
// do the clocks of the clients it was started for. Otherwise it starts anew.
//
// # First requests
//
// A clock of a rule with [FirstRequest] is started for each client by itself, when the first of its requests was
// received (Request.Received), so that every new device lives a scenario from its beginning. The first request is the
// first that reaches the Lab, on whatever service and transport, whatever answer it gets. From then on the client has
// that clock on every service, from every port, and by every rule with FirstRequest that gives it this clock. Here the
// zone counts: fe80::1%eth0 and fe80::1%eth1 are two clients. Where the start changes no reading, as with "yesterday",
// nothing is remembered.
//
// Config.Remember bounds how many clients are remembered. Where there is no room for one more, the one least recently
// seen is forgotten, and counted: should it ask again, that is its first request. What counts as recent is the order in
// which requests reached the Lab, not what their time stamps say, so a host's clock that is set back disturbs nothing;
// a client that asks at a real time before its start finds its clock as it is before its start. Order is exact for
// requests that come one after the other, and any of the possible ones for those served at the same moment.
//
// # Cost
//
// To look a client up takes no lock and allocates nothing, however many rules there are, and so it is with a client whose
// first request is remembered. A first request takes a lock, which other first requests and Set take too, and allocates.
// With the memory full it also has to find who is to be forgotten. Who was seen when is put in order no earlier than
// then, and so it takes the longer the more known clients have asked since: a microsecond or two under a flood of new
// clients, and at most about 50 ns for each client remembered, a few milliseconds with the default.
package lab

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
)

// A Lab chooses the clock and the faults of each request. Its zero value serves real time to all, without faults, until
// it is Set. Its methods may be called by any number of goroutines at once. It must not be copied.
type Lab struct {
	state   atomic.Pointer[state] // all that a request needs, but for first requests
	setting sync.Mutex            // held by Set
	firsts  firsts
}

// A Clock is the clock of a request: what the Lab puts, as a *Clock, into Request.Clock, and so into Record.Clock.
type Clock struct {
	Name string // in Config.Clocks; empty for the default clock
	*clock.Timeline
}

// A state is a Config at work. It never changes.
type state struct {
	clocks map[string]*running // with "" for the default clock
	rules  bart.Table[*rule]
	rest   rule // for all others: the default rules
}

// A running clock is the same through all states whose Config has it with the same name and recipe.
type running struct {
	Clock
	recipe clock.Recipe
	gone   bool // no longer in force; guarded by firsts.mu
}

// A rule is a Rule at work.
type rule struct {
	clock  *running
	first  bool // started for each client by itself
	faults []fault.Fault
}

// realTime is the state of a Lab that was never set.
var realTime = newState(Config{}, time.Time{}, &state{})

// newState starts the clocks of c, which has no errors, at the real time at, but for those of old that go on.
func newState(c Config, at time.Time, old *state) *state {
	s := &state{clocks: make(map[string]*running, len(c.Clocks)+1)}
	start := func(name string, r clock.Recipe) {
		if was := old.clocks[name]; was != nil && was.recipe.Equal(r) {
			s.clocks[name] = was
			return
		}
		s.clocks[name] = &running{Clock: Clock{name, r.Start(at)}, recipe: r}
	}
	start("", c.Clock)
	for name, r := range c.Clocks {
		start(name, r)
	}

	s.rest = rule{clock: s.clocks[""], faults: slices.Clone(c.Faults)}
	rules := make([]rule, len(c.Rules))
	for i, r := range c.Rules {
		clock := s.clocks[r.Clock]
		faults := s.rest.faults
		if r.Faults != nil {
			faults = slices.Clone(r.Faults)
		}
		rules[i] = rule{clock, r.Start == FirstRequest && clock.needsStart(), faults}
		s.rules.Insert(r.From, &rules[i])
	}
	return s
}

// needsStart tells whether it matters when the clock starts.
func (c *running) needsStart() bool {
	_, matters := c.Timeline.Recipe().Anchor()
	return matters
}

func (s *state) rule(client netip.Addr) *rule {
	if r, ok := s.rules.Lookup(client); ok {
		return r
	}
	return &s.rest
}

// Set puts c in force for all requests from now on; at is the real time at which clocks start whose text has no "at",
// but for those that go on. An error, of type *ConfigError, changes nothing. Set keeps nothing of c. It takes a time in
// proportion to the rules, about half a microsecond each, and to the clients remembered where it forgets some or Remember is another.
// Requests are served meanwhile, but first requests wait for the latter.
func (l *Lab) Set(c Config, at time.Time) error {
	if err := Check(c); err != nil {
		return err
	}
	l.setting.Lock()
	defer l.setting.Unlock()
	old := l.state.Load()
	if old == nil {
		old = new(state)
	}
	s := newState(c, at, old)
	var gone []*running
	for name, clock := range old.clocks {
		if s.clocks[name] != clock {
			gone = append(gone, clock)
		}
	}
	limit := c.Remember
	if limit == 0 {
		limit = DefaultRemember
	}
	l.firsts.change(limit, gone, func() { l.state.Store(s) })
	return nil
}

func (l *Lab) load() *state {
	if s := l.state.Load(); s != nil {
		return s
	}
	return realTime
}

// Middleware gives each request the clock of its client, as a *Clock, serves it, and has in make the faults of the
// client's rule in an Answer. As in is, the Middleware is for one goroutine at a time; a nil in makes no faults.
func (l *Lab) Middleware(in *fault.Injector) exchange.Middleware {
	return func(next exchange.Handler) exchange.Handler {
		return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			c, faults := l.find(r.From.Addr(), r.Received)
			r.Clock = c
			v := next.Serve(p, r)
			if v == exchange.Answer && len(faults) > 0 && in != nil {
				v = in.Inject(faults, p, r)
			}
			return v
		})
	}
}

// find gives the clock and the faults of a client that asks at the real time received: both of one Config.
func (l *Lab) find(client netip.Addr, received time.Time) (*Clock, []fault.Fault) {
	for {
		r := l.load().rule(client)
		if !r.first {
			return &r.clock.Clock, r.faults
		}
		if c := l.firsts.clock(r.clock, client, received); c != nil {
			return c, r.faults
		}
		// The clock went out of force since the rule was looked up, and with it what was known of its clients.
	}
}

// Clock gives the clock of that name that is in force, and false if there is none; the name of the default clock is
// empty. It is the one that started when it was set; clients of rules with FirstRequest have others, of the same name.
func (l *Lab) Clock(name string) (*Clock, bool) {
	c, ok := l.load().clocks[name]
	if !ok {
		return nil, false
	}
	return &c.Clock, true
}

// Counts is how the memory of first requests fares.
type Counts struct {
	Remembered int    // clients whose first requests are remembered now
	Forgotten  uint64 // clients, in all, that were forgotten to make room for others or to make Config.Remember less
}

// Counts returns the present counts.
func (l *Lab) Counts() Counts {
	l.firsts.mu.Lock()
	defer l.firsts.mu.Unlock()
	return Counts{len(l.firsts.queue), l.firsts.forgotten}
}
