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
)

// spinFor is how long a shard looks for the next datagram before it goes to sleep: waking up costs more than this, and
// who asks in a close sequence gets the answer in half the time.
const spinFor = 25 * time.Microsecond

// sendFor is how long the replies of one batch may wait for a device that is full: others wait behind them.
const sendFor = 20 * time.Millisecond

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
	request  exchange.Request
	reply    exchange.Reply
	zones    map[uint32]string
	overflow uint32 // the kernel's count, which wraps
	failures int    // receives that failed in a row
}

// A queued is what is told of a reply once it is sent.
type queued struct {
	told  *exchange.Record // nil where nothing is written down
	notes exchange.Notes
}

func newShard(l *Listener, i int, service string, h exchange.Handler, ring *exchange.Ring) *shard {
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
	}
}

// run answers until it is stopped, which is no error, or the socket breaks.
func (s *shard) run() error {
	// Wake-ups of a thread of its own are not handed over, and batches stay on one core.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	spin := spinFor
	if runtime.NumCPU() == 1 {
		spin = 0 // there is nobody to wait for while spinning
	}
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
		case time.Since(busy) >= spin:
			if err := s.wait(); err != nil {
				return err
			}
		}
	}
}

// drain answers what has been received by now.
func (s *shard) drain() error {
	for end := time.Now().Add(drainFor); !s.abandon.Load() && time.Now().Before(end); {
		n, err := s.turn()
		if n == 0 || err != nil {
			return err
		}
	}
	return nil
}

// wait sleeps until there is something to receive, or to stop for.
func (s *shard) wait() error {
	// A socket that fails again and again must not keep a core busy.
	var pause *unix.Timespec
	fds := [2]unix.PollFd{{Fd: int32(s.listener.stopFD), Events: unix.POLLIN}, {Fd: int32(s.fd), Events: unix.POLLIN}}
	watched := fds[:]
	if s.failures > batchSize {
		ten := unix.NsecToTimespec(int64(10 * time.Millisecond))
		pause = &ten
		watched = fds[:1]
	}
	for {
		_, err := unix.Ppoll(watched, pause, nil)
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

// turn receives a batch, answers it and returns how many datagrams there were.
func (s *shard) turn() (int, error) {
	n, errno := s.in.receive(s.fd)
	if errno != 0 {
		return 0, s.receiveFailed(errno)
	}
	s.failures = 0
	now := time.Now()
	for i := range n {
		s.serve(i, now)
	}
	s.send()
	s.in.reset(n)
	if s.ring != nil {
		s.ring.Flush()
		s.counters.Local.Untold = s.ring.Lost()
	}
	s.counters.Publish()
	return n, nil
}

// serve handles datagram i of the batch and queues the reply.
func (s *shard) serve(i int, now time.Time) {
	h := &s.in.messages[i].header
	c := parseControl(s.in.controls[i][:h.Controllen])
	if c.told {
		s.counters.Local.Overflow += uint64(c.overflow - s.overflow)
		s.overflow = c.overflow
	}
	r := &s.request
	r.Data = s.in.datagram(i)
	r.Truncated = h.Flags&unix.MSG_TRUNC != 0
	r.Multicast = c.to.multicast
	r.From = s.in.names[i].source(s.zone)
	r.To = netip.AddrPortFrom(c.to.addr, s.port)
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
	var told *exchange.Record
	if s.ring != nil {
		if told = s.ring.Slot(); told != nil {
			told.Tell(s.service, "udp", r, &s.reply, verdict)
		}
	}
	if verdict == exchange.Answer {
		s.queued[s.out.n] = queued{told, s.reply.Notes}
		s.out.add(s.reply.Data, s.in, i, c.to)
		return // counted when it is sent
	}
	s.counters.Local.Count(verdict, 0)
}

// send sends what is queued. A reply that the system refuses is counted and passed over; so are those that a full
// device does not take in time.
func (s *shard) send() {
	var patience time.Duration // left of sendFor; 0: it was not needed yet
	for first := 0; first < s.out.n; {
		n, errno := s.out.send(s.fd, first)
		for _, q := range s.queued[first : first+n] {
			s.counters.Local.Count(exchange.Answer, q.notes)
		}
		first += n
		if errno == 0 || errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN && s.waitToSend(&patience) {
			continue
		}
		s.counters.Local.Count(exchange.Unsent, 0)
		if told := s.queued[first].told; told != nil {
			told.Verdict, told.Told, told.Notes, told.Answered = exchange.Unsent, time.Time{}, 0, 0
		}
		first++
	}
	s.out.n = 0
}

// waitToSend waits until the socket takes more, and tells whether to try. patience is what is left of the batch's
// time for it: -1 when that is used up, 0 before the first wait.
func (s *shard) waitToSend(patience *time.Duration) bool {
	if *patience < 0 {
		return false
	}
	if *patience == 0 {
		*patience = sendFor
	}
	start := time.Now()
	timeout := unix.NsecToTimespec(int64(*patience))
	fds := [1]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	unix.Ppoll(fds[:], &timeout, nil)
	if *patience -= time.Since(start); *patience <= 0 {
		*patience = -1
	}
	return fds[0].Revents&unix.POLLOUT != 0
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
