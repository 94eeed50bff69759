package probe

import (
	"iter"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// remembered is how many requests Ping remembers at least, to know what comes late or again.
const remembered = 1 << 14

// A ledger holds the requests of a Ping, and what became of each. It does no I/O, and asks no clock. It is used by one
// goroutine.
type ledger struct {
	kind      service.Kind
	questions questions
	begun     time.Time
	matcher   *matcher
	leaving   []leaving // by the matcher's slots
	buffer    []byte

	trips     *recorder
	jitter    jitter
	offsets   offsets
	kernel    uint64
	reordered uint64
	highest   uint64    // one more than the latest request that was answered
	highestAt time.Time // and when it was
	corrupted uint64
	refused   uint64
	couldNot  uint64 // requests that were not sent
	kissed    uint64 // requests that were declined
}

// leaving is when a request left.
type leaving struct {
	at     time.Time
	kernel bool
}

func newLedger(kind service.Kind, q questions, begun time.Time, timeout, interval time.Duration) *ledger {
	n := max(remembered, int(4*(timeout/interval)))
	m := newMatcher(n, int64(timeout))
	return &ledger{
		kind: kind, questions: q, begun: begun, matcher: m, leaving: make([]leaving, len(m.slots)), trips: newRecorder(),
	}
}

// next is the sequence number of the next request, from 0.
func (l *ledger) next() uint64 { return l.matcher.next }

// request returns the bytes of the next request, until it is called again.
func (l *ledger) request() []byte {
	l.buffer = l.questions.append(l.buffer[:0], l.matcher.next)
	return l.buffer
}

// sent takes in that the next request left at the time at.
func (l *ledger) sent(at time.Time) {
	l.leaving[l.matcher.next&l.matcher.mask] = leaving{at: at}
	l.matcher.add(int64(at.Sub(l.begun)))
}

// unsent takes in that the next request did not leave.
func (l *ledger) unsent(at time.Time) {
	l.matcher.skip(int64(at.Sub(l.begun)))
	l.couldNot++
}

// stamp takes in when a request left by the kernel's stamp. One that cannot be is passed over.
func (l *ledger) stamp(a arrival) {
	if !a.kernel || !l.matcher.knows(a.seq) { // when a stamp was read says nothing
		return
	}
	left := &l.leaving[a.seq&l.matcher.mask]
	if waited := a.at.Sub(left.at); !left.kernel && -time.Millisecond < waited && waited < time.Second {
		*left = leaving{a.at, true}
	}
}

// kiss takes in a reply that declines to tell the time, if a is one to a request that is remembered. A request counts as
// kissed unless it has been answered.
func (l *ledger) kiss(a arrival) (Event, bool) {
	if l.kind != service.NTP || len(a.data) < ntp.HeaderSize || !refusal(a.data) {
		return Event{}, false
	}
	seq, _, _ := l.questions.read(a.data)
	if !l.matcher.knows(seq) {
		return Event{}, false
	}
	if l.matcher.settle(seq) {
		l.kissed++
	}
	return Event{Kind: Kissed, Seq: seq + 1, At: a.at, Reply: a.data, Code: string(a.data[12:16])}, true
}

// refuse takes in that the host said of a request that left by handle that nothing listens there. Which it was is known where it
// has a port of its own, or is the only one under way: then it is lost.
func (l *ledger) refuse(handle uint64, at time.Time) Event {
	e := Event{Kind: Refused, At: at}
	l.refused++
	seq, known := handle, ownPorts(l.kind)
	if !known {
		seq, known = l.matcher.only()
	}
	if known && l.matcher.decline(seq) {
		e.Seq = seq + 1
	}
	return e
}

// torn is by how much the two clocks of one time.Now may differ that was interrupted between them.
const torn = 10 * time.Millisecond

// apart is how long after one another two moments were, by the monotonic clock and, where both are the kernel's stamps, by
// the host's: stamps are of that clock alone. What differs from it a little is a monotonic reading that came with an
// interrupted time.Now; what differs much is a clock that was set in between.
func apart(monotonic, host time.Duration, stamps bool) time.Duration {
	if stamps && (host-monotonic).Abs() < torn {
		return host
	}
	return monotonic
}

// reply takes in a datagram. It is no event where it is for nothing that is remembered, but as it has to be.
func (l *ledger) reply(a arrival) (Event, bool) {
	e := Event{Kind: Corrupted, At: a.at, Reply: a.data}
	seq, known, good := l.questions.read(a.data)
	if ownPorts(l.kind) {
		seq, known = a.handle, true
	}
	known = known && l.matcher.knows(seq)
	if known {
		e.Seq = seq + 1
	}
	if !good || !known && l.kind == service.NTP { // an origin of anybody's
		l.corrupted++
		return e, true
	}
	f, _ := l.matcher.answer(seq, int64(a.at.Sub(l.begun)))
	if f == stray {
		return e, false
	}
	e.Kind = kindOf[f]
	left := l.leaving[seq&l.matcher.mask]
	e.Kernel = left.kernel && a.kernel
	e.RoundTrip = max(apart(a.at.Sub(left.at), a.at.Round(0).Sub(left.at.Round(0)), e.Kernel), 0)
	if l.kind == service.NTP {
		e.Offset, e.Timed = offset(a.data, left.at, left.at.Add(e.RoundTrip))
	}
	if f == doubled {
		return e, true
	}
	l.trips.record(e.RoundTrip)
	l.jitter.add(e.RoundTrip)
	if e.Kernel {
		l.kernel++
	}
	if e.Timed {
		l.offsets.add(e.Offset, e.RoundTrip)
	}
	switch {
	case seq+1 > l.highest:
		l.highest, l.highestAt = seq+1, a.at
	case a.at.After(l.highestAt): // not only read later
		l.reordered++
	}
	return e, true
}

// expire yields an event for each request that has waited too long at now.
func (l *ledger) expire(now time.Time) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		from := l.matcher.oldest
		l.matcher.expire(int64(now.Sub(l.begun)))
		for seq := from; seq < l.matcher.oldest; seq++ {
			if l.matcher.slots[seq&l.matcher.mask].state == timedOut && !yield(Event{Kind: Lost, Seq: seq + 1, At: now}) {
				return
			}
		}
	}
}

// expiry is when the next request is lost, and whether there is one that waits.
func (l *ledger) expiry() (time.Time, bool) {
	at, ok := l.matcher.expiry()
	return l.begun.Add(time.Duration(at)), ok
}

func (l *ledger) summary() Summary {
	m := l.matcher
	return Summary{
		Sent: m.sent, Received: m.counts[answered], Late: m.counts[late], Lost: m.lost, Pending: uint64(m.waiting), Kissed: l.kissed,
		Duplicated: m.counts[doubled], Reordered: l.reordered, Corrupted: l.corrupted, Refused: l.refused, Unsent: l.couldNot,
		RoundTrip: l.trips.spread(), Jitter: time.Duration(l.jitter.value), Kernel: l.kernel, Offset: l.offsets.result(),
	}
}

// offset is how far the clock of who sent an NTP packet is from this host's (RFC 5905, section 8), as far as it says. It is
// at most some 68 years, half an era.
func offset(packet []byte, sent, received time.Time) (time.Duration, bool) {
	h, err := ntp.Parse(packet[:ntp.HeaderSize])
	if err != nil || h.Transmit == 0 {
		return 0, false
	}
	there, back := h.Receive, h.Transmit
	if there == 0 {
		there = back
	}
	return (there.Near(sent).Sub(sent.Round(0)) + back.Near(received).Sub(received.Round(0))) / 2, true
}

var kindOf = [...]EventKind{answered: Answered, late: Late, doubled: Doubled}
