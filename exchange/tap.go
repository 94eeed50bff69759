package exchange

import (
	"context"
	"sync"
	"sync/atomic"
)

// ringSize is how many Records one Ring holds: at 170,000 exchanges a second, a 21st of a second for the watcher to
// come round.
const ringSize = 8192

// A Ring is a lossy queue of Records from one writer to the Tap it belongs to. A full Ring counts what it loses; it
// never makes its writer wait, and allocates nothing.
type Ring struct {
	tap     *Tap
	records []Record
	lost    atomic.Uint64
	_       [64]byte // head and tail are written by different cores
	head    atomic.Uint64
	_       [64]byte
	tail    atomic.Uint64
	next    uint64 // the writer's: slots given out, tail after the next Pass or Flush
}

// Slot returns the place for the next Record, or nil, counted, where the Ring is full. The Record holds old values: the
// writer sets every field. It may do so, and change them, until it calls Pass or Flush. Only the Ring's writer may call Slot,
// Pass and Flush.
func (r *Ring) Slot() *Record {
	if r.next-r.head.Load() == uint64(len(r.records)) {
		r.lost.Add(1)
		return nil
	}
	slot := &r.records[r.next%uint64(len(r.records))]
	r.next++
	return slot
}

// Pass passes on the Records of all Slots so far. It leaves the Tap's watcher asleep until a quarter of the Ring is taken: to wake
// it for each batch costs a busy writer more than the batch. The writer calls it once a batch, and Flush before it rests.
func (r *Ring) Pass() {
	r.tail.Store(r.next)
	if r.next-r.head.Load() >= uint64(len(r.records)/4) {
		r.wake()
	}
}

// Flush passes on the Records of all Slots so far, and wakes the Tap's watcher if it sleeps.
func (r *Ring) Flush() {
	r.tail.Store(r.next)
	if r.next != r.head.Load() {
		r.wake()
	}
}

func (r *Ring) wake() {
	if r.tap.asleep.CompareAndSwap(true, false) {
		select {
		case r.tap.wake <- struct{}{}:
		default:
		}
	}
}

// Lost returns how many Records found the Ring full. Any goroutine may call it.
func (r *Ring) Lost() uint64 { return r.lost.Load() }

// hand hands on what is queued, without copying it, and tells whether there was anything. Until watch returns, what it
// looks at takes up room.
func (r *Ring) hand(watch func(batch []Record)) bool {
	head, tail := r.head.Load(), r.tail.Load()
	some := head != tail
	for head != tail {
		from := head % uint64(len(r.records))
		to := min(from+tail-head, uint64(len(r.records)))
		watch(r.records[from:to])
		head += to - from
		r.head.Store(head)
	}
	return some
}

// A Tap is the one place where Records can be watched: writers put them into Rings, one Run hands them on. The zero
// Tap is not ready; use NewTap.
type Tap struct {
	mu     sync.Mutex
	rings  []*Ring
	asleep atomic.Bool
	wake   chan struct{}
}

// NewTap returns a Tap without Rings.
func NewTap() *Tap { return &Tap{wake: make(chan struct{}, 1)} }

// Ring adds a Ring for one more writer. A nil Tap returns nil: nobody watches.
func (t *Tap) Ring() *Ring {
	if t == nil {
		return nil
	}
	r := &Ring{tap: t, records: make([]Record, ringSize)}
	t.mu.Lock()
	t.rings = append(t.rings, r)
	t.mu.Unlock()
	return r
}

// Run hands every Record to watch, in batches, until ctx is done; what is queued by then is handed on before it
// returns. Records of one Ring keep their order, and a batch is of one Ring. The slice is watch's during the call only. lost
// is how many Records were lost since the last call; then a batch may be empty. Only one Run may be under way.
func (t *Tap) Run(ctx context.Context, watch func(batch []Record, lost uint64)) {
	var lost uint64 // that watch was told of
	drain := func() bool {
		t.mu.Lock()
		rings := t.rings
		t.mu.Unlock()
		var total uint64
		for _, r := range rings {
			total += r.Lost()
		}
		told := func(batch []Record) {
			watch(batch, total-lost)
			lost = total
		}
		some := false
		for _, r := range rings {
			some = r.hand(told) || some
		}
		if total > lost {
			told(nil)
			some = true
		}
		return some
	}
	for {
		for drain() {
		}
		t.asleep.Store(true)
		if drain() { // what came between the last look and going to sleep
			t.asleep.Store(false)
			continue
		}
		select {
		case <-t.wake:
		case <-ctx.Done():
			for drain() {
			}
			return
		}
	}
}
