//go:build !yesterday_portable

package udp

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/ipv6"
	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// still returns a shard whose loop does not run, so that a test can turn it, and a client of it.
func still(t testing.TB, addr netip.AddrPort, ring *exchange.Ring) (*shard, *net.UDPConn) {
	t.Helper()
	l, err := Listen(addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return newShard(l, 0, "echo", echo, ring), dial(t, l.Addr())
}

// onEach runs a test for each kind of address that can be bound.
func onEach(t *testing.T, test func(t *testing.T, addr netip.AddrPort)) {
	for name, addr := range map[string]netip.AddrPort{
		"IPv4": loopback, "IPv6": netip.MustParseAddrPort("[::1]:0"), "all of IPv4": netip.MustParseAddrPort("0.0.0.0:0"), "all": {},
	} {
		t.Run(name, func(t *testing.T) {
			if !addr.Addr().Is4() {
				ipv6.Need(t)
			}
			test(t, addr)
		})
	}
}

func TestBatchLoopAllocatesNothing(t *testing.T) {
	tap := exchange.NewTap()
	onEach(t, func(t *testing.T, addr netip.AddrPort) {
		s, conn := still(t, addr, tap.Ring())
		data, reply := []byte("hello"), make([]byte, 16)
		if n := testing.AllocsPerRun(500, func() {
			conn.Write(data)
			conn.Write(data)
			for answered := 0; answered < 2; {
				n, err := s.turn()
				if err != nil {
					t.Fatal(err)
				}
				answered += n
			}
			conn.Read(reply)
			conn.Read(reply)
		}); n != 0 {
			t.Errorf("%v allocations a batch", n)
		}
	})
}

// A buffer that has grown for a long reply is kept for the next.
func TestLongRepliesAllocateNothing(t *testing.T) {
	s, conn := still(t, loopback, nil)
	data, reply := make([]byte, 4*replyRoom), make([]byte, 4*replyRoom)
	if n := testing.AllocsPerRun(100, func() {
		conn.Write(data)
		for n := 0; n == 0; {
			var err error
			if n, err = s.turn(); err != nil {
				t.Fatal(err)
			}
		}
		conn.Read(reply)
	}); n != 0 {
		t.Errorf("%v allocations a reply", n)
	}
}

// The reply to a datagram sent to one of many addresses leaves from it.
func TestReplyAddress(t *testing.T) {
	addr, _ := serve(t, new(Server), netip.AddrPort{}, 1)
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"} {
		t.Run(host, func(t *testing.T) {
			asked := netip.MustParseAddr(host)
			if asked.Is6() {
				ipv6.Need(t)
			}
			// A connected socket hears nobody but whom it asked.
			conn := dial(t, netip.AddrPortFrom(asked, addr.Port()))
			if got := ask(t, conn, []byte(host)); string(got) != host {
				t.Errorf("reply %q", got)
			}
		})
	}
}

// What the kernel drops because the buffer is full is counted as soon as the next datagram is read.
func TestOverflow(t *testing.T) {
	s, conn := still(t, loopback, nil)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	const sent = 1000
	for range sent {
		conn.Write([]byte("x"))
	}
	received := uint64(0)
	read := func() {
		for {
			n, err := s.turn()
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				return
			}
			received += uint64(n)
		}
	}
	read()
	conn.Write([]byte("x"))
	read()
	lost := sent + 1 - received
	if lost == 0 {
		t.Fatal("nothing was lost: the test shows nothing")
	}
	if got := s.counters.Load().Overflow; got != lost {
		t.Errorf("overflow %d, want %d", got, lost)
	}
}

// The kernel's count of what it dropped goes on from 0 where its 32 bits end; ours does not. Where it tells none, none is added.
func TestOverflowWraps(t *testing.T) {
	s, conn := still(t, loopback, nil)
	s.overflow = 1<<32 - 2
	for _, c := range []struct {
		told bool
		n    uint32
		want uint64
	}{{true, 1<<32 - 1, 1}, {true, 3, 5}, {false, 0, 5}, {true, 3, 5}, {true, 10, 12}} {
		conn.Write([]byte("x"))
		arrive(t, s)
		h := &s.in.messages[0].Header
		h.SetControllen(0)
		if c.told {
			m := (*unix.Cmsghdr)(unsafe.Pointer(&s.in.controls[0]))
			m.Level, m.Type = unix.SOL_SOCKET, unix.SO_RXQ_OVFL
			m.SetLen(unix.CmsgLen(4))
			binary.NativeEndian.PutUint32(s.in.controls[0][unix.CmsgLen(0):], c.n)
			h.SetControllen(unix.CmsgSpace(4))
		}
		s.serve(0, time.Now())
		s.send()
		s.in.reset(1)
		if got := s.counters.Local.Overflow; got != c.want {
			t.Errorf("told %v, %d: overflow %d, want %d", c.told, c.n, got, c.want)
		}
	}
}

// A socket that is none any more ends the server with an error.
func TestBrokenSocketEndsServer(t *testing.T) {
	l, err := Listen(loopback, 2)
	if err != nil {
		t.Fatal(err)
	}
	fds := l.fds
	s := &Server{NewHandler: func(int) exchange.Handler { return echo }}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), l) }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	conn := dial(t, l.Addr())
	ask(t, conn, []byte("x"))
	for _, fd := range fds { // both, as either may be the one that is asked
		if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	conn.Write([]byte("x")) // wakes the shard
	select {
	case err := <-ended:
		if err == nil || err == ErrServerClosed {
			t.Errorf("Serve: %v, want an error", err)
		}
	case <-time.After(patience):
		t.Fatal("the server goes on in silence")
	}
}

// A socket that breaks while its Server is closed is no error of Serve's.
func TestBrokenSocketAfterClose(t *testing.T) {
	s, ended, release := busy(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), s.shards[0].fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	await(t, s, func() bool { return s.closed })
	release()
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-ended; err != ErrServerClosed {
		t.Errorf("Serve: %v, want %v", err, ErrServerClosed)
	}
}

// A Server that has ended leaves alone what now has its file descriptors.
func TestStopAfterTheEnd(t *testing.T) {
	s := new(Server)
	l, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.NewHandler = func(int) exchange.Handler { return echo }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Serve(ctx, l)
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if fd := int(file.Fd()); fd != l.stopFD {
		if err := unix.Dup3(fd, l.stopFD, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(l.stopFD)
	}
	s.Shutdown(t.Context())
	s.Close()
	l.Close()
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("a file that came after it: %v, %v", info, err)
	}
}

func TestErrorsThatPass(t *testing.T) {
	s, conn := still(t, loopback, nil)
	for _, errno := range []unix.Errno{unix.ECONNREFUSED, unix.ENOBUFS, unix.EPERM, unix.EHOSTUNREACH, unix.ENETDOWN} {
		if err := s.receiveFailed(errno); err != nil {
			t.Errorf("%v ends the server: %v", errno, err)
		}
	}
	for _, errno := range []unix.Errno{unix.EINTR, unix.EAGAIN} {
		if err := s.receiveFailed(errno); err != nil {
			t.Errorf("%v ends the server: %v", errno, err)
		}
	}
	if got := s.counters.Load().Errors; got != 5 {
		t.Errorf("%d errors counted, want 5", got)
	}
	if s.failures != 5 {
		t.Errorf("%d failures in a row, want 5", s.failures)
	}
	for _, errno := range []unix.Errno{unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS} {
		if err := s.receiveFailed(errno); !errors.Is(err, errno) {
			t.Errorf("%v passes as %v", errno, err)
		}
	}
	conn.Write([]byte("x"))
	if n, err := s.turn(); n != 1 || err != nil || s.failures != 0 {
		t.Errorf("after them: %d, %v, and %d failures in a row", n, err, s.failures)
	}
}

// A shard that is abandoned sends nothing more, neither what waits nor what is held and due.
func TestAbandoned(t *testing.T) {
	s, conn := still(t, loopback, nil)
	p := exchange.Reply{Data: []byte("x"), Delay: time.Nanosecond}
	if !s.held.hold(time.Now(), &p, new(exchange.Record), new(destination)) {
		t.Fatal("full")
	}
	write(t, conn, "x")
	s.abandon.Store(true)
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	if n := s.counters.Load(); len(s.held.heap) != 1 || n != (exchange.Counts{}) {
		t.Errorf("%d are held, want 1; counts %+v, want none", len(s.held.heap), n)
	}
}

// FuzzControl reads control messages as no kernel writes them.
func FuzzControl(f *testing.F) {
	var b [mmsg.ControlRoom]byte
	for _, p := range []mmsg.PacketInfo{{Addr: netip.MustParseAddr("192.0.2.1")}, {Addr: netip.MustParseAddr("fe80::1"), Link: 3}} {
		f.Add(b[:p.Put(&b)])
	}
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := parseControl(append(make([]byte, 0, max(len(data), 64)), data...))
		if c.to.Addr.IsValid() && c.to.Addr.Is4In6() {
			t.Errorf("an address in two dresses: %v", c.to.Addr)
		}
	})
}
