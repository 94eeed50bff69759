package udp

import (
	"container/heap"
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

const (
	// maxHeld and maxHeldBytes bound what a shard holds back: the datagrams, and the sum of their lengths.
	maxHeld      = 16_384
	maxHeldBytes = 16 << 20

	// maxShare and maxShareBytes are what is held of that for one source: a quarter, lest faults that were made for one
	// client keep the others' replies from being held.
	maxShare      = maxHeld / 4
	maxShareBytes = maxHeldBytes / 4

	// dueSoon is how early a held reply is sent when the server stops. What is due later is not sent.
	dueSoon = time.Second
)

// A held is one datagram that is held back: a reply, or a copy of one.
type held struct {
	due   time.Time
	order uint64 // of those due at the same time, the lower goes first
	data  []byte
	to    destination
	from  netip.Addr      // whose share it is of
	told  exchange.Record // what is told once it is sent
	copy  bool            // neither told nor counted: its original is
}

// holds tells whether p, or a part of it, is to be held back.
func holds(p *exchange.Reply) bool { return p.Delay > 0 || p.Copies > 0 }

// A share is what is held for one source.
type share struct{ number, bytes int }

// sharer is whose share a client's replies are of: its address, or its /64 where that is one host's to choose from. On a link
// the hosts share one.
func sharer(client netip.Addr) netip.Addr {
	if client.Is6() && !client.IsLinkLocalUnicast() {
		if p, err := client.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return client
}

// A heldQueue is what one shard holds back, the first due first. It allocates only to hold more than ever before, or for
// more addresses, or what is longer than replyRoom.
type heldQueue struct {
	heap   heldHeap
	spare  []*held              // to be used again
	bytes  int                  // held
	shares map[netip.Addr]share // by sharer
	order  uint64
}

// hold takes what of p is not to be sent now: its copies, and p itself where it is delayed, with told to tell of it and of
// who asked. It keeps none of its arguments' memory. Where there is no room for all, it takes nothing and returns false.
func (q *heldQueue) hold(now time.Time, p *exchange.Reply, told *exchange.Record, to *destination) bool {
	n, due := min(max(p.Copies, 0), maxHeld+1), now
	if p.Delay > 0 {
		n, due = n+1, now.Add(p.Delay)
	}
	if n == 0 {
		return true
	}
	from := sharer(told.From.Addr())
	its := q.shares[from]
	if n > min(maxHeld-len(q.heap), maxShare-its.number) || len(p.Data) > min(maxHeldBytes-q.bytes, maxShareBytes-its.bytes)/n {
		return false
	}
	if q.shares == nil {
		q.shares = make(map[netip.Addr]share)
	}
	q.shares[from] = share{its.number + n, its.bytes + n*len(p.Data)}
	for i := range n {
		h := q.blank()
		h.due, h.order = due, q.order
		h.data = append(h.data, p.Data...)
		h.to, h.from = *to, from
		if h.copy = i > 0 || p.Delay <= 0; !h.copy {
			h.told = *told
		}
		q.order++
		q.bytes += len(h.data)
		heap.Push(&q.heap, h)
	}
	return true
}

// next returns when the first is due, the zero time where nothing is held.
func (q *heldQueue) next() time.Time {
	if len(q.heap) == 0 {
		return time.Time{}
	}
	return q.heap[0].due
}

// take takes out the first that is due at now; nil where none is. The caller releases it.
func (q *heldQueue) take(now time.Time) *held {
	if len(q.heap) == 0 || q.heap[0].due.After(now) {
		return nil
	}
	return q.first()
}

// first takes out the first, due or not. There must be one.
func (q *heldQueue) first() *held {
	h := heap.Pop(&q.heap).(*held)
	q.bytes -= len(h.data)
	its := q.shares[h.from]
	if its.number--; its.number == 0 {
		delete(q.shares, h.from)
		return h
	}
	its.bytes -= len(h.data)
	q.shares[h.from] = its
	return h
}

// blank returns a held to fill in, with data of length 0.
func (q *heldQueue) blank() *held {
	last := len(q.spare) - 1
	if last < 0 {
		return new(held)
	}
	h := q.spare[last]
	q.spare = q.spare[:last]
	return h
}

// release keeps h for another time. Nothing may point to it, nor to its data, any more.
func (q *heldQueue) release(h *held) {
	*h = held{data: h.data[:0]} // no clock outlives its exchange here
	if cap(h.data) > replyRoom {
		h.data = nil
	}
	q.spare = append(q.spare, h)
}

// A heldHeap is a container/heap. Pointers go in and out of it without an allocation.
type heldHeap []*held

func (h heldHeap) Len() int      { return len(h) }
func (h heldHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heldHeap) Push(x any)   { *h = append(*h, x.(*held)) }

func (h heldHeap) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}

func (h *heldHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return x
}
