//go:build !yesterday_portable

package probe

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// Every datagram is to be stamped where the network's driver is handed it, and where it is taken from there. The stamps of
// those that were sent come back through the socket's error queue, which Go's own poller cannot wait for.
const (
	stampKinds = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
		unix.SOF_TIMESTAMPING_OPT_TSONLY
	stampsByNumber = stampKinds | unix.SOF_TIMESTAMPING_OPT_ID
)

// tags is how many datagrams may be under way to the network's driver at once.
const tags = 1024

// A watch is sockets that one goroutine waits for.
type watch struct {
	server  netip.AddrPort
	epoll   int
	stop    int // an eventfd
	came    chan arrival
	ended   chan struct{} // closed by close
	reading sync.WaitGroup

	mu      sync.Mutex
	sockets map[uint64]*stamped // by handle
	dropped uint64              // of those that were shut
}

// A stamped is a connected socket whose datagrams the kernel stamps.
type stamped struct {
	fd   int
	sent uint32       // datagrams, as the kernel counts them
	seqs [tags]uint64 // by that count
}

// stopHandle is the eventfd's among the handles.
const stopHandle = 1<<64 - 1

func connectTo(server netip.AddrPort) (network, error) {
	w, err := newWatch(server)
	if err != nil {
		return nil, err
	}
	w.reading.Go(w.read)
	return w, nil
}

// newWatch makes a watch that nobody reads yet.
func newWatch(server netip.AddrPort) (*watch, error) {
	w := &watch{server: server, epoll: -1, came: make(chan arrival, 256), ended: make(chan struct{}), sockets: make(map[uint64]*stamped)}
	var err error
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if w.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(w.epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := w.add(w.stop, stopHandle); err != nil {
		unix.Close(w.epoll)
		unix.Close(w.stop)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return w, nil
}

func (w *watch) arrivals() <-chan arrival { return w.came }

// add waits for what comes to fd.
func (w *watch) add(fd int, handle uint64) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(uint32(handle)), Pad: int32(uint32(handle >> 32))}
	return unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &e)
}

func (w *watch) open(handle uint64) error {
	to, family, err := sockaddrOf(w.server)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	widen(fd)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampsByNumber) // else there are no stamps
	if err := unix.Connect(fd, to); err != nil {
		unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.add(fd, handle); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll: %w", err)
	}
	w.sockets[handle] = &stamped{fd: fd}
	return nil
}

func (w *watch) send(handle, seq uint64, data []byte) (before time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sockets[handle]
	s.seqs[s.sent%tags] = seq
	before = time.Now()
	if _, err = unix.Write(s.fd, data); err == nil {
		s.sent++
		return before, nil
	}
	// Kernels differ in whether they count a datagram that failed: let them begin anew.
	unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampKinds)
	unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stampsByNumber)
	s.sent = 0
	return before, err
}

func (w *watch) shut(handle uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sockets[handle]; s != nil {
		w.dropped += dropped(s.fd)
		unix.Close(s.fd) // which takes it from the epoll too
		delete(w.sockets, handle)
	}
}

func (w *watch) overflow() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.dropped
	for _, s := range w.sockets {
		n += dropped(s.fd)
	}
	return n
}

func (w *watch) close() {
	close(w.ended)
	unix.Write(w.stop, []byte{7: 1, 0: 1}) // not 0 in either byte order
	w.reading.Wait()
	for handle := range w.sockets {
		w.shut(handle)
	}
	unix.Close(w.epoll)
	unix.Close(w.stop)
}

// read passes on what comes until the end.
func (w *watch) read() {
	var events [64]unix.EpollEvent
	data, control := make([]byte, 1<<16), make([]byte, 512)
	for {
		n, err := unix.EpollWait(w.epoll, events[:], -1)
		if err != nil && err != unix.EINTR {
			w.pass(arrival{err: fmt.Errorf("wait: %w", err)})
			return
		}
		came, stopped := w.gather(events[:max(n, 0)], data, control)
		if stopped {
			return
		}
		for _, a := range came {
			if !w.pass(a) {
				return
			}
		}
	}
}

// gather takes what came to these sockets, in the order in which it came, whatever socket it came to. stopped tells that the
// watch is to end.
func (w *watch) gather(events []unix.EpollEvent, data, control []byte) (came []arrival, stopped bool) {
	for _, e := range events {
		handle := uint64(uint32(e.Pad))<<32 | uint64(uint32(e.Fd))
		if handle == stopHandle {
			return nil, true
		}
		came = append(came, w.take(handle, data, control)...)
	}
	slices.SortStableFunc(came, func(a, b arrival) int { return a.at.Compare(b.at) })
	return came, false
}

func (w *watch) pass(a arrival) bool {
	select {
	case w.came <- a:
		return true
	case <-w.ended:
		return false
	}
}

// take reads one datagram of a socket and all stamps, and returns them with the stamps first: when a reply is there, so is
// the stamp of its request.
func (w *watch) take(handle uint64, data, control []byte) (came []arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sockets[handle]
	if s == nil {
		return nil // shut in between
	}
	n, said, _, _, err := unix.Recvmsg(s.fd, data, control, unix.MSG_DONTWAIT)
	a := arrival{handle: handle, at: time.Now(), err: err}
	if err == nil {
		a.data = bytes.Clone(data[:n])
		stamp, _, _ := readStamp(control[:said])
		a.at, a.kernel = atStamp(a.at, stamp)
	}
	for {
		_, said, _, _, err := unix.Recvmsg(s.fd, nil, control, unix.MSG_DONTWAIT|unix.MSG_ERRQUEUE)
		if err != nil {
			break
		}
		now := time.Now()
		if stamp, id, ok := readStamp(control[:said]); ok && s.sent-id <= tags {
			at, kernel := atStamp(now, stamp)
			came = append(came, arrival{handle: handle, sent: true, seq: s.seqs[id%tags], at: at, kernel: kernel})
		}
	}
	if a.err == unix.EAGAIN || a.err == unix.EINTR {
		return came
	}
	return append(came, a)
}

// readStamp finds the kernel's stamp in what it says beside a datagram, and of one that was sent its number.
func readStamp(control []byte) (stamp time.Time, id uint32, sent bool) {
	for {
		m, rest, ok := mmsg.Next(control)
		if !ok {
			return stamp, id, sent && !stamp.IsZero()
		}
		control = rest
		if s, ns, ok := m.SoftwareStamp(); ok {
			stamp = time.Unix(s, ns)
		} else if n, ok := m.Stamped(); ok {
			id, sent = n, true
		}
	}
}

// atStamp takes the time read, which has a monotonic reading, back to the stamp. A stamp that lies before it by more than a
// second, or after it, is of a clock that was set in between: then it returns read, and false.
func atStamp(read, stamp time.Time) (time.Time, bool) {
	if stamp.IsZero() {
		return read, false
	}
	if waited := read.Round(0).Sub(stamp); 0 <= waited && waited <= time.Second {
		return read.Add(-waited), true
	}
	return read, false
}

// sockaddrOf returns an address as the system has it, and its family.
func sockaddrOf(a netip.AddrPort) (unix.Sockaddr, int, error) {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		if iface, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(iface.Index)
		} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			sa.ZoneId = uint32(n)
		} else {
			return nil, 0, fmt.Errorf("no interface %q", zone)
		}
	}
	return sa, unix.AF_INET6, nil
}
