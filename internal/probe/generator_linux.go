//go:build !yesterday_portable

package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/internal/cpus"
	"github.com/yesterday-time/yesterday/internal/mmsg"
)

const (
	// spinAfter is how long the generator looks for replies before it goes to sleep, and spinBefore how long before a due
	// time it wakes up: sleeping is only so exact.
	spinAfter  = int64(200 * time.Microsecond)
	spinBefore = int64(100 * time.Microsecond)

	// failuresInRow is how many requests the system may decline to send before that counts as a failure.
	failuresInRow = 64
)

// A generator is the sockets of a Bench, and the one thread that sends and receives. Its loop allocates nothing.
type generator struct {
	load      *load
	server    netip.AddrPort
	sockets   []port
	connected bool // the sockets are
	name      mmsg.Sockaddr
	nameLen   uint32
	origins   []origin           // by source, where there are several
	sources   map[netip.Addr]int // by address, where replies are matched by it
	in, out   *batch
	epoll     int // of all sockets, where there are several
	stopFD    int // an eventfd
	stopped   atomic.Bool
	events    [batchSize]unix.EpollEvent
	spin      bool

	refused, unreachable, stray uint64
	failures                    int
	reason                      syscall.Errno // why a request was last not sent; 0: none was
	sent, answered              atomic.Uint64
}

// A port is a socket of a generator.
type port struct {
	fd   int
	errs bool // something is said of what was sent
}

func newGenerator(b *Bench, l *load) (made *generator, err error) {
	g := &generator{load: l, server: b.Server, epoll: -1, stopFD: -1, connected: len(b.Sources) <= 1, spin: cpus.Several()}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	_, family, err := sockaddrOf(b.Server)
	if err != nil {
		return nil, err
	}
	zone := uint32(0)
	if sa, _, _ := sockaddrOf(b.Server); family == unix.AF_INET6 {
		zone = sa.(*unix.SockaddrInet6).ZoneId
	}
	g.name, g.nameLen = mmsg.SockaddrOf(b.Server, zone)
	if g.stopFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	for _, source := range b.Sources {
		if err := usable(source, family); err != nil {
			return nil, err
		}
		if !g.connected {
			g.origins = append(g.origins, originOf(source))
		}
	}
	if l.lanes.lanes != nil && !g.connected {
		g.sources = make(map[netip.Addr]int, len(b.Sources))
		for i, s := range b.Sources {
			g.sources[s] = i
		}
	}
	for range b.Sockets {
		fd, err := g.open(b, family)
		if err != nil {
			return nil, err
		}
		g.sockets = append(g.sockets, port{fd: fd})
	}
	if len(g.sockets) > 1 {
		if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return nil, fmt.Errorf("epoll: %w", err)
		}
		for i, s := range g.sockets {
			e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
			if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, s.fd, &e); err != nil {
				return nil, fmt.Errorf("epoll: %w", err)
			}
		}
	}
	g.in, g.out = newBatch(max(l.questions.size, 512)), newBatch(max(l.questions.size, 1))
	g.in.reset(batchSize)
	return g, nil
}

func (g *generator) close() {
	for _, s := range g.sockets {
		unix.Close(s.fd)
	}
	for _, fd := range []int{g.epoll, g.stopFD} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// counts is how many requests were sent and how many answered so far. Any goroutine may ask.
func (g *generator) counts() (sent, answered uint64) { return g.sent.Load(), g.answered.Load() }

// run puts the server under load.
func (g *generator) run(ctx context.Context) (BenchReport, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // a sleep ends when it is to, not 50 µs later
	defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	defer g.stopWith(ctx)()

	cpu := threadTime()
	busy, err := g.loop()
	r := BenchReport{Busy: busy, Generator: threadTime() - cpu}
	for i, s := range g.sockets {
		g.hear(i)
		r.Overflow += dropped(s.fd)
	}
	r.Refused, r.Unreachable, r.Stray = g.refused, g.unreachable, g.stray
	if g.reason != 0 {
		r.Reason = g.reason
	}
	return r, err
}

// loop sends and receives until the run is over, and returns for which share of the time until the last request had left it had
// something to do.
func (g *generator) loop() (busy float64, err error) {
	var idle, sending int64 // sending is when the last request had left
	last, resting := int64(0), false
	active := int64(0)
	for {
		clock := time.Now()
		now := int64(clock.Sub(g.load.epoch))
		if resting && sending == 0 {
			idle += now - last
		}
		if g.stopped.Load() {
			g.load.stop(now)
		}
		did, err := g.turn(now, clock.UnixNano())
		if sending == 0 && (err != nil || !g.load.more(now)) {
			sending = max(now, 1)
		}
		if err != nil || g.load.done(now) {
			return 1 - float64(idle)/float64(sending), err
		}
		last, resting = now, !did
		switch {
		case did:
			active = now
		case !g.spin || now-active > spinAfter:
			if err := g.sleep(now); err != nil {
				return 1 - float64(idle)/float64(cmp.Or(sending, max(now, 1))), err
			}
		default:
			// A server that was woken by a request is put on this CPU, in the belief that its sender is about to sleep.
			syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		}
	}
}

// stopWith makes the end of ctx that of the run. The returned function undoes it.
func (g *generator) stopWith(ctx context.Context) func() {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		g.stopped.Store(true)
		unix.Write(g.stopFD, []byte{7: 1, 0: 1}) // not 0 in either byte order
	})
	return func() {
		if !stop() {
			<-over // the eventfd is not to be written to once it is closed
		}
	}
}

// turn receives what has come and sends what is due, at most a batch, and tells whether there was any. wall is now in
// nanoseconds since 1970.
func (g *generator) turn(now, wall int64) (did bool, err error) {
	received, err := g.receive(now, wall-now)
	if err != nil {
		return false, err
	}
	g.load.matcher.expire(now - g.mercy(received))
	sent, err := g.send(now)
	g.sent.Store(g.load.matcher.sent)
	g.answered.Store(g.load.matcher.counts[answered])
	return received > 0 || sent, err
}

// mercy is how much longer than its time-out a request waits while there is more to read: its reply may be there.
func (g *generator) mercy(received int) int64 {
	if received > 0 {
		return int64(100 * time.Millisecond)
	}
	return 0
}

// receive reads a batch from each socket that has something. wall is nanoseconds since 1970 at the run's begin, as of now.
func (g *generator) receive(now, wall int64) (int, error) {
	if g.epoll < 0 {
		return g.read(0, now, wall)
	}
	n, err := unix.EpollWait(g.epoll, g.events[:], 0)
	if err != nil && err != unix.EINTR {
		return 0, fmt.Errorf("epoll: %w", err)
	}
	sum := 0
	for _, e := range g.events[:max(n, 0)] {
		g.sockets[e.Fd].errs = e.Events&unix.EPOLLERR != 0
		n, err := g.read(int(e.Fd), now, wall)
		if err != nil {
			return sum, err
		}
		sum += n
	}
	return sum, nil
}

// read reads a batch from a socket.
func (g *generator) read(socket int, now, wall int64) (int, error) {
	s := &g.sockets[socket]
	if s.errs {
		g.hear(socket)
	}
	n, errno := g.in.receive(s.fd, 0)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.EINVAL, unix.ENOSYS:
		return 0, fmt.Errorf("receive: %w", errno)
	default: // of the network, or the memory of the moment
		g.hear(socket)
		return 0, nil
	}
	for i := range n {
		h := &g.in.messages[i].Header
		c := readNote(g.in.controls[i][:h.Controllen])
		at := now
		// A datagram may come between the reading of now and that of the socket, and so after now. A second is what no
		// datagram waits for here: the host's clock was set.
		if came := c.stamp - wall; c.stamp != 0 && max(came-now, now-came) < int64(time.Second) {
			at = came
		}
		source := 0
		if !g.connected {
			if !g.in.names[i].Same(&g.name) {
				g.stray++
				continue
			}
			if g.sources != nil {
				var ok bool
				if source, ok = g.sources[c.to]; !ok {
					g.stray++
					continue
				}
			}
		}
		size := min(int(g.in.messages[i].Length), len(g.in.buffers[i]))
		g.load.reply(socket, source, g.in.buffers[i][:size], h.Flags&unix.MSG_TRUNC == 0, at, max(at, now))
	}
	g.in.reset(n)
	return n, nil
}

// send sends the requests that are due, at most a batch, and tells whether there was one.
func (g *generator) send(now int64) (bool, error) {
	n := g.load.ready(now)
	if n == 0 {
		return false, nil
	}
	socket := uint64(0)
	for i := range n {
		data := g.load.request(g.out.buffers[i][:0], i)
		g.out.vectors[i].SetLen(len(data))
		h := &g.out.messages[i].Header
		var source uint64
		if socket, source = g.load.from(i); !g.connected {
			h.Name, h.Namelen = &g.name[0], g.nameLen
			o := &g.origins[source]
			h.Control = &o.data[0]
			h.SetControllen(o.size)
		}
	}
	handed := int64(time.Since(g.load.epoch)) // what came before this is the generator's time, not the server's
	went, errno := g.out.send(g.sockets[socket].fd, n)
	g.load.sent(went, handed)
	if g.load.rate == 0 {
		g.load.leaving(went, int64(time.Since(g.load.epoch))-handed)
	}
	switch errno {
	case 0:
		g.failures = 0
	case unix.EAGAIN, unix.EINTR, unix.ENOBUFS: // the network takes no more at the moment
		return went > 0, nil
	default:
		if g.hear(int(socket)) > 0 || errno == unix.ECONNREFUSED { // that was said of earlier ones
			return true, nil
		}
		g.load.refuse(handed)
		g.reason = errno
		if g.failures++; g.failures >= failuresInRow {
			return false, fmt.Errorf("send to %v: %w", g.server, errno)
		}
	}
	return true, nil
}

// sleep waits for a reply, a due time, or the end.
func (g *generator) sleep(now int64) error {
	left := g.load.wake(now) - now
	if g.spin {
		left -= spinBefore
	}
	if left <= 0 {
		return nil
	}
	fd := g.epoll
	if fd < 0 {
		fd = g.sockets[0].fd
	}
	fds := [2]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(g.stopFD), Events: unix.POLLIN}}
	timeout := unix.NsecToTimespec(min(left, int64(time.Second)))
	_, err := unix.Ppoll(fds[:], &timeout, nil)
	if g.epoll < 0 && fds[0].Revents&unix.POLLERR != 0 {
		g.sockets[0].errs = true
	}
	if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("wait: %w", err)
	}
	return nil
}

// threadTime is the CPU time that this thread has used.
func threadTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
