//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/integration/peers"
)

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

// A benched is what bench says in JSON, as far as it is looked at.
type benched struct {
	Sent, Answered, Wrong uint64
	Seconds               float64
	Rate                  float64 `json:"answered_per_second"`
	Held                  float64 `json:"generator_held"`
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
