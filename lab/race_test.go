package lab

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/service"
)

const readers = 4

// While the Lab is Set again and again, each request has the clock and the faults of one Config, and a clock that stays
// keeps its clients' starts.
func TestSetIsAtomic(t *testing.T) {
	const sets, few = 300, 50
	config := func(i int) Config {
		return Config{
			Clock:  clock.MustParse(fmt.Sprintf("+%ds", i)),
			Faults: faults(fmt.Sprintf("delay %ds", i)),
			Clocks: map[string]clock.Recipe{
				"set":    clock.MustParse(fmt.Sprintf("+%ds x2 at 2026-11-22T12:00:00Z", i)),
				"each":   clock.MustParse(fmt.Sprintf("now x%d", i+2)),
				"steady": clock.MustParse("y2k"),
			},
			Rules: []Rule{
				{From: prefix("10.1.0.0/16"), Clock: "set", Faults: faults(fmt.Sprintf("delay %ds", i))},
				{From: prefix("10.2.0.0/16"), Clock: "each", Faults: faults(fmt.Sprintf("delay %ds", i)), Start: FirstRequest},
				{From: prefix("10.3.0.0/16"), Clock: "steady", Faults: faults(fmt.Sprintf("delay %ds", i)), Start: FirstRequest},
			},
			Remember: 500 + i%2*1000, // room for all, in tables of two sizes
		}
	}
	l := new(Lab)
	set(t, l, config(1), noon)
	var done atomic.Bool
	var wg sync.WaitGroup
	for reader := range readers {
		wg.Go(func() {
			s := newShard(l, service.Time)
			r := rand.New(rand.NewPCG(3, uint64(reader)))
			steady := make(map[netip.Addr]*Clock)
			for last, n := 0, 0; n < 2000 || !done.Load(); n++ {
				kind := byte(r.IntN(4))
				client := netip.AddrFrom4([4]byte{10, kind, byte(reader), byte(r.IntN(few))})
				c, p, _ := s.ask(client, noon)
				i := int(p.Delay / time.Second)
				if i < last {
					t.Errorf("the Lab went back from %d to %d", last, i)
					return
				}
				last = i
				ahead := int(clock.Read(c, noon).Sub(noon) / time.Second)
				switch kind {
				case 0, 1:
					if ahead != i {
						t.Errorf("%v has clock %d (%v) and faults %d", client, ahead, c, i)
						return
					}
				case 2:
					if want := clock.MustParse(fmt.Sprintf("now x%d", i+2)).Start(noon); !c.Equal(want) {
						t.Errorf("%v has clock %v, want %v", client, c, want)
						return
					}
				case 3:
					if was := steady[client]; was != nil && was != c {
						t.Errorf("%v was started anew", client)
						return
					}
					steady[client] = c
				}
			}
		})
	}
	for i := range sets {
		set(t, l, config(2+i), noon)
		if i%50 == 0 {
			checkMemory(t, l)
		}
	}
	done.Store(true)
	wg.Wait()
	checkMemory(t, l)
	if got := l.Counts(); got.Forgotten != 0 {
		t.Errorf("counts %v", got)
	}
}

// More clients than are remembered, from all sides: each start is remembered or forgotten, and the memory stays whole.
func TestForgettingUnderLoad(t *testing.T) {
	const remember, clients, requests = 64, 100, 20_000
	l := new(Lab)
	set(t, l, Config{
		Clock:    clock.MustParse("y2k"),
		Rules:    []Rule{{From: prefix("0.0.0.0/0"), Start: FirstRequest}},
		Remember: remember,
	}, noon)
	var mu sync.Mutex
	started := make(map[*Clock]bool)
	var wg sync.WaitGroup
	for reader := range readers {
		wg.Go(func() {
			s := newShard(l, service.Time)
			r := rand.New(rand.NewPCG(5, uint64(reader)))
			mine := make(map[*Clock]bool)
			for range requests {
				c, _, _ := s.ask(netip.AddrFrom4([4]byte{10, 0, 0, byte(min(r.IntN(clients), r.IntN(clients)))}), noon)
				mine[c] = true
			}
			mu.Lock()
			defer mu.Unlock()
			for c := range mine {
				started[c] = true
			}
		})
	}
	wg.Wait()
	checkMemory(t, l)
	if got := l.Counts(); got.Remembered != remember || got.Forgotten != uint64(len(started)-remember) {
		t.Errorf("counts %v of %d started", got, len(started))
	}
}

// All who ask at the same moment for the first time have one start.
func TestOneStart(t *testing.T) {
	l := new(Lab)
	set(t, l, Config{Clock: clock.MustParse("y2k"), Rules: []Rule{{From: prefix("0.0.0.0/0"), Start: FirstRequest}}}, noon)
	for i := range uint32(200) {
		client := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i)))
		var got [readers]*Clock
		var wg sync.WaitGroup
		for reader := range readers {
			wg.Go(func() {
				got[reader], _, _ = newShard(l, service.Time).ask(client, noon.Add(time.Duration(reader)))
			})
		}
		wg.Wait()
		for _, c := range got[1:] {
			if c != got[0] {
				t.Fatalf("%v has clocks %v and %v", client, c, got[0])
			}
		}
	}
}

// A request that found its rule before a change, and its client after it, starts over.
func TestGoneClockStartsNobody(t *testing.T) {
	l := new(Lab)
	c := Config{Clock: clock.MustParse("y2k"), Rules: []Rule{{From: prefix("0.0.0.0/0"), Start: FirstRequest}}}
	set(t, l, c, noon)
	r := l.load().rule(addr("10.0.0.1"))
	c.Clock = clock.MustParse("epoch")
	set(t, l, c, noon)
	if got := l.firsts.clock(r.clock, addr("10.0.0.1"), noon); got != nil {
		t.Errorf("the clock %v is no longer in force", got)
	}
	if got, _ := l.find(addr("10.0.0.1"), noon); got == nil || got.Recipe().Equal(r.clock.Recipe()) {
		t.Errorf("found %v", got)
	}
	if got := l.Counts(); got != (Counts{Remembered: 1}) {
		t.Errorf("counts %v", got)
	}
}

// Of two requests of a client at once, the one noted later may be the earlier.
func TestSeenNeverGoesBack(t *testing.T) {
	var f firsts
	f.seen.Store(5)
	e := new(first)
	e.seen.Store(9)
	if f.note(e); e.seen.Load() != 9 {
		t.Errorf("seen at 9, and then at %d", e.seen.Load())
	}
}
