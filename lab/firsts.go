package lab

import (
	"hash/maphash"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A firsts is a memory of first requests, of bounded size: the clocks that were started for one client each.
//
// It is a hash table whose chains are read without a lock: only the holder of mu links and unlinks, and what was unlinked
// still leads on to the rest of its chain. Who is to be forgotten is found by a heap whose keys lag behind: a request
// notes on its client's entry when it was, and the heap takes notice when the entry comes to its top.
type firsts struct {
	table atomic.Pointer[table]
	_     [64]byte      // seen is written by all cores, table read
	seen  atomic.Uint64 // requests of remembered clients so far, but that several of one client in a row count as one
	_     [64]byte

	mu        sync.Mutex
	limit     int
	queue     queue
	forgotten uint64
}

// A table has a power of two of chains, at least one a client.
type table struct {
	seed   maphash.Seed
	chains []atomic.Pointer[first]
}

// A first is one client's first request.
type first struct {
	asker
	started *Clock        // not part of the first, which Records would else hold, and with it its chain
	seen    atomic.Uint64 // what firsts.seen was at the client's last request
	next    atomic.Pointer[first]
}

// An asker is a client by the clock it lives by.
type asker struct {
	clock *running
	addr  netip.Addr // with its zone
}

// clock gives the clock that was started for the client; at its first request, received at that real time, it starts it.
// It gives nil where c is no longer in force.
func (f *firsts) clock(c *running, client netip.Addr, received time.Time) *Clock {
	a := asker{c, client}
	if t := f.table.Load(); t != nil {
		if e := t.find(a); e != nil {
			f.note(e)
			return e.started
		}
	}
	return f.start(a, received)
}

// note notes that a client was seen.
func (f *firsts) note(e *first) {
	before := e.seen.Load()
	if before == f.seen.Load() { // it was the last one seen
		return
	}
	for now := f.seen.Add(1); before < now && !e.seen.CompareAndSwap(before, now); {
		before = e.seen.Load()
	}
}

// start starts the client's clock.
func (f *firsts) start(a asker, received time.Time) *Clock {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.clock.gone {
		return nil
	}
	t := f.table.Load()
	if t == nil {
		t = newTable(f.limit)
		f.table.Store(t)
	}
	if e := t.find(a); e != nil { // started meanwhile
		f.note(e)
		return e.started
	}
	if len(f.queue) >= f.limit {
		f.forget(t)
	}
	e := &first{asker: a, started: &Clock{a.clock.Name, a.clock.recipe.Start(received)}}
	e.seen.Store(f.seen.Add(1))
	t.add(e)
	f.queue.push(e)
	return e.started
}

// forget forgets the client least recently seen. There must be one.
func (f *firsts) forget(t *table) {
	t.remove(f.queue.pop())
	f.forgotten++
}

// change publishes a state without the clocks that are gone, forgets their clients, and makes limit the number of clients
// that are remembered. No client is started in between.
func (f *firsts) change(limit int, gone []*running, publish func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	publish()
	for _, c := range gone {
		c.gone = true
	}
	f.limit = limit
	t := f.table.Load()
	if t == nil {
		return
	}
	if len(gone) > 0 {
		f.queue.drop(func(e *first) bool {
			if !e.clock.gone {
				return false
			}
			t.remove(e)
			return true
		})
	}
	for len(f.queue) > limit {
		f.forget(t)
	}
	if len(t.chains) == chains(limit) {
		return
	}
	t = newTable(limit)
	for i := range f.queue {
		// A copy: those who still read the old table need the old chains.
		old := f.queue[i].first
		e := &first{asker: old.asker, started: old.started}
		e.seen.Store(old.seen.Load())
		t.add(e)
		f.queue[i].first = e
	}
	f.table.Store(t)
}

// chains returns the number of chains for so many clients.
func chains(clients int) int { return 1 << bits.Len(uint(clients-1)) }

func newTable(clients int) *table {
	return &table{maphash.MakeSeed(), make([]atomic.Pointer[first], chains(clients))}
}

func (t *table) chain(a asker) *atomic.Pointer[first] {
	return &t.chains[maphash.Comparable(t.seed, a)&uint64(len(t.chains)-1)]
}

// find gives the asker's first request, or nil. It needs no lock; but without one it may miss what is being changed.
func (t *table) find(a asker) *first {
	e := t.chain(a).Load()
	for e != nil && e.asker != a {
		e = e.next.Load()
	}
	return e
}

func (t *table) add(e *first) {
	chain := t.chain(e.asker)
	e.next.Store(chain.Load())
	chain.Store(e)
}

// remove takes out e, which must be there. Its next stays: somebody may be looking at e just now.
func (t *table) remove(e *first) {
	link := t.chain(e.asker)
	for at := link.Load(); at != e; at = link.Load() {
		link = &at.next
	}
	link.Store(e.next.Load())
}
