package udp

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
)

// start is the injected time of tests of the queue.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// put holds data until delay after start, in all n times, for whoever has most room, and tells whether there was room.
func (q *heldQueue) put(data string, delay time.Duration, n int) bool {
	least := asker(0)
	for i := range 8 {
		if a, b := q.shares[asker(i)], q.shares[least]; a.bytes < b.bytes || a.bytes == b.bytes && a.number < b.number {
			least = asker(i)
		}
	}
	return q.putFor(least, data, delay, n)
}

func (q *heldQueue) putFor(from netip.Addr, data string, delay time.Duration, n int) bool {
	p := exchange.Reply{Data: []byte(data), Delay: delay, Copies: n - 1}
	return q.hold(start, &p, &exchange.Record{From: netip.AddrPortFrom(from, 1)}, new(destination))
}

// asker is one of many addresses.
func asker(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// drain takes all that is due at delay after start and names it.
func (q *heldQueue) drain(delay time.Duration) (out []string) {
	for {
		h := q.take(start.Add(delay))
		if h == nil {
			return out
		}
		name := string(h.data)
		if h.copy {
			name += "'"
		}
		out = append(out, name)
		q.release(h)
	}
}

func TestHeldQueueOrder(t *testing.T) {
	var q heldQueue
	if !q.next().IsZero() || q.take(start.Add(time.Hour)) != nil {
		t.Error("there is something in an empty queue")
	}
	for i, delay := range []time.Duration{30, 10, 20, 10, 30, 10} {
		q.put(fmt.Sprint(i), delay, 1)
	}
	q.put("6", 20, 3)
	if got := q.next(); !got.Equal(start.Add(10)) {
		t.Errorf("the first is due at %v", got)
	}
	for _, step := range []struct {
		at   time.Duration
		want []string
	}{{9, nil}, {10, []string{"1", "3", "5"}}, {29, []string{"2", "6", "6'", "6'"}}, {29, nil}, {30, []string{"0", "4"}}} {
		if got := q.drain(step.at); !slices.Equal(got, step.want) {
			t.Errorf("at %d: %q, want %q", step.at, got, step.want)
		}
	}
	if len(q.heap) != 0 || q.bytes != 0 || len(q.shares) != 0 {
		t.Errorf("%d with %d bytes are left, of %d", len(q.heap), q.bytes, len(q.shares))
	}
}

// Of many equal times none overtakes another.
func TestHeldQueueTies(t *testing.T) {
	var q heldQueue
	var want []string
	for i := range 1000 {
		q.put(fmt.Sprint(i), time.Second, 1)
		want = append(want, fmt.Sprint(i))
	}
	if got := q.drain(time.Second); !slices.Equal(got, want) {
		t.Errorf("they come in the order %q", got)
	}
}

func TestHeldQueueHoldsNothing(t *testing.T) {
	var q heldQueue
	for _, p := range []exchange.Reply{{}, {Delay: -1}, {Copies: -1}, {Delay: math.MinInt64, Copies: math.MinInt}} {
		if holds(&p) || !q.hold(start, &p, new(exchange.Record), new(destination)) || len(q.heap) > 0 {
			t.Errorf("%+v is held", p)
		}
	}
	// The original has gone: what is left are its copies, and they are due.
	for _, delay := range []time.Duration{0, -time.Hour} {
		if !q.put("x", delay, 3) || !slices.Equal(q.drain(0), []string{"x'", "x'"}) {
			t.Errorf("copies of a reply with a delay of %v", delay)
		}
	}
}

func TestHeldQueueIsBoundedInNumber(t *testing.T) {
	var q heldQueue
	for range maxHeld - 2 {
		if !q.put("x", time.Hour, 1) {
			t.Fatalf("full with %d", len(q.heap))
		}
	}
	for _, n := range []int{3, maxHeld, math.MaxInt} { // all of it or nothing
		if q.put("x", time.Second, n) || len(q.heap) != maxHeld-2 {
			t.Errorf("%d times: %d are held", n, len(q.heap))
		}
	}
	if !q.put("y", time.Second, 2) {
		t.Error("no room for the last two")
	}
	if q.put("z", time.Second, 1) || q.put("", time.Second, 1) || q.put("z", 0, 2) {
		t.Error("room for more")
	}
	if q.put("", 0, math.MaxInt) || !q.put("z", 0, 1) {
		t.Error("a reply without copies takes no room; many copies do")
	}
	if got := q.drain(time.Second); len(got) != 2 || !q.put("z", time.Second, 2) {
		t.Errorf("no room after %q have gone", got)
	}
	var empty heldQueue
	for _, delay := range []time.Duration{0, 1} {
		if empty.put("", delay, math.MaxInt) || len(empty.heap) > 0 {
			t.Errorf("%d of %d copies are held", len(empty.heap), math.MaxInt)
		}
	}
}

func TestHeldQueueIsBoundedInBytes(t *testing.T) {
	var q heldQueue
	const size = 64 << 10
	data := strings.Repeat("x", size)
	for q.bytes < maxHeldBytes-size {
		if !q.put(data, time.Hour, 1) {
			t.Fatalf("full with %d bytes", q.bytes)
		}
	}
	if q.put(data, time.Second, 2) || q.bytes != maxHeldBytes-size {
		t.Errorf("two where there is room for one: %d bytes", q.bytes)
	}
	if !q.put(data, time.Second, 1) {
		t.Error("no room for the last")
	}
	if q.put("x", time.Second, 1) || !q.put("", time.Minute, 9) {
		t.Error("there is room for no byte more, and for any that have none")
	}
	q.drain(time.Second)
	if !q.put(data, time.Second, 1) {
		t.Error("no room after one has gone")
	}
	if q.put(strings.Repeat("x", maxHeldBytes+1), time.Second, 1) {
		t.Error("more than all")
	}
}

// One address has a quarter of all places, and of all bytes, and leaves the rest to the others.
func TestHeldQueueShares(t *testing.T) {
	for _, c := range []struct {
		name, data string
		n          int // fit a share
	}{{"number", "x", maxHeld / 4}, {"bytes", strings.Repeat("x", 64<<10), maxHeldBytes / 4 >> 16}} {
		var q heldQueue
		for i := range 4 {
			if !q.putFor(asker(i), c.data, time.Hour, c.n-1) || !q.putFor(asker(i), c.data, time.Second, 1) {
				t.Errorf("%s: no room for the share of %d", c.name, i)
			}
			if q.putFor(asker(i), c.data, time.Second, 1) || q.putFor(asker(i), c.data, 0, 2) {
				t.Errorf("%s: more than a share for %d", c.name, i)
			}
		}
		if q.putFor(asker(4), c.data, time.Second, 1) {
			t.Errorf("%s: more than all shares", c.name)
		}
		q.drain(time.Second)
		if len(q.shares) != 4 || q.putFor(asker(0), c.data, time.Second, 2) || !q.putFor(asker(0), c.data, time.Second, 1) {
			t.Errorf("%s: what has gone does not leave its room: %v", c.name, q.shares)
		}
		if q.putFor(asker(4), c.data, time.Second, 4) || !q.putFor(asker(4), c.data, time.Second, 3) {
			t.Errorf("%s: what has gone does not leave its room to others: %v", c.name, q.shares)
		}
		if q.drain(time.Hour); len(q.shares) != 0 || q.bytes != 0 {
			t.Errorf("%s: shares of nothing are left: %v", c.name, q.shares)
		}
	}
	var q heldQueue
	for _, c := range []struct {
		a, b string
		one  bool
	}{
		{"2001:db8::1", "2001:db8::ffff:0:0:2", true}, {"2001:db8::1", "2001:db8:0:1::1", false}, {"::1", "::2", true},
		{"fe80::1%a", "fe80::1%a", true}, {"10.0.0.1", "10.0.0.2", false},
	} {
		a, b := netip.MustParseAddr(c.a), netip.MustParseAddr(c.b)
		var q heldQueue
		if !q.putFor(a, "x", 1, maxHeld/4) || q.putFor(b, "x", 1, 1) == c.one {
			t.Errorf("%s and %s are one source: %v, want %v", a, b, !c.one, c.one)
		}
	}
	for _, a := range []string{"fe80::1%a", "fe80::1%b", "fe80::2%a", "127.0.0.1"} {
		if !q.putFor(netip.MustParseAddr(a), "x", 1, maxHeld/4) {
			t.Errorf("no room for %s", a)
		}
	}
}

func TestHeldQueueLetsGo(t *testing.T) {
	var q heldQueue
	for _, size := range []int{1, replyRoom, replyRoom + 1, 60_000} {
		p := exchange.Reply{Data: make([]byte, size), Delay: 1}
		q.hold(start, &p, &exchange.Record{Clock: clock.Offset(1)}, new(destination))
		clear(p.Data[:1])
		q.release(q.take(start.Add(1)))
		h := q.spare[len(q.spare)-1]
		if h.told.Clock != nil || len(h.data) > 0 || cap(h.data) > replyRoom || size <= replyRoom && cap(h.data) == 0 {
			t.Errorf("of %d bytes there is left: %+v with room for %d", size, h, cap(h.data))
		}
	}
	if len(q.spare) != 1 {
		t.Errorf("%d were made for one at a time", len(q.spare))
	}
}

func TestHeldQueueAllocatesNothing(t *testing.T) {
	var q heldQueue
	p := exchange.Reply{Data: make([]byte, 48), Copies: 2}
	told, to := new(exchange.Record), new(destination)
	now, next := start, 0
	if n := testing.AllocsPerRun(1000, func() {
		for p.Delay = range time.Duration(20) {
			told.From = netip.AddrPortFrom(asker(next), 1) // never the same
			next++
			q.hold(now, &p, told, to)
		}
		now = now.Add(15)
		for h := q.take(now); h != nil; h = q.take(now) {
			q.release(h)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
