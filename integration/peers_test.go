//go:build linux

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/integration/peers"
	"github.com/yesterday-time/yesterday/internal/cpus"
)

// What is written into docs is of at least so many rounds, and of so long at saturation in each.
const (
	fewestRounds  = 5
	shortestRound = 2 * time.Second
)

// The load is the same for all.
const (
	peerSlices  = 4
	peerWindow  = 128  // requests outstanding at saturation: two full batches, and half of what a receive buffer of the usual size holds
	peerSources = 1024 // addresses
)

// TestPeers measures this project's server and others in turn, YESTERDAY_PEERS rounds of it, prints what it found, and
// writes docs/performance.md and its picture, `make peers`. A bar that does not hold is told, and is no failure: the run is good.
//
// With fewer rounds than five, or with YESTERDAY_PEERS_SECONDS, how long a server is saturated, below two, for those
// who work on it, the page is written into a temporary folder.
func TestPeers(t *testing.T) {
	load, ok := peerLoad(t)
	if !ok {
		t.Skip("takes ten minutes of a machine with nothing else to do: make peers")
	}
	needRoot(t)
	need(t, "taskset", "util-linux")
	c := pickCores(t)
	dir := t.TempDir()
	run := &peers.Run{Began: time.Now(), Load: load, Machine: machine(t)}
	servers := findPeers(t, dir)
	for _, p := range servers {
		run.Servers = append(run.Servers, p.Server)
		if p.Absent != "" {
			t.Logf("not measured: %s: %s", p.Name, p.Absent)
		}
	}
	m := &measuring{t: t, run: run, dir: dir}
	if perf, err := findPerf(t.Context(), c.server, dir); err == nil {
		m.perf = perf
	} else {
		run.Remarks = append(run.Remarks, fmt.Sprintf("Where the time goes was not measured: %v.", err))
	}
	routes := []*route{vethRoute(t, c), loopbackRoute(t, c)}
	var groups []group
	for _, r := range routes {
		for _, service := range []string{peers.NTP, peers.Time, peers.Echo} {
			g := group{route: r, service: service}
			for _, p := range servers {
				if p.Absent == "" && slices.Contains(p.Answers, service) {
					g.peers = append(g.peers, p)
				}
			}
			groups = append(groups, g)
		}
	}
	for round := range load.Rounds {
		for _, g := range rotated(groups, round) {
			m.compare(round+1, g)
		}
		m.rest(round+1, routes[1], servers[0])
	}
	run.Took = time.Since(run.Began)
	writePeers(t, run)
}

// A group is what is compared: the servers of one service over one path.
type group struct {
	route   *route
	service string
	peers   []*peer
}

// rotated begins a list at another place.
func rotated[T any](list []T, by int) []T {
	if len(list) == 0 {
		return nil
	}
	by %= len(list)
	return slices.Concat(list[by:], list[:by])
}

// peerLoad reads from the environment how long to measure; ok is false where nothing is to be.
func peerLoad(t *testing.T) (load peers.Load, ok bool) {
	text := os.Getenv("YESTERDAY_PEERS")
	if text == "" {
		return load, false
	}
	rounds, err := strconv.Atoi(text)
	if err != nil || rounds < 1 {
		t.Fatalf("YESTERDAY_PEERS=%q, want a number of rounds", text)
	}
	saturated := shortestRound
	if text := os.Getenv("YESTERDAY_PEERS_SECONDS"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || seconds < 0.05 || seconds > 60 {
			t.Fatalf("YESTERDAY_PEERS_SECONDS=%q, want seconds at saturation, 0.05 to 60", text)
		}
		saturated = time.Duration(seconds * float64(time.Second))
	}
	return peers.Load{
		Rounds: rounds, Saturated: saturated, Slices: peerSlices, Single: saturated / 2, Resting: saturated * 3 / 2, Window: peerWindow, Sources: peerSources,
	}, true
}

// measuring is a run under way.
type measuring struct {
	t    *testing.T
	run  *peers.Run
	dir  string
	perf string // perf(1); empty where it can't be used
}

// fail tells that something could not be measured; the run goes on.
func (m *measuring) fail(round int, r *route, p *peer, service string, err error) {
	m.t.Errorf("round %d, %s, %s, %s: %v", round, r.name, service, p.Name, err)
	what, _, _ := strings.Cut(err.Error(), "\n")
	m.run.Remarks = append(m.run.Remarks, fmt.Sprintf("Round %d, %s, %s over %s, failed: %s.", round, p.Name, service, r.name, what))
}

// A contender is a peer that is being measured.
type contender struct {
	*peer
	*serving
	sample peers.Sample
	failed bool

	sent, answered       uint64  // at saturation
	took, worked, lasted float64 // seconds: until the last reply, of the server's core, until the last was given up
	limits               [peerSlices]string
}

// compare measures the servers of a group. They all run, and are put under load in turn, a slice at a time: what is compared is
// of nearly the same moment.
func (m *measuring) compare(round int, g group) {
	ctx, load := m.t.Context(), m.run.Load
	var all []*contender
	for _, p := range g.peers {
		s, err := g.route.serve(ctx, p, g.service, m.dir)
		if err != nil {
			m.fail(round, g.route, p, g.service, err)
			continue
		}
		defer s.stop()
		all = append(all, &contender{peer: p, serving: s, sample: peers.Sample{Round: round, Path: g.route.name, Service: g.service, Server: p.Name}})
	}
	each := func(turn int, do func(c *contender) error) {
		for _, c := range rotated(all, round+turn) {
			if c.failed {
				continue
			}
			if err := do(c); err != nil {
				m.fail(round, g.route, c.peer, g.service, err)
				c.failed = true
			}
		}
	}
	each(0, func(c *contender) error { // to warm up
		_, err := g.route.bench(ctx, c.peer, g.service, load.Window, load.Saturated/8)
		return err
	})
	for slice := range peerSlices {
		each(slice, func(c *contender) error { return c.saturate(ctx, g, load, slice) })
	}
	each(0, func(c *contender) error {
		single, err := g.route.bench(ctx, c.peer, g.service, 1, load.Single)
		c.sample.Median, c.sample.P99, c.sample.Held = single.Latency.median(), single.Latency.p99(), single.Held
		return err
	})
	if m.perf != "" {
		each(0, func(c *contender) (err error) {
			c.sample.Parts, err = g.route.profile(ctx, m.perf, c.peer, g.service, load, m.dir)
			return err
		})
	}
	for _, c := range all {
		v := c.saturated()
		if v.Rate > 0 {
			m.run.Samples = append(m.run.Samples, v)
		}
		m.t.Logf("round %d  %-8s %-4s  %-20s %8.0f/s  %8.0f/CPU-s  busy %3.0f %%  lost %.3f %%  p50 %-8v p99 %-8v %s", round, v.Path, v.Service, v.Server,
			v.Rate, v.PerCPU, 100*v.Busy, 100*v.Lost, v.Median, v.P99, v.Limit)
	}
}

// saturate takes one slice of a contender's figures at saturation.
func (c *contender) saturate(ctx context.Context, g group, load peers.Load, slice int) error {
	before, err := busy(g.route.cores.server)
	if err != nil {
		return err
	}
	full, err := g.route.bench(ctx, c.peer, g.service, load.Window, load.Saturated/peerSlices)
	if err != nil {
		return err
	}
	after, err := busy(g.route.cores.server)
	if err != nil {
		return err
	}
	// Shared lanes are no bottleneck: no server here sends replies twice, which alone would hide losses.
	full.Limits = slices.DeleteFunc(full.Limits, func(limit string) bool { return limit == "shared" })
	c.limits[slice] = strings.Join(full.Limits, ", ")
	c.sent, c.answered = c.sent+full.Sent, c.answered+full.Answered
	c.took += float64(full.Answered) / full.Rate
	c.worked, c.lasted = c.worked+(after-before).Seconds(), c.lasted+full.Seconds
	return nil
}

// saturated is the sample with the figures of all slices.
func (c *contender) saturated() peers.Sample {
	v := c.sample
	if c.failed || c.took <= 0 {
		return v
	}
	v.Rate = float64(c.answered) / c.took
	v.Lost = float64(c.sent-c.answered) / float64(c.sent)
	if c.worked > 0 {
		v.PerCPU, v.Busy = float64(c.answered)/c.worked, min(c.worked/c.lasted, 1)
	}
	limited := slices.DeleteFunc(c.limits[:], func(l string) bool { return l == "" })
	if 2*len(limited) > peerSlices {
		v.Limit = limited[0]
	}
	return v
}

// rest measures what our server takes when nobody asks: memory before and after it had something to do, CPU after.
func (m *measuring) rest(round int, r *route, ours *peer) {
	ctx := m.t.Context()
	s, err := r.serve(ctx, ours, peers.NTP, m.dir)
	if err != nil {
		m.fail(round, r, ours, "at rest", err)
		return
	}
	defer s.stop()
	v := peers.Rest{Round: round}
	err = func() (err error) {
		pid := s.cmd.Process.Pid
		v.Before = uint64(resident(m.t, pid))
		for _, service := range ours.Answers {
			if _, err = r.bench(ctx, ours, service, m.run.Load.Window, m.run.Load.Saturated/8); err != nil {
				return err
			}
		}
		time.Sleep(time.Second / 2) // the load's last work is done
		before, err := cpus.Ran(pid)
		if err != nil {
			return err
		}
		begun := time.Now()
		time.Sleep(m.run.Load.Resting)
		after, err := cpus.Ran(pid)
		if err != nil {
			return err
		}
		v.CPU = (after - before).Seconds() / time.Since(begun).Seconds()
		v.After = uint64(resident(m.t, pid))
		return nil
	}()
	if err != nil {
		m.fail(round, r, ours, "at rest", err)
		return
	}
	m.run.Rests = append(m.run.Rests, v)
	m.t.Logf("round %d  at rest: CPU %.3f %%, resident %.1f MiB, %.1f MiB after load", round, 100*v.CPU, float64(v.Before)/(1<<20), float64(v.After)/(1<<20))
}

// writePeers prints the page and writes it.
func writePeers(t *testing.T, run *peers.Run) {
	t.Helper()
	dir := filepath.Join("..", "docs")
	if run.Load.Rounds < fewestRounds || run.Load.Saturated < shortestRound || t.Failed() {
		var err error
		if dir, err = os.MkdirTemp("", "peers-"); err != nil {
			t.Fatal(err)
		}
		t.Logf("too short a run for docs, or a failed one: what it found is in %s", dir)
	}
	old, err := os.ReadFile(filepath.Join(dir, "performance.md"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	page := run.Page("performance.svg", string(old))
	for name, text := range map[string]string{"performance.md": page, "performance.svg": run.Plot()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println(page)
	for _, b := range run.Bars() {
		fmt.Println(b)
	}
}
