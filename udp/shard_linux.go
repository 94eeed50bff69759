//go:build !yesterday_portable

package udp

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/cpus"
)

// spinFor is how long a shard looks for the next datagram before it goes to sleep: waking up costs more than this, and
// who asks in a close sequence gets the answer in half the time.
const spinFor = 25 * time.Microsecond

// sendFor is how long the replies of one batch may wait for a device that is full: others wait behind them.
const sendFor = 20 * time.Millisecond

// dueBatches is how many batches of held replies are sent between two looks at the socket and at a stop: requests must
// not get stale while many replies are due at once, nor may the replies wait for the requests to end.
const dueBatches = 4

// A shard is one socket of a port with its own thread and buffers. Its loop allocates nothing and takes no lock.
type shard struct {
	listener *Listener
	fd       int
	port     uint16
	service  string
	handler  exchange.Handler
	ring     *exchange.Ring
	counters exchange.Counters
	abandon  atomic.Bool // end without answering what waits

	in       *inbound
	out      *outbound
	queued   [batchSize]queued
	held     heldQueue
	request  exchange.Request
	reply    exchange.Reply
	zones    map[uint32]string
	overflow uint32 // the kernel's count, which wraps
	failures int    // receives that failed in a row

	fragments bool // replies are cut up where they are too long

	spin    time.Duration // how long it looks for the next datagram before it goes to sleep
	sendFor time.Duration // how long the replies of one batch may wait for a device that is full
}

// A queued is what is told of a reply once it is sent.
type queued struct {
	told  *exchange.Record // nil where nothing is written down
	notes exchange.Notes
	held  *held // it was held back, and has all that is told
}

func newShard(l *Listener, i int, service string, h exchange.Handler, ring *exchange.Ring) *shard {
	spin := spinFor
	if !cpus.Several() {
		spin = 0 // there is nobody to wait for while spinning
	}
	return &shard{
		listener: l,
		fd:       l.fds[i],
		port:     l.addr.Port(),
		service:  service,
		handler:  h,
		ring:     ring,
		in:       newInbound(),
		out:      newOutbound(),
		zones:    make(map[uint32]string),
		spin:     spin,
		sendFor:  sendFor,
	}
}

// run answers until it is stopped, which is no error, or the socket breaks.
func (s *shard) run() error {
	// Wake-ups of a thread of its own are not handed over, and batches stay on one core.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer s.dropHeld()
	busy := time.Now()
	for {
		n, err := s.turn()
		switch {
		case err != nil:
			return err
		case s.listener.stopping.Load():
			return s.drain()
		case n > 0:
			busy = time.Now()
		case time.Since(busy) >= s.spin:
			s.rest()
			if err := s.wait(); err != nil {
				return err
			}
		}
	}
}

// drain answers what has been received by now, and then sends what is due soon.
func (s *shard) drain() error {
	for end := time.Now().Add(drainFor); !s.abandon.Load() && time.Now().Before(end); {
		n, err := s.turn()
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	now := time.Now()
	for soon, end := now.Add(dueSoon), now.Add(drainFor); !s.abandon.Load() && !s.sendDue(soon) && time.Now().Before(end); {
		s.publish()
	}
	return nil
}

// wait sleeps until there is something to receive, to send, or to stop for.
func (s *shard) wait() error {
	fds := [2]unix.PollFd{{Fd: int32(s.listener.stopFD), Events: unix.POLLIN}, {Fd: int32(s.fd), Events: unix.POLLIN}}
	watched := fds[:]
	pause := time.Hour // as long as any: after it one just looks
	if s.failures > batchSize {
		// A socket that fails again and again must not keep a core busy.
		pause = 10 * time.Millisecond
		watched = fds[:1]
	}
	if due := s.held.next(); !due.IsZero() {
		pause = min(pause, max(time.Until(due), 0))
	}
	timeout := unix.NsecToTimespec(int64(pause))
	for {
		_, err := unix.Ppoll(watched, &timeout, nil) // the kernel leaves in timeout what is left of it
		switch {
		case err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOMEM:
			continue
		case err != nil:
			return fmt.Errorf("udp: wait on port %d: %w", s.port, err)
		case fds[1].Revents&unix.POLLNVAL != 0:
			return fmt.Errorf("udp: the socket of port %d is gone", s.port)
		}
		return nil
	}
}

// turn receives a batch, answers it, sends what else is due and returns how many datagrams were received.
func (s *shard) turn() (int, error) {
	n, errno := s.in.receive(s.fd)
	if errno != 0 {
		if err := s.receiveFailed(errno); err != nil || len(s.held.heap) == 0 {
			return 0, err
		}
	} else {
		s.failures = 0
		now := time.Now()
		for i := range n {
			s.serve(i, now)
		}
		s.send()
		s.in.reset(n)
	}
	if len(s.held.heap) > 0 {
		s.sendDue(time.Now())
	}
	s.publish()
	return n, nil
}

// serve handles datagram i of the batch and queues the reply, or holds it back.
func (s *shard) serve(i int, now time.Time) {
	h := &s.in.messages[i].Header
	c := parseControl(s.in.controls[i][:h.Controllen])
	if c.told {
		s.counters.Local.Overflow += uint64(c.overflow - s.overflow)
		s.overflow = c.overflow
	}
	r := &s.request
	r.Data = s.in.datagram(i)
	r.Truncated = h.Flags&unix.MSG_TRUNC != 0
	r.Multicast = c.to.Multicast
	r.From = sourceOf(&s.in.names[i], s.zone)
	r.To = netip.AddrPortFrom(c.to.Addr, s.port)
	r.Received = c.received
	r.Clock = nil
	if r.Received.IsZero() {
		r.Received = now.Round(0).UTC()
	}
	s.reply = exchange.Reply{Data: s.out.buffer()}

	verdict := exchange.Stale
	if now.Sub(r.Received) <= staleAfter {
		verdict = s.handler.Serve(&s.reply, r)
	}
	if verdict == exchange.Answer && holds(&s.reply) {
		if !s.hold(&destination{s.in.names[i], h.Namelen, c.to}) {
			verdict = exchange.Full
		} else if s.reply.Delay > 0 {
			return // counted and told when it is sent
		}
	}
	var told *exchange.Record
	if s.ring != nil {
		if told = s.ring.Slot(); told != nil {
			told.Tell(s.service, "udp", r, &s.reply, verdict)
		}
	}
	if verdict == exchange.Answer {
		s.queued[s.out.n] = queued{told: told, notes: s.reply.Notes}
		s.out.keep(s.reply.Data)
		s.out.add(s.reply.Data, h.Name, h.Namelen, c.to)
		return // counted when it is sent
	}
	s.counters.Local.Count(verdict, s.reply.Notes)
}

// sendDue sends what was held back and is due at now, at most dueBatches batches of it, and tells whether that was all.
func (s *shard) sendDue(now time.Time) (all bool) {
	for range dueBatches {
		for s.out.n < batchSize {
			h := s.held.take(now)
			if h == nil {
				break
			}
			s.queued[s.out.n] = queued{held: h}
			s.out.add(h.data, &h.to.name[0], h.to.namelen, h.to.from)
		}
		all = s.out.n < batchSize
		s.send()
		if all {
			break
		}
	}
	return all
}

// send sends what is queued. A reply that the system refuses is counted and passed over; so are those that a full
// device does not take in time.
func (s *shard) send() {
	var patience time.Duration // left of s.sendFor; 0: it was not needed yet
	for first := 0; first < s.out.n; {
		n, errno := s.out.send(s.fd, first)
		for _, q := range s.queued[first : first+n] {
			if q.held != nil {
				s.settle(q.held, exchange.Answer)
				continue
			}
			s.counters.Local.Count(exchange.Answer, q.notes)
		}
		first += n
		if errno == 0 || errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN && s.waitToSend(&patience) || errno == unix.EMSGSIZE && s.fragment() {
			continue
		}
		if q := s.queued[first]; q.held != nil {
			s.settle(q.held, exchange.Unsent)
		} else {
			s.counters.Local.Count(exchange.Unsent, 0)
			if q.told != nil {
				tellUnsent(q.told)
			}
		}
		first++
	}
	s.out.n = 0
}

// fragment has the kernel cut up IPv4 replies that are too long for their way from now on, and tells whether that is new.
func (s *shard) fragment() bool {
	if s.fragments {
		return false
	}
	s.fragments = true
	return unix.SetsockoptInt(s.fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_WANT) == nil
}

// waitToSend waits until the socket takes more, and tells whether to try. patience is what is left of the batch's
// time for it: -1 when that is used up, 0 before the first wait.
func (s *shard) waitToSend(patience *time.Duration) bool {
	if *patience < 0 {
		return false
	}
	if *patience == 0 {
		*patience = s.sendFor
	}
	start := time.Now()
	timeout := unix.NsecToTimespec(int64(*patience))
	fds := [1]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	_, err := unix.Ppoll(fds[:], &timeout, nil)
	if *patience -= time.Since(start); *patience <= 0 {
		*patience = -1
	}
	return fds[0].Revents&unix.POLLOUT != 0 || err == unix.EINTR && *patience > 0 // a signal is no answer
}

// receiveFailed counts an error that passes, and returns one that does not.
func (s *shard) receiveFailed(errno syscall.Errno) error {
	switch errno {
	case unix.EAGAIN, unix.EINTR:
		return nil
	case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS:
		return fmt.Errorf("udp: receive on port %d: %w", s.port, errno)
	}
	// What is left tells of a former reply (ECONNREFUSED), the network or the memory of the moment.
	s.failures++
	s.counters.Local.Errors++
	s.counters.Publish()
	return nil
}

// zone names an interface as addresses do. Names are looked up once.
func (s *shard) zone(index uint32) string {
	name, ok := s.zones[index]
	if !ok {
		name = strconv.FormatUint(uint64(index), 10)
		if iface, err := net.InterfaceByIndex(int(index)); err == nil {
			name = iface.Name
		}
		s.zones[index] = name
	}
	return name
}
