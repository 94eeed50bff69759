package fault

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// within tells whether a count of n independent trials, each with that probability, is one that chance gives: at most five
// standard deviations, and one, from the mean. It is beyond that once in more than a million times; the seeds are fixed.
func within(hits, n int, probability float64) bool {
	mean := float64(n) * probability
	return math.Abs(float64(hits)-mean) <= 1+5*math.Sqrt(mean*(1-probability))
}

// How often a fault happens is what its text says.
func TestRates(t *testing.T) {
	const n = 200_000
	rates := map[string]float64{
		"loss 0%": 0, "loss 0.0001%": 1e-6, "loss 0.5%": 0.005, "loss 50%": 0.5, "loss 99.5%": 0.995, "loss 99.9999%": 0.999999, "loss": 1,
	}
	for _, text := range []string{"loss", "silence", "delay 1ms", "duplicate", "corrupt", "length 3", "kiss RATE", "wrong-origin"} {
		rates[text+" 10%"] = 0.1
	}
	for text, want := range rates {
		l := link{service.NTP, false}
		faults, r := parsed(t, text), l.request()
		before := l.answer(t, r)
		in := NewInjector(l.kind, l.stream, 7, 3)
		hits := 0
		var p exchange.Reply
		for range n {
			p = exchange.Reply{Data: append(p.Data[:0], before.Data...), Told: before.Told}
			if in.Inject(faults, &p, r); p.Notes != 0 {
				hits++
			}
		}
		if !within(hits, n, want) || want == 0 && hits != 0 || want == 1 && hits != n {
			t.Errorf("%s: %d of %d", text, hits, n)
		}
	}
}

// The first request of each of many shards, and of each of many seeds, has the same chance as any other.
func TestRatesAtFirst(t *testing.T) {
	const n = 20_000
	faults := parsed(t, "loss 10%")
	var shards, seeds int
	for i := range uint64(n) {
		if NewInjector(service.Time, false, 5, i).Inject(faults, new(exchange.Reply), new(exchange.Request)) == exchange.Fault {
			shards++
		}
		if NewInjector(service.Time, false, i, 5).Inject(faults, new(exchange.Reply), new(exchange.Request)) == exchange.Fault {
			seeds++
		}
	}
	if !within(shards, n, 0.1) || !within(seeds, n, 0.1) {
		t.Errorf("%d of %d shards and %d of as many seeds", shards, n, seeds)
	}
}

// Two faults happen apart from each other.
func TestIndependent(t *testing.T) {
	const n = 100_000
	faults := parsed(t, "delay 1ms 30%", "duplicate 20%")
	in := NewInjector(service.Time, false, 1, 2)
	both := 0
	for range n {
		var p exchange.Reply
		if in.Inject(faults, &p, new(exchange.Request)); p.Copies == 1 && p.Delay > 0 {
			both++
		}
	}
	if !within(both, n, 0.3*0.2) {
		t.Errorf("both %d times of %d", both, n)
	}
}

func TestDelayRange(t *testing.T) {
	const n, parts = 100_000, 10
	for text, ends := range map[string][2]time.Duration{
		"delay 50ms..90ms": {50 * time.Millisecond, 90 * time.Millisecond},
		"delay 0s..1h":     {0, time.Hour},
		"delay 1ns..10ns":  {1, 10}, // each part is one of its values, the ends too
	} {
		faults := parsed(t, text)
		in := NewInjector(service.Echo, false, 2, 1)
		var count [parts]int
		for range n {
			var p exchange.Reply
			in.Inject(faults, &p, new(exchange.Request))
			if p.Delay < ends[0] || p.Delay > ends[1] || p.Notes != exchange.FaultDelay {
				t.Fatalf("%s: %v, notes %v", text, p.Delay, p.Notes)
			}
			count[(p.Delay-ends[0])*parts/(ends[1]-ends[0]+1)]++
		}
		for i, hits := range count {
			if !within(hits, n, 1.0/parts) {
				t.Errorf("%s: part %d of %d, %d times of %d", text, i+1, parts, hits, n)
			}
		}
	}
}

// Exactly one bit is wrong, each as often, and the request stays as it was.
func TestCorrupt(t *testing.T) {
	const n = 20_000
	faults := parsed(t, "corrupt")
	for _, l := range links {
		r := l.request()
		asked := bytes.Clone(r.Data)
		before := keep(l.answer(t, r))
		in := NewInjector(l.kind, l.stream, 3, 1)
		count := make([]int, 8*len(before.Data))
		var p exchange.Reply
		for range n {
			p = exchange.Reply{Data: append(p.Data[:0], before.Data...), Told: before.Told}
			in.Inject(faults, &p, r)
			if len(count) == 0 {
				if p.Notes != 0 || len(p.Data) != 0 {
					t.Fatalf("%v: nothing was corrupted: %s", l, shown(p))
				}
				continue
			}
			wrong := 0
			for i, b := range p.Data {
				if d := b ^ before.Data[i]; d != 0 {
					wrong += bits.OnesCount8(d)
					count[8*i+bits.TrailingZeros8(d)]++
				}
			}
			if wrong != 1 || len(p.Data) != len(before.Data) || p.Notes != exchange.FaultCorrupt || !p.Told.Equal(before.Told) {
				t.Fatalf("%v: %d bits are wrong: %s", l, wrong, shown(p))
			}
		}
		for i, hits := range count {
			if !within(hits, n, 1/float64(len(count))) {
				t.Errorf("%v: bit %d was wrong %d times of %d", l, i, hits, n)
			}
		}
		if !bytes.Equal(r.Data, asked) {
			t.Errorf("%v: the request was changed", l)
		}
	}
}

// A wrong origin is never the right one, not even where that is what would have been drawn, and nothing else changes.
func TestWrongOrigin(t *testing.T) {
	faults := parsed(t, "wrong-origin")
	l := link{service.NTP, false}
	seen := make(map[uint64]bool)
	for seed := range uint64(1000) {
		r := l.request()
		drawn := NewInjector(l.kind, false, seed, 1).rand.Uint64()
		if seed%2 == 0 {
			binary.BigEndian.PutUint64(r.Data[40:], drawn)
		}
		right := binary.BigEndian.Uint64(r.Data[40:])
		p := l.answer(t, r)
		want := keep(p)
		NewInjector(l.kind, false, seed, 1).Inject(faults, &p, r)
		got := binary.BigEndian.Uint64(p.Data[24:])
		if got == right || (seed%2 == 1) != (got == drawn) || seen[got] {
			t.Fatalf("seed %d: origin %x, and the asker's transmit %x", seed, got, right)
		}
		seen[got] = true
		binary.BigEndian.PutUint64(want.Data[24:], got)
		want.Notes = exchange.FaultWrongOrigin
		if !same(p, want) {
			t.Fatalf("%s, want %s", shown(p), shown(want))
		}
	}
}

// randomText is any fault's text.
func randomText(r *rand.Rand) string {
	n := r.IntN(8)
	texts := []string{
		"loss", "silence", "duplicate", "corrupt", "wrong-origin", "zero-transmit", "unsynchronised",
		fmt.Sprintf("delay %dms..%dms", n, n+1+r.IntN(50)), fmt.Sprintf("delay %dus", 1+n), "delay 1h",
		fmt.Sprintf("length %d", r.IntN(MaxLength+1)), fmt.Sprintf("length %d", r.IntN(60)),
		"kiss " + string(kisses[n%len(kisses)][:]), fmt.Sprintf("stratum %d", r.IntN(256)), fmt.Sprintf("leap %v", ntp.Leap(n%4)),
		fmt.Sprintf("mode %d", n), fmt.Sprintf("version %d", n),
	}
	text := texts[r.IntN(len(texts))]
	if r.IntN(2) == 0 {
		text += " " + chance(r.IntN(int(always)+1)).String()
	}
	return text
}

// What holds for any faults on any reply; and the same seed does the same again.
func TestAnyFaults(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 3000 {
		var faults []Fault
		var notes exchange.Notes
		copies, keeps := 0, false
		l := links[r.IntN(len(links))]
		for range r.IntN(6) {
			f := parsed(t, randomText(r))[0]
			faults = append(faults, f)
			if f.Applies(l.kind, l.stream) {
				notes |= f.Note()
			}
			switch f.kind {
			case duplicate:
				copies++
			case loss, silence:
				keeps = true
			}
		}
		seed, shard := r.Uint64(), r.Uint64()
		in, twin := NewInjector(l.kind, l.stream, seed, shard), NewInjector(l.kind, l.stream, seed, shard)
		for range 5 {
			q := l.request()
			if l.kind == service.Echo && !l.stream {
				q.Data = make([]byte, r.IntN(3000))
			}
			asked := bytes.Clone(q.Data)
			p, again := l.answer(t, q), l.answer(t, q)
			v := in.Inject(faults, &p, q)
			if w := twin.Inject(faults, &again, q); v != w || !same(p, again) {
				t.Fatalf("%v on %v: %v, %s, and then %v, %s", faults, l, v, shown(p), w, shown(again))
			}
			switch {
			case v != exchange.Answer && v != exchange.Fault,
				v == exchange.Fault && (!keeps || p.Notes != exchange.FaultLoss && p.Notes != exchange.FaultSilence),
				v == exchange.Answer && p.Notes&(exchange.FaultLoss|exchange.FaultSilence) != 0,
				p.Notes&^notes != 0,
				p.Copies < 0 || p.Copies > copies || (p.Copies > 0) != (p.Notes&exchange.FaultDuplicate != 0),
				p.Delay < 0 || p.Delay > MaxDelay || p.Delay > 0 && p.Notes&exchange.FaultDelay == 0,
				len(p.Data) > max(48, len(q.Data), MaxLength),
				!bytes.Equal(q.Data, asked):
				t.Fatalf("%v on %v: %v, %s", faults, l, v, shown(p))
			}
		}
	}
}

// Other seeds and other shards fail otherwise.
func TestSeedsDiffer(t *testing.T) {
	faults := parsed(t, "loss 50%")
	fates := make(map[string]bool)
	for seed := range uint64(10) {
		for shard := range uint64(10) {
			in := NewInjector(service.Time, false, seed, shard)
			var fate []byte
			for range 64 {
				fate = append(fate, byte('0'+in.Inject(faults, new(exchange.Reply), new(exchange.Request))))
			}
			if fates[string(fate)] {
				t.Errorf("seed %d, shard %d fail as others do", seed, shard)
			}
			fates[string(fate)] = true
		}
	}
}

// The zero Injector is one like others.
func TestZeroInjector(t *testing.T) {
	faults := parsed(t, "loss 50%", "delay 0s..1h")
	var zero Injector
	in := NewInjector(service.Time, false, 0, 0)
	for i := range 100 {
		var p, o exchange.Reply
		v, w := zero.Inject(faults, &p, new(exchange.Request)), in.Inject(faults, &o, new(exchange.Request))
		if v != w || !same(p, o) {
			t.Fatalf("reply %d: %v, %s, want %v, %s", i, v, shown(p), w, shown(o))
		}
	}
}

// The stages are those of the package's documentation, however the faults are written.
func TestOrderWritten(t *testing.T) {
	faults := parsed(t, "loss 10%", "stratum 9 50%", "length 60 50%", "corrupt 50%", "delay 1ms..9ms 50%")
	r := rand.New(rand.NewPCG(31, 32))
	for seed := range uint64(200) {
		shuffled := slices.Clone(faults)
		r.Shuffle(len(faults), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		l := link{service.NTP, false}
		in, other := NewInjector(l.kind, false, seed, 1), NewInjector(l.kind, false, seed, 1)
		for range 10 {
			q := l.request()
			p, o := l.answer(t, q), l.answer(t, q)
			v, w := in.Inject(faults, &p, q), other.Inject(shuffled, &o, q)
			if v != w || !same(p, o) {
				t.Fatalf("%v: %v, %s, and %v: %v, %s", faults, v, shown(p), shuffled, w, shown(o))
			}
		}
	}
}

// A fault that has nothing to do draws no random number: the others fail as if it were not there.
func TestIdleDrawsNothing(t *testing.T) {
	for _, test := range []struct {
		link link
		idle []string
	}{
		{link{service.Time, true}, []string{"duplicate 50%", "length 4 50%", "stratum 3 50%", "wrong-origin 50%", "delay 0s..1s 0%", "silence 0%"}},
		{link{service.Echo, true}, []string{"corrupt 50%", "length 4 50%", "duplicate 50%", "kiss RATE 50%"}},
		{link{service.NTP, false}, []string{"stratum 1 50%", "leap none 50%", "mode 4 50%", "version 4 50%", "length 48 50%", "kiss DENY 0%"}},
	} {
		idle := append(parsed(t, test.idle...), parsed(t, "loss 50%")...)
		in, alone := NewInjector(test.link.kind, test.link.stream, 9, 9), NewInjector(test.link.kind, test.link.stream, 9, 9)
		for i := range 1000 {
			q := test.link.request()
			p, o := test.link.answer(t, q), test.link.answer(t, q)
			v, w := in.Inject(idle, &p, q), alone.Inject(idle[len(idle)-1:], &o, q)
			if v != w || !same(p, o) {
				t.Fatalf("%v: reply %d: %v, %s, and without %v, %s", test.link, i, v, shown(p), w, shown(o))
			}
		}
	}
}
