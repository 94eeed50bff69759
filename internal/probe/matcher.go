package probe

// A fate is what became of a reply's request.
type fate uint8

const (
	answered fate = iota // the first good reply, in time
	late                 // the first good reply, after the time-out
	doubled              // a further good reply
	stray                // a reply to nothing that is remembered
)

// The states of a request.
const (
	waiting  uint8 = iota
	settled        // answered, or late
	timedOut       // lost, unless it turns out to be late
	declined       // lost before its time-out, as far as the host says
)

// A matcher knows the requests of a run by their sequence numbers, which begin at 0 and have no gaps, and counts what
// becomes of them. Times are nanoseconds since the run began. It remembers as many requests as it has slots; one that
// must make room while it waits is lost. A matcher allocates nothing and is used by one goroutine.
type matcher struct {
	slots   []request // 2^n; the one of seq is slots[seq&mask]
	mask    uint64
	timeout int64
	next    uint64 // the sequence number of the next request
	oldest  uint64 // the first that may be waiting

	waiting int    // requests under way
	sent    uint64 // all requests but the skipped ones
	counts  [stray + 1]uint64
	lost    uint64
}

// A request is one that was sent.
type request struct {
	due   int64
	state uint8
}

// newMatcher remembers at least the last n requests.
func newMatcher(n int, timeout int64) *matcher {
	size := 64
	for size < n {
		size *= 2
	}
	return &matcher{slots: make([]request, size), mask: uint64(size - 1), timeout: timeout}
}

// add takes in the next request, which was due at due: not before the one before it.
func (m *matcher) add(due int64) {
	m.place(request{due, waiting})
	m.waiting++
	m.sent++
}

// skip passes over a sequence number that was not sent.
func (m *matcher) skip(due int64) { m.place(request{due, settled}) }

func (m *matcher) place(r request) {
	if m.next-m.oldest == uint64(len(m.slots)) {
		m.giveUp()
	}
	m.slots[m.next&m.mask] = r
	m.next++
}

// giveUp settles the oldest request.
func (m *matcher) giveUp() {
	if r := &m.slots[m.oldest&m.mask]; r.state == waiting {
		r.state = timedOut
		m.waiting--
		m.lost++
	}
	m.oldest++
}

// knows tells whether seq is remembered.
func (m *matcher) knows(seq uint64) bool { return seq < m.next && m.next-seq <= uint64(len(m.slots)) }

// isWaiting tells whether the request seq is under way.
func (m *matcher) isWaiting(seq uint64) bool {
	return m.knows(seq) && m.slots[seq&m.mask].state == waiting
}

// answer takes in a good reply to the request seq that came at the time at, and returns what it is and how long after the
// due time it came. Replies may be told of later than they came: what counts is at.
func (m *matcher) answer(seq uint64, at int64) (f fate, after int64) {
	f = stray
	if m.knows(seq) {
		r := &m.slots[seq&m.mask]
		after = max(at-r.due, 0)
		f = answered
		if after > m.timeout {
			f = late
		}
		if !m.settle(seq) {
			f = doubled
		}
	}
	m.counts[f]++
	return f, after
}

// settle takes in that the request seq, which is remembered, needs no reply any more, and tells whether it was open so far.
func (m *matcher) settle(seq uint64) bool {
	r := &m.slots[seq&m.mask]
	switch r.state {
	case settled:
		return false
	case timedOut, declined:
		m.lost--
	case waiting:
		m.waiting--
	}
	r.state = settled
	return true
}

// decline takes in that the host has no reply to the request seq, and tells whether it was under way.
func (m *matcher) decline(seq uint64) bool {
	if !m.isWaiting(seq) {
		return false
	}
	m.slots[seq&m.mask].state = declined
	m.waiting--
	m.lost++
	return true
}

// only is the request that is under way, and whether there is one alone.
func (m *matcher) only() (seq uint64, ok bool) {
	if m.waiting != 1 {
		return 0, false
	}
	for seq = m.oldest; m.slots[seq&m.mask].state != waiting; seq++ {
	}
	return seq, true
}

// expire gives up the requests that have waited too long at now.
func (m *matcher) expire(now int64) {
	for m.oldest < m.next {
		if r := m.slots[m.oldest&m.mask]; r.state == waiting && now-r.due <= m.timeout {
			return
		}
		m.giveUp()
	}
}

// expiry is when the oldest request that waits times out, and whether there is one. It is right after expire.
func (m *matcher) expiry() (at int64, ok bool) {
	if m.oldest == m.next {
		return 0, false
	}
	return m.slots[m.oldest&m.mask].due + m.timeout + 1, true
}
