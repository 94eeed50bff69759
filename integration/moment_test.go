//go:build linux

package integration

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

// A moment is a change of a clock that real clients live through, asked before it, in the second after it, and later. This
// takes the clock's own time.
type moment struct {
	text    string
	kind    clock.ChangeKind
	results *table // its columns are the clients and the three phases
}

// tries is how often a moment is lived through anew for clients that were held up when it came.
const tries = 3

// live has the clients ask in each phase, and sets their cells by what cell says.
func (m *moment) live(t *testing.T, clients []*realClient, cell func(*realClient, verdict, observation) string) {
	t.Helper()
	type phases [3]string
	missing := make(map[*realClient]phases)
	for _, c := range clients {
		missing[c] = phases{}
	}
	var refused sync.Map // clients that accept no answer, which is asked again: it might not have come
	for try := 1; len(missing) > 0; try++ {
		if try > tries {
			t.Fatalf("not in all phases after %d tries: %v", tries, missing)
		}
		l := newLab(t, m.text)
		at, ok := m.instant(l)
		if !ok {
			continue // the server took so long to start
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i, c := range clients {
			mu.Lock()
			found, ok := missing[c]
			mu.Unlock()
			if !ok {
				continue
			}
			wg.Go(func() {
				m.follow(t, l, c, i, at, func(phase int, v verdict, o observation) {
					if o.refusal != nil {
						if _, before := refused.LoadOrStore([2]any{c, phase}, true); !before {
							return
						}
					}
					found[phase] = cell(c, v, o)
				})
				mu.Lock()
				defer mu.Unlock()
				if missing[c] = found; !slices.Contains(found[:], "") {
					for phase, text := range found {
						m.results.set(c.name, m.results.columns[1+phase], text)
					}
					delete(missing, c)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
	}
}

// instant is when the moment comes in the lab, real time.
func (m *moment) instant(l *lab) (time.Time, bool) {
	for change := range clock.Changes(l.clock, time.Now(), time.Now().Add(time.Minute)) {
		if change.Kind == m.kind {
			return change.Real, true
		}
	}
	return time.Time{}, false
}

// follow asks by one client at once, when the moment comes, and when the second is over. It tells of what it is sure of, by the phase
// in which the server was asked.
func (m *moment) follow(t *testing.T, l *lab, c *realClient, i int, at time.Time, tell func(phase int, v verdict, o observation)) {
	starts := [...]time.Time{{}, at, at.Add(time.Second)}
	phaseOf := func(real time.Time) int {
		phase := 0
		for phase < 2 && !real.Before(starts[phase+1]) {
			phase++
		}
		return phase
	}
	for next := 0; next < len(starts); {
		due := starts[next]
		if next == 2 {
			due = due.Add(200 * time.Millisecond) // when the server tells of more again
		}
		if !wait(t.Context(), due) {
			return
		}
		o, err := l.observe(t.Context(), c, own(i))
		if err != nil {
			t.Log(err) // beyond what the server tells of in a second, or held up
			return
		}
		phase := phaseOf(o.exchanges[0].Received)
		if last := o.exchanges[len(o.exchanges)-1]; phaseOf(last.Received) == phase {
			v, err := l.judge(c, o)
			if err == nil && v.sure {
				err = l.leapShown(c, o)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if v.sure || o.refusal != nil {
				tell(phase, v, o)
				next = phase + 1
				continue
			}
		}
		next = max(next, phaseOf(time.Now())) // once more in this phase, if it lasts
		if time.Since(at) > patience {
			return
		}
	}
}

// wait waits for a real instant.
func wait(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watch has all clients live through the moment, some at a time, as the server tells of 20 exchanges a second.
func (m *moment) watch(t *testing.T, cell func(*realClient, verdict, observation) string, check func(t *testing.T, c *realClient, phase int, text string)) {
	t.Run("clients", func(t *testing.T) {
		var all []*realClient
		for i := range realClients {
			c := &realClients[i]
			m.results.rows = append(m.results.rows, c.name)
			if err := c.here(); err != nil {
				t.Run(c.name, func(t *testing.T) { missing(t, "%v", err) })
				continue
			}
			all = append(all, c)
		}
		for group := range slices.Chunk(all, 6) {
			t.Run(group[0].name, func(t *testing.T) {
				t.Parallel()
				m.live(t, group, cell)
			})
		}
	})
	for i := range realClients {
		c := &realClients[i]
		for phase, column := range m.results.columns[1:] {
			if text, ok := m.results.cells[[2]string{c.name, column}]; ok {
				check(t, c, phase, text)
			}
		}
	}
	if !t.Failed() {
		m.results.settle(t)
	}
}

// NTP's seconds begin anew in 2036, and RFC 868's with them: all clients are right before, and it is known which still are
// after.
func TestRollover(t *testing.T) {
	t.Parallel()
	m := moment{text: "ntp-rollover", kind: clock.TimeRollover, results: &table{
		name: "rollover", columns: []string{"client", "before", "in the first second", "later"},
	}}
	m.watch(t,
		func(_ *realClient, v verdict, _ observation) string { return v.text },
		func(t *testing.T, c *realClient, phase int, text string) {
			if text != reads && (phase == 0 || c.service != "ntp/udp") {
				t.Errorf("%s, phase %d: %s", c.name, phase, text)
			}
		})
}

// A leap second is announced, comes, and is over, for all of them.
func TestLeapSecond(t *testing.T) {
	t.Parallel()
	m := moment{text: "leap-second", kind: clock.LeapInserted, results: &table{
		name: "leap second", columns: []string{"client", "before", "in the second 23:59:59", "later"},
	}}
	m.watch(t,
		func(c *realClient, v verdict, o observation) string {
			if c.leap && o.refusal == nil {
				return v.text + " LI " + map[string]string{"none": "0", "insert": "1", "delete": "2", "unknown": "3"}[o.leap]
			}
			return v.text
		},
		func(t *testing.T, c *realClient, phase int, text string) {
			want := reads
			if c.leap {
				want += [...]string{" LI 1", " LI 1", " LI 0"}[phase]
			}
			if text != want {
				t.Errorf("%s, phase %d: %q, want %q", c.name, phase, text, want)
			}
		})
}
