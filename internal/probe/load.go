package probe

import (
	"encoding/binary"
	"math"
	"math/bits"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

const (
	// behindBy is from when on a request counts as sent behind its due time.
	behindBy = int64(time.Millisecond)

	// batchSize is how many requests leave from one socket before the next has its turn: a batch.
	batchSize = 64

	// tickOff is how far time(2), which servers may tell, may be off the same host's clock: a tick, at most 10 ms.
	tickOff = 10 * time.Millisecond

	// maxSlots bounds the memory of requests, 16 bytes each, and of a closed loop 32.
	maxSlots = 1 << 22

	// rememberedLoad is how many requests are remembered at least, to know what comes late or again.
	rememberedLoad = 1 << 16
)

// A load is a Bench under way without its sockets: which requests are due, what they hold, and what the replies mean. It
// does no I/O and asks no clock; times are nanoseconds since the run began. It allocates nothing once it was made, and is used
// by one goroutine.
type load struct {
	kind      service.Kind
	rate      uint64 // requests a second; 0: a closed loop
	window    int    // of a closed loop: requests under way
	duration  int64
	total     uint64 // requests of an open loop
	questions questions
	matcher   *matcher
	lanes     *lanes

	clock clock.Clock // of time: what it reads; nil: it is not looked at
	slack time.Duration
	epoch time.Time // real time at 0

	latency, lag *recorder
	behind       uint64
	wrong        uint64
	unsent       uint64
	lastReply    int64
	silence      int64 // the longest time without a good reply so far
	lastSent     int64
	calls        []call // of a closed loop, by the matcher's slots
	held, cycle  int64  // of its answered requests: how long the generator held them up, and how long from handed over to read
	stopped      bool   // no more requests
	stoppedAt    int64
}

func newLoad(b *Bench) *load {
	matching := b.Service == service.Time
	run := batchSize
	if matching { // on a lane no two requests are to be under way
		run = min(run, b.sources())
	}
	l := &load{
		kind: b.Service, rate: uint64(b.Rate), window: b.Window, duration: int64(b.Duration),
		questions: newQuestions(b.Service, b.Size), lanes: newLanes(b.Sockets, b.sources(), run, matching),
		clock: b.Clock, latency: newRecorder(), lag: newRecorder(),
	}
	l.slack = tickOff
	if !b.Server.Addr().IsLoopback() {
		l.slack = time.Second // another host's clock is not quite this one's
	}
	if l.rate > 0 {
		hi, lo := bits.Mul64(l.rate, uint64(l.duration))
		l.total, lo = bits.Div64(hi, lo, uint64(time.Second))
		if lo > 0 {
			l.total++
		}
	}
	l.matcher = newMatcher(slots(b), int64(b.Timeout))
	if l.rate == 0 {
		l.calls = make([]call, len(l.matcher.slots))
	}
	return l
}

// slots is how many requests of a Bench are to be remembered: those that may leave while one waits for its time-out.
func slots(b *Bench) int {
	const (
		fastest   = 200_000   // replies a second, one after another
		quickest  = 1_000_000 // requests a second that one thread sends
		openSpare = 4         // times the time-out
	)
	perSecond := openSpare * float64(b.Rate)
	if b.Rate == 0 {
		perSecond = min(fastest*float64(b.Window-1), quickest) // while one waits, the others go on
	}
	return min(int(perSecond*b.Timeout.Seconds())+rememberedLoad, maxSlots)
}

// due is when the request seq of an open loop is to leave.
func (l *load) due(seq uint64) int64 {
	hi, lo := bits.Mul64(seq, uint64(time.Second))
	at, _ := bits.Div64(hi, lo, l.rate) // seq is below rate times an hour: it fits
	return int64(at)
}

// ready is how many requests are to leave now, all from one socket: at most a batch.
func (l *load) ready(now int64) int {
	next := l.matcher.next
	if !l.more(now) {
		return 0
	}
	if l.rate == 0 {
		return max(min(l.window-l.matcher.waiting, l.lanes.row(next)), 0)
	}
	n, most := 0, l.lanes.row(next)
	for n < most && next+uint64(n) < l.total && l.due(next+uint64(n)) <= now {
		n++
	}
	return n
}

// request appends the i-th request from the next on to b.
func (l *load) request(b []byte, i int) []byte {
	return l.questions.append(b, l.matcher.next+uint64(i))
}

// from is the lane that the i-th request from the next on leaves from.
func (l *load) from(i int) (socket, source uint64) { return l.lanes.of(l.matcher.next + uint64(i)) }

// sent takes in that the next n requests have left: they were handed to the system at now.
func (l *load) sent(n int, now int64) {
	l.lastSent = now
	for range n {
		due := now
		if l.rate > 0 {
			due = l.due(l.matcher.next)
			if now-due > behindBy {
				l.behind++
			}
			l.lag.record(time.Duration(now - due))
		}
		l.lanes.add(l.matcher.next)
		l.matcher.add(due)
	}
}

// leaving takes in how long the system took to send the last n requests of a closed loop, one after another.
func (l *load) leaving(n int, took int64) {
	for i := range uint64(n) {
		each := took / int64(n)
		l.calls[(l.matcher.next-uint64(n)+i)&l.matcher.mask] = call{int64(i) * each, each}
	}
}

// A call is how a request left: how long the system was busy with those before it, and how long with it.
type call struct{ before, own int64 }

// until is how much of the first after nanoseconds the request was in the generator's hands. Of its own share that is half:
// on loopback the other half is the receiver's work.
func (c call) until(after int64) int64 {
	before := min(c.before, after)
	return before + min(c.own, after-before)/2
}

// refuse takes in that the system did not send the next request, and never will.
func (l *load) refuse(now int64) {
	if l.rate > 0 {
		now = l.due(l.matcher.next)
	}
	l.lanes.add(l.matcher.next)
	l.matcher.skip(now)
	l.unsent++
}

// reply takes in a datagram that came at the time at, and was read at now, on a lane; where replies tell whose they are the
// lane is not looked at. whole is false where the datagram was longer than data.
func (l *load) reply(socket, source int, data []byte, whole bool, at, now int64) {
	seq, known, ok := l.questions.read(data)
	if !ok || !whole || l.kind == service.NTP && seq >= l.matcher.next {
		l.wrong++
		return
	}
	if !known {
		if seq, ok = l.lanes.match(l.matcher, socket, source); !ok {
			l.matcher.counts[doubled]++
			return
		}
		if l.clock != nil && !l.reads(data, seq, at) {
			l.wrong++
			return // its request is lost
		}
	}
	f, after := l.matcher.answer(seq, at)
	if f == answered || f == late {
		l.latency.record(time.Duration(after))
		l.silence = max(l.silence, at-l.lastReply)
		l.lastReply = max(l.lastReply, at)
		if l.rate == 0 {
			l.held += now - at + l.calls[seq&l.matcher.mask].until(after)
			l.cycle += now - at + after
		}
	}
}

// reads tells whether the reply to the request seq is what the clock read at some moment between its due time and at.
func (l *load) reads(data []byte, seq uint64, at int64) bool {
	if !l.matcher.knows(seq) {
		return true
	}
	due := l.matcher.slots[seq&l.matcher.mask].due
	first := clock.Read(l.clock, l.epoch.Add(time.Duration(due)-l.slack))
	last := clock.Read(l.clock, l.epoch.Add(time.Duration(at)+l.slack))
	said := rfc868.Time(binary.BigEndian.Uint32(data))
	from, to := rfc868.Of(first), rfc868.Of(last)
	if last.Before(first) { // it jumped back in between
		return said == from || said == to
	}
	return said-from <= to-from
}

// stop ends the requests before their time.
func (l *load) stop(now int64) {
	if !l.stopped {
		l.stopped, l.stoppedAt = true, now
	}
}

// more tells whether there are requests to come. What is still due when the time-out has passed after the end never leaves.
func (l *load) more(now int64) bool {
	switch {
	case l.stopped:
		return false
	case l.rate == 0:
		return now < l.duration
	}
	return l.matcher.next < l.total && now <= l.duration+l.matcher.timeout
}

// done tells whether the run is over: all requests have left, none waits for a reply, and the time has passed in which
// duplicates may come, which is about as long as the replies took.
func (l *load) done(now int64) bool {
	return l.stopped || !l.more(now) && l.matcher.waiting == 0 && now >= l.quiet()
}

func (l *load) quiet() int64 {
	return max(l.duration, max(l.lastReply, l.lastSent)+min(2*int64(l.latency.max), l.matcher.timeout))
}

// wake is when there is something to do at the latest, if nothing comes before.
func (l *load) wake(now int64) int64 {
	at := int64(math.MaxInt64)
	if expiry, ok := l.matcher.expiry(); ok {
		at = expiry
	}
	switch {
	case !l.more(now) && l.matcher.waiting == 0:
		at = l.quiet()
	case !l.more(now):
	case l.rate > 0:
		at = min(at, l.due(l.matcher.next))
	default:
		at = min(at, l.duration)
	}
	return at
}

// heldShare is, of a closed loop, the share of the round trips in the generator's hands: measured of each, or, where that is more,
// what is missing of a full window. By Little's law as many requests were under way on average as the rate times how long each was,
// and those that got no answer were until their time-out.
func (l *load) heldShare(r *BenchReport) float64 {
	if l.cycle == 0 {
		return 0
	}
	held := float64(l.held) / float64(l.cycle)
	if r.Sending > 0 && l.window > 0 {
		under := float64(r.Answered)*float64(r.Latency.Mean) + float64(r.Lost+r.Late)*float64(l.matcher.timeout)
		held = max(held, 1-under/(float64(l.window)*float64(r.Sending)))
	}
	return held
}

// report fills in what was counted. now is when the run ended.
func (l *load) report(r *BenchReport, now int64) {
	m := l.matcher
	r.Sent, r.Answered, r.Late, r.Lost, r.Pending = m.sent, m.counts[answered], m.counts[late], m.lost, uint64(m.waiting)
	r.Doubled, r.Wrong, r.Stray, r.Unsent = m.counts[doubled], l.wrong, r.Stray+m.counts[stray], l.unsent
	r.Shared = l.lanes.shared
	r.Latency, r.Lag, r.Behind = l.latency.spread(), l.lag.spread(), l.behind
	r.Took = time.Duration(now)
	sending := max(l.duration, l.lastSent)
	if l.stopped {
		sending = max(l.stoppedAt, l.lastSent)
	} else if l.rate > 0 {
		r.Unsent += l.total - m.next
	}
	r.Sending = time.Duration(sending)
	r.Silence = time.Duration(max(l.silence, sending-l.lastReply))
	if sending > 0 {
		r.SendRate = float64(m.sent) / r.Sending.Seconds()
	}
	r.Held = l.heldShare(r)
	if replying := max(sending, l.lastReply); replying > 0 {
		r.ReplyRate = float64(m.counts[answered]) / time.Duration(replying).Seconds()
	}
}
