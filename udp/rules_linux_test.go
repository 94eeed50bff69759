//go:build !yesterday_portable

package udp

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/guard"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
)

// BenchmarkRules measures what rules cost: full batches of requests, received, answered and sent over loopback, in turn by
// a plain shard and by one with 100,000 rules whose Records are watched, from 1,024 addresses by turns, half of which have a
// rule of their own. "rules/plain" is the median of the ratios of blocks of 64 turns each; ns/op is a turn of both.
func BenchmarkRules(b *testing.B) {
	const rules, block = 100_000, 64
	host := new(guard.Host)
	if err := host.Refresh(); err != nil {
		b.Fatal(err)
	}
	allow, err := guard.ParseAllow("private")
	if err != nil {
		b.Fatal(err)
	}
	guarded := func(next exchange.Handler) exchange.Handler {
		g := guard.Guard{Host: host, Allow: allow, Loops: guard.NewLoops(), Limit: guard.NewLimiter(1_000_000)}
		g.Limit.Loopback = true
		return g.Middleware(next)
	}
	yesterday := clock.Offset(-24 * time.Hour)
	answer := service.TimeHandler{}
	plain := newTurns(b, nil, guarded(exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		r.Clock = yesterday
		return answer.Serve(p, r)
	})))

	l := new(lab.Lab)
	if err := l.Set(manyRules(rules), time.Now()); err != nil {
		b.Fatal(err)
	}
	tap := exchange.NewTap()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go tap.Run(ctx, func([]exchange.Record, uint64) {})
	ruled := newTurns(b, tap.Ring(), guarded(l.Middleware(fault.NewInjector(service.Time, false, 1, 0))(answer)))

	var ratios []float64
	var spent [2]time.Duration
	turns := 0
	for b.Loop() {
		spent[0] += plain.turn(b)
		spent[1] += ruled.turn(b)
		if turns++; turns%block == 0 {
			ratios = append(ratios, float64(spent[1])/float64(spent[0]))
			spent = [2]time.Duration{}
		}
	}
	if len(ratios) > 0 {
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "rules/plain")
	}
}

// askers is from how many addresses a benchmark asks.
const askers = 1024

// askerAt is the i-th of them.
func askerAt(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}) }

// manyRules gives as many prefixes a clock each, of a hundred; every other asker is among them.
func manyRules(n int) lab.Config {
	c := lab.Config{Clocks: make(map[string]clock.Recipe)}
	for i := range 100 {
		c.Clocks[fmt.Sprint(i)] = clock.MustParse(fmt.Sprintf("-%dh x2", i+1))
	}
	random := rand.New(rand.NewPCG(1, 1))
	seen := make(map[netip.Prefix]bool)
	add := func(p netip.Prefix) {
		if p = p.Masked(); !seen[p] {
			seen[p] = true
			c.Rules = append(c.Rules, lab.Rule{From: p, Clock: fmt.Sprint(len(c.Rules) % 100)})
		}
	}
	for i := 0; i < askers; i += 2 {
		add(netip.PrefixFrom(askerAt(i), 32))
	}
	for len(c.Rules) < n {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], random.Uint32())
		add(netip.PrefixFrom(netip.AddrFrom4(a), 12+random.IntN(21)))
	}
	return c
}

// A turns is a shard, and who ask it, a batch of them at a time.
type turns struct {
	shard  *shard
	askers []*net.UDPConn
	next   int
}

func newTurns(b *testing.B, ring *exchange.Ring, h exchange.Handler) *turns {
	l, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	t := &turns{shard: newShard(l, 0, "time", h, ring)}
	for i := range askers {
		asker, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(askerAt(i), 0)), net.UDPAddrFromAddrPort(l.Addr()))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { asker.Close() })
		t.askers = append(t.askers, asker)
	}
	return t
}

// turn has the shard answer a full batch, and returns how long that took.
func (t *turns) turn(b *testing.B) time.Duration {
	batch := t.askers[t.next : t.next+batchSize]
	t.next = (t.next + batchSize) % len(t.askers)
	for _, asker := range batch {
		if _, err := asker.Write(nil); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	n, err := t.shard.turn()
	took := time.Since(start)
	if n != batchSize || err != nil {
		b.Fatalf("a turn of %d, %v, want %d", n, err, batchSize)
	}
	var reply [64]byte
	for _, asker := range batch {
		if n, err := asker.Read(reply[:]); n != 4 || err != nil {
			b.Fatalf("a reply of %d bytes, %v", n, err)
		}
	}
	return took
}
