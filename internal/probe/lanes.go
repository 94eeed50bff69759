package probe

// lanes are the pairs of a source port and a source address that requests leave from, by turns. Requests of which the
// replies tell nothing are matched by them: in their order on a lane.
type lanes struct {
	sockets, sources uint64
	run              uint64 // this many requests in a row leave from one socket: a batch
	lanes            []lane // nil where replies tell whose they are
	shared           uint64 // replies that were matched while a later request of their lane had no reply yet either
}

// A lane counts its own requests, from 0.
type lane struct {
	next    uint64 // the number of the next request
	head    uint64 // the first that no reply was matched to, nor to a later one
	waiting uint64 // at least head: the first that may be waiting
}

func newLanes(sockets, sources, run int, matching bool) *lanes {
	l := &lanes{sockets: uint64(sockets), sources: uint64(sources), run: uint64(run)}
	if matching {
		l.lanes = make([]lane, sockets*sources)
	}
	return l
}

// of returns the lane that the request seq leaves from.
func (l *lanes) of(seq uint64) (socket, source uint64) {
	k := seq/(l.run*l.sockets)*l.run + seq%l.run // counts the requests of the socket
	return seq / l.run % l.sockets, k % l.sources
}

// seq returns the sequence number of a lane's i-th request: of's inverse.
func (l *lanes) seq(socket, source, i uint64) uint64 {
	k := i*l.sources + source
	return k/l.run*(l.run*l.sockets) + socket*l.run + k%l.run
}

// row is how many requests from seq on leave from the same socket.
func (l *lanes) row(seq uint64) int { return int(l.run - seq%l.run) }

// add takes in the request seq.
func (l *lanes) add(seq uint64) {
	if l.lanes != nil {
		socket, source := l.of(seq)
		l.lanes[socket*l.sources+source].next++
	}
}

// match returns whose a reply is that came on a lane: the first request that waits there, else the first that has timed
// out. Where there is neither it is a further reply to one that has been answered, and ok is false.
func (l *lanes) match(m *matcher, socket, source int) (seq uint64, ok bool) {
	n := &l.lanes[uint64(socket)*l.sources+uint64(source)]
	for n.waiting < n.next && !m.isWaiting(l.seq(uint64(socket), uint64(source), n.waiting)) {
		n.waiting++
	}
	if n.waiting < n.next {
		n.head = n.waiting
	}
	if n.head == n.next {
		return 0, false
	}
	seq = l.seq(uint64(socket), uint64(source), n.head)
	n.head++
	n.waiting = max(n.waiting, n.head)
	if n.head < n.next {
		l.shared++
	}
	return seq, true
}
