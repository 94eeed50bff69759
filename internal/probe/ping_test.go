package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

var somebody = netip.MustParseAddrPort("192.0.2.1:7")

// A fakeNetwork answers requests as plan says, in virtual time.
type fakeNetwork struct {
	kind   service.Kind
	ahead  time.Duration // how far the server's clock is, of NTP
	plan   func(seq uint64) []fakeReply
	fails  func(seq uint64) error // why a request does not leave
	came   chan arrival
	opened map[uint64]bool
	ended  chan struct{}
	most   int    // sockets at once
	full   uint64 // datagrams that found no room
}

// A fakeReply comes a while after its request.
type fakeReply struct {
	after   time.Duration
	damaged bool
}

func newFakeNetwork(kind service.Kind, plan func(seq uint64) []fakeReply) *fakeNetwork {
	return &fakeNetwork{kind: kind, plan: plan, came: make(chan arrival, 10), opened: make(map[uint64]bool), ended: make(chan struct{})}
}

func (n *fakeNetwork) open(handle uint64) error {
	n.opened[handle] = true
	n.most = max(n.most, len(n.opened))
	return nil
}
func (n *fakeNetwork) shut(handle uint64)       { delete(n.opened, handle) }
func (n *fakeNetwork) arrivals() <-chan arrival { return n.came }
func (n *fakeNetwork) overflow() uint64         { return n.full }
func (n *fakeNetwork) close()                   { close(n.ended) }

func (n *fakeNetwork) pass(a arrival) {
	select {
	case n.came <- a:
	case <-n.ended:
	}
}

// onTheWay is what a request takes from the program to the network's driver: not the network's time.
const onTheWay = 3 * time.Microsecond

func (n *fakeNetwork) send(handle, seq uint64, data []byte) (time.Time, error) {
	before := time.Now()
	if n.fails != nil {
		if err := n.fails(seq); err != nil {
			return before, err
		}
	}
	left := before.Add(onTheWay)
	time.AfterFunc(onTheWay, func() { n.pass(arrival{handle: handle, sent: true, seq: seq, at: left, kernel: true}) })
	for _, r := range n.plan(seq) {
		reply := n.reply(data, left.Add(r.after/2))
		if r.damaged {
			reply[len(reply)-1] ^= 0x40
			if n.kind == service.NTP {
				reply[24] ^= 0x40 // the origin
			} else if n.kind != service.Echo {
				reply = reply[:0]
			}
		}
		time.AfterFunc(onTheWay+r.after, func() {
			n.pass(arrival{handle: handle, data: reply, at: left.Add(r.after), kernel: true})
		})
	}
	return before, nil
}

// reply is what the server says at a real time.
func (n *fakeNetwork) reply(data []byte, at time.Time) []byte {
	switch n.kind {
	case service.Echo:
		return bytes.Clone(data)
	case service.NTP:
		h, _ := ntp.Parse(data)
		served := ntp.TimestampOf(at.Add(n.ahead))
		return ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Origin: h.Transmit, Receive: served, Transmit: served}.Append(nil)
	case service.Time:
		return []byte{1, 2, 3, 4}
	}
	return []byte("yesterday\r\n")
}

func (n *fakeNetwork) connect(netip.AddrPort) (network, error) { return n, nil }

// Over a network that loses, delays, doubles, damages and reorders at random, the summary tells what was done, for each service.
func TestPingAgreesWithWhatWasDone(t *testing.T) {
	for _, kind := range service.Kinds() {
		for seed := range uint64(12) {
			t.Run(fmt.Sprintf("%v %d", kind, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { pingRandomly(t, kind, seed) })
			})
		}
	}
}

func pingRandomly(t *testing.T, kind service.Kind, seed uint64) {
	const count, interval, timeout = 400, 3 * time.Millisecond, 40 * time.Millisecond
	random := rand.New(rand.NewPCG(seed, 3))
	type good struct {
		at  time.Duration // since the start, less what all have in common
		seq uint64
	}
	var want Summary
	var firsts []good
	plan := func(seq uint64) (replies []fakeReply) {
		early := seq < count/2 // what comes long after its request is heard only while others are under way
		first := time.Duration(-1)
		for range random.IntN(4) {
			most := timeout
			if early {
				most = 2 * timeout
			} else if len(replies) > 0 {
				break
			}
			r := fakeReply{after: time.Duration(1+random.Int64N(int64(most)-1)/1000*1000) + time.Duration(seq), damaged: random.IntN(6) == 0}
			replies = append(replies, r)
			switch {
			case r.damaged:
				want.Corrupted++
			case first < 0:
				first = r.after
			default:
				want.Duplicated++
				first = min(first, r.after)
			}
		}
		switch {
		case first < 0:
			want.Lost++
			return replies
		case first+onTheWay > timeout:
			want.Late++
		default:
			want.Received++
		}
		firsts = append(firsts, good{time.Duration(seq)*interval + first, seq})
		return replies
	}
	n := newFakeNetwork(kind, plan)
	n.ahead, n.full = -24*time.Hour, seed
	events := make(map[EventKind]uint64)
	p := Ping{
		Service: kind, Servers: []netip.AddrPort{somebody}, Count: count, Interval: interval, Timeout: timeout, Size: 32,
		Each: func(e Event) { events[e.Kind]++ }, connect: n.connect,
	}
	got, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want.Sent, want.Kernel, want.Overflow = count, want.Received+want.Late, seed
	slices.SortFunc(firsts, func(a, b good) int { return cmp.Compare(a.at, b.at) })
	var j jitter
	highest, shortest, longest := uint64(0), time.Hour, time.Duration(0)
	for _, g := range firsts {
		if g.seq < highest {
			want.Reordered++
		}
		highest = max(highest, g.seq)
		roundTrip := g.at - time.Duration(g.seq)*interval
		j.add(roundTrip)
		shortest, longest = min(shortest, roundTrip), max(longest, roundTrip)
	}
	trips, offset := got.RoundTrip, got.Offset
	if trips.Count != want.Kernel || trips.Min != shortest || trips.Max != longest || got.Jitter != time.Duration(j.value) {
		t.Errorf("round trips %+v, jitter %v; want %d from %v to %v, jitter %v", trips, got.Jitter, want.Kernel, shortest, longest, time.Duration(j.value))
	}
	if kind == service.NTP && (offset.Count != want.Kernel || (offset.Min-n.ahead).Abs() > 2 || (offset.Max-n.ahead).Abs() > 2) {
		t.Errorf("offsets %+v, want %d of %v", offset, want.Kernel, n.ahead)
	}
	if told := events[Answered] + events[Late]; told != trips.Count || events[Doubled] != want.Duplicated || events[Corrupted] != want.Corrupted ||
		events[Lost] != want.Lost+want.Late {
		t.Errorf("events %v", events)
	}
	got.Server, got.Took, got.RoundTrip, got.Jitter, got.Offset = netip.AddrPort{}, 0, Spread{}, 0, OffsetSpread{}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if (kind == service.Time || kind == service.Daytime) && (n.most < 10 || n.most > 64) || kind == service.Echo && n.most != 1 {
		t.Errorf("%d sockets at once", n.most)
	}
}

// Requests leave in their interval, however long replies take, and none hurries after one that could not leave in time.
func TestPingKeepsItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var left []time.Duration
		n := newFakeNetwork(service.Echo, func(uint64) []fakeReply { return nil })
		n.fails = func(seq uint64) error {
			left = append(left, time.Since(begun))
			if seq == 2 {
				time.Sleep(35 * time.Millisecond) // the machine was busy
			}
			return nil
		}
		p := Ping{Service: service.Echo, Servers: []netip.AddrPort{somebody}, Count: 6, Interval: 10 * time.Millisecond, Timeout: time.Second, Size: 16, connect: n.connect}
		s, err := p.Run(t.Context())
		ms := time.Millisecond
		want := []time.Duration{0, 10 * ms, 20 * ms, 55 * ms, 65 * ms, 75 * ms}
		if err != nil || !slices.Equal(left, want) {
			t.Errorf("left at %v, %v; want %v", left, err, want)
		}
		if s.Lost != 6 || s.Took != 1075*ms+1 {
			t.Errorf("lost %d in %v, want all in 1.075s", s.Lost, s.Took)
		}
	})
}

// Ctrl-C gives the summary at once; what is under way is neither lost nor received.
func TestPingIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNetwork(service.Echo, func(uint64) []fakeReply { return []fakeReply{{after: 250 * time.Millisecond}} })
		ctx, cancel := context.WithTimeout(t.Context(), 1020*time.Millisecond)
		defer cancel()
		p := Ping{Service: service.Echo, Servers: []netip.AddrPort{somebody}, Interval: 100 * time.Millisecond, Timeout: time.Second, Size: 16, connect: n.connect}
		s, err := p.Run(ctx)
		if err != nil || s.Sent != 11 || s.Received != 8 || s.Pending != 3 || s.Lost != 0 || s.Took != 1020*time.Millisecond {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// The first address that does not refuse is measured, and what an earlier one refused is not counted.
func TestPingPassesOnToTheNextAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := netip.MustParseAddrPort("[2001:db8::1]:7")
		var told []string
		p := Ping{
			Service: service.Echo, Servers: []netip.AddrPort{other, somebody}, Count: 2, Interval: time.Millisecond, Timeout: time.Second, Size: 16,
			Each: func(e Event) { told = append(told, fmt.Sprint(e.Kind, e.Server)) },
		}
		p.connect = func(a netip.AddrPort) (network, error) {
			n := newFakeNetwork(service.Echo, func(uint64) []fakeReply { return []fakeReply{{after: 5 * time.Microsecond}} })
			if a == other {
				n.plan = func(uint64) []fakeReply {
					go n.pass(arrival{err: syscall.ECONNREFUSED})
					return nil
				}
			}
			return n, nil
		}
		s, err := p.Run(t.Context())
		if err != nil || s.Server != somebody || s.Sent != 2 || s.Received != 2 || s.Refused != 0 {
			t.Errorf("%+v, %v", s, err)
		}
		want := []string{fmt.Sprint(Began, other), fmt.Sprint(Refused, other), fmt.Sprint(Began, somebody), fmt.Sprint(Answered, somebody), fmt.Sprint(Answered, somebody)}
		if !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

func TestPingCountsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNetwork(service.Echo, func(uint64) []fakeReply { return nil })
		asked := 0
		n.fails = func(seq uint64) error {
			if asked++; asked%2 == 0 { // the second time the same request leaves
				return syscall.ECONNREFUSED
			}
			if seq == 3 {
				return errors.New("the network is down")
			}
			return nil
		}
		p := Ping{Service: service.Echo, Servers: []netip.AddrPort{somebody}, Count: 5, Interval: time.Millisecond, Timeout: time.Second, Size: 16, connect: n.connect}
		s, err := p.Run(t.Context())
		if err != nil || s.Sent != 4 || s.Lost != 4 || s.Refused == 0 || s.Unsent != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// Without the kernel's stamps on both ends a round trip is said to be this program's.
// Two kernel stamps are as far apart as they say, whatever the monotonic readings that came with them; unless the host's
// clock was set in between.
// What arrives out of order is reordered; what is only read so is not. A reply cannot be earlier than its request, whatever the
// stamps say.
// A refusal is a request's where it can be no other's, and that request is lost at once.
// The only request under way ends with its refusal, not with its time-out.
func TestPingEndsWithARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNetwork(service.Echo, nil)
		n.plan = func(uint64) []fakeReply {
			go n.pass(arrival{err: syscall.ECONNREFUSED})
			return nil
		}
		p := Ping{Service: service.Echo, Servers: []netip.AddrPort{somebody}, Count: 2, Interval: time.Millisecond, Timeout: time.Hour, Size: 16, connect: n.connect}
		s, err := p.Run(t.Context())
		if err != nil || s.Sent != 2 || s.Lost != 2 || s.Refused != 2 || s.Took != time.Millisecond {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A port stays open for what is late, as far as there are ports.
func TestPingPorts(t *testing.T) {
	for _, c := range []struct {
		timeout, interval time.Duration
		want              uint64
	}{
		{time.Second, time.Second, 64}, {100 * time.Millisecond, time.Millisecond, 408}, {2 * time.Second, time.Millisecond, MaxPorts},
		{MaxPorts * time.Millisecond, time.Millisecond, MaxPorts + 2},
	} {
		if got := (&Ping{Timeout: c.timeout, Interval: c.interval}).ports(); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
