//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
			for _, p := range rotated(g.peers, round) {
				m.sample(round+1, g.route, p, g.service)
			}
		}
		m.rest(round+1, routes[1], servers[0])
	}
	run.Took = time.Since(run.Began)
	writePeers(t, run)
}

// A group is measured without a break, so that what is compared is close in time.
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
		Rounds: rounds, Saturated: saturated, Single: saturated / 2, Resting: saturated * 3 / 2, Window: peerWindow, Sources: peerSources,
	}, true
}

// cores is which core is the server's, and which the generator's.
type cores struct{ server, generator int }

// pickCores takes the last two that this process may use: the first has interrupts to serve.
func pickCores(t *testing.T) cores {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	var list []int
	for i := range 1024 {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	if len(list) < 2 {
		t.Fatalf("cores %v: want two, for the server and for the generator", list)
	}
	return cores{server: list[len(list)-1], generator: list[len(list)-2]}
}

// A route is a way from the generator to the server.
type route struct {
	name           string
	server, client *netns
	addr           netip.Addr // the server's
	sources        string     // the generator's, as bench takes them
	ours           []string   // arguments of `yesterday serve`
	cores          cores
}

// vethRoute joins two namespaces. What the server is sent is received on its own core, as by a machine of its own; left alone
// the kernel would do that work on the generator's. What the server sends is received where it was sent.
func vethRoute(t *testing.T, c cores) *route {
	r := &route{name: peers.Veth, server: newNetns(t), client: newNetns(t), cores: c,
		addr: netip.MustParseAddr("10.77.0.1"), sources: "10.77.4.0/22"}
	r.server.link(t, "server", r.client, "client")
	r.server.addr(t, "server", "10.77.0.1/24")
	r.client.addr(t, "client", "10.77.0.2/24")
	r.server.ip(t, "link set server up")
	r.client.ip(t, "link set client up")
	// One neighbour has all of them: a table of 1,024 neighbours is as much as a kernel keeps by default.
	r.client.ip(t, "route add local "+r.sources+" dev lo")
	r.server.ip(t, "route add "+r.sources+" via 10.77.0.2")
	receiveOn(t, r.server, "server", c.server)
	return r
}

// loopbackRoute is the loopback of a namespace. Our server limits it as it does others, above the load.
func loopbackRoute(t *testing.T, c cores) *route {
	ns := newNetns(t)
	return &route{name: peers.Loopback, server: ns, client: ns, cores: c, addr: netip.MustParseAddr("127.0.0.1"), sources: "127.1.0.0/22",
		ours: []string{"--limit", "1000000", "--limit-loopback"}}
}

// receiveOn has what comes in on a link processed on a core. /sys shows the links of the namespace in which it was mounted.
func receiveOn(t *testing.T, ns *netns, link string, core int) {
	t.Helper()
	const script = `mount -t sysfs none /sys && echo "$1" >"/sys/class/net/$2/queues/rx-0/rps_cpus"`
	ns.mustRun(t, "", need(t, "unshare", "util-linux"), "--mount", "sh", "-c", script, "sh", cpuMask(core), link)
}

// cpuMask is a core as the kernel takes masks: in hexadecimal, a comma between each 32 bits.
func cpuMask(core int) string {
	return fmt.Sprintf("%x", 1<<(core%32)) + strings.Repeat(",00000000", core/32)
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

// sample measures one server for one service over one path.
func (m *measuring) sample(round int, r *route, p *peer, service string) {
	ctx := m.t.Context()
	load := m.run.Load
	s, err := r.serve(ctx, p, service, m.dir)
	if err != nil {
		m.fail(round, r, p, service, err)
		return
	}
	defer s.stop()
	v := peers.Sample{Round: round, Path: r.name, Service: service, Server: p.Name}
	err = func() error {
		if _, err := r.bench(ctx, p, service, load.Window, load.Saturated/8); err != nil { // to warm up
			return err
		}
		before, err := busy(r.cores.server)
		if err != nil {
			return err
		}
		full, err := r.bench(ctx, p, service, load.Window, load.Saturated)
		if err != nil {
			return err
		}
		after, err := busy(r.cores.server)
		if err != nil {
			return err
		}
		// Shared lanes are no bottleneck: no server here sends replies twice, which alone would hide losses.
		full.Limits = slices.DeleteFunc(full.Limits, func(limit string) bool { return limit == "shared" })
		v.Rate, v.Limit = full.Rate, strings.Join(full.Limits, ", ")
		v.Lost = float64(full.Sent-full.Answered) / float64(full.Sent)
		if worked := (after - before).Seconds(); worked > 0 {
			v.PerCPU, v.Busy = float64(full.Answered)/worked, min(worked/full.Seconds, 1)
		}
		single, err := r.bench(ctx, p, service, 1, load.Single)
		if err != nil {
			return err
		}
		v.Median, v.P99 = single.Latency.median(), single.Latency.p99()
		if service == peers.NTP && m.perf != "" {
			v.Parts, err = r.profile(ctx, m.perf, p, service, load, m.dir)
		}
		return err
	}()
	if err != nil {
		m.fail(round, r, p, service, err)
	}
	if v.Rate > 0 {
		m.run.Samples = append(m.run.Samples, v)
	}
	m.t.Logf("round %d  %-8s %-4s  %-20s %8.0f/s  %8.0f/CPU-s  busy %3.0f %%  lost %.3f %%  p50 %-8v p99 %-8v %s", round, r.name, service, p.Name,
		v.Rate, v.PerCPU, 100*v.Busy, 100*v.Lost, v.Median, v.P99, v.Limit)
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

// A benched is what bench says in JSON, as far as it is looked at.
type benched struct {
	Sent, Answered, Wrong uint64
	Seconds               float64
	Rate                  float64 `json:"answered_per_second"`
	Limits                []string
	Latency               roundTrips
}

// roundTrips are in microseconds.
type roundTrips struct {
	Median float64 `json:"median_us"`
	P99    float64 `json:"p99_us"`
}

func (r roundTrips) median() time.Duration { return time.Duration(r.Median * 1e3) }
func (r roundTrips) p99() time.Duration    { return time.Duration(r.P99 * 1e3) }

// bench asks a peer as fast as it answers, with window requests outstanding, from the generator's core.
func (r *route) bench(ctx context.Context, p *peer, service string, window int, duration time.Duration) (b benched, err error) {
	return r.benchUnder(ctx, nil, p, service, window, duration)
}

// benchUnder is bench, run by another program with its arguments.
func (r *route) benchUnder(ctx context.Context, by []string, p *peer, service string, window int, duration time.Duration) (b benched, err error) {
	ctx, cancel := context.WithTimeout(ctx, duration+patience)
	defer cancel()
	args := append(by, "taskset", "-c", strconv.Itoa(r.cores.generator), program, "bench", "--json", "--service", service, "--max", "--window", strconv.Itoa(window),
		"--duration", duration.String(), "--timeout", "250ms", "--sources", r.sources)
	if service == peers.Echo {
		args = append(args, "--size", strconv.Itoa(peers.EchoSize))
	}
	args = append(args, netip.AddrPortFrom(r.addr, p.ports[service]).String())
	out, err := r.client.run(ctx, "", args[0], args[1:]...)
	out = strings.TrimSpace(out)
	if err != nil {
		return b, fmt.Errorf("bench: %w: %s", err, out)
	}
	if err := json.Unmarshal([]byte(out[strings.LastIndexByte(out, '\n')+1:]), &b); err != nil {
		return b, fmt.Errorf("bench printed %q: %w", out, err)
	}
	if b.Answered == 0 || b.Wrong > 0 {
		return b, fmt.Errorf("bench: %d good answers and %d wrong ones", b.Answered, b.Wrong)
	}
	return b, nil
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
