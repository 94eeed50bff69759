//go:build !yesterday_portable

package udp

import (
	"context"
	"encoding/binary"
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

// A request older than a second when it is read gets no answer.
func TestStale(t *testing.T) {
	s, conn := still(t, loopback, nil)
	for _, age := range []time.Duration{0, time.Second, time.Second + 1, -time.Hour} {
		conn.Write([]byte("x"))
		n, errno := s.in.receive(s.fd)
		if n != 1 || errno != 0 {
			t.Fatalf("received %d, %v", n, errno)
		}
		stamp := parseControl(s.in.controls[0][:s.in.messages[0].Header.Controllen]).received
		s.serve(0, stamp.Add(age))
		s.send()
		s.in.reset(n)
		if got, want := s.counters.Local.Verdicts[exchange.Stale] == 1, age > time.Second; got != want {
			t.Errorf("after %v: stale %v, want %v", age, got, want)
		}
		s.counters.Local.Verdicts[exchange.Stale] = 0
	}
	if got := s.counters.Local.Answered(); got != 3 {
		t.Errorf("%d answered, want 3", got)
	}
}

func TestKernelStamps(t *testing.T) {
	s, conn := still(t, loopback, nil)
	before := time.Now()
	conn.Write([]byte("x"))
	after := time.Now()
	if _, errno := s.in.receive(s.fd); errno != 0 {
		t.Fatal(errno)
	}
	c := parseControl(s.in.controls[0][:s.in.messages[0].Header.Controllen])
	// The kernel's clock and Go's are the same; it is not looked at in between.
	if c.received.Before(before.Round(0)) || c.received.After(after.Round(0)) {
		t.Errorf("stamped %v, want it between %v and %v", c.received, before, after)
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

func TestBroadcastIsKnown(t *testing.T) {
	s, _ := still(t, netip.MustParseAddrPort("0.0.0.0:0"), nil)
	for host, want := range map[string]bool{"127.255.255.255": true, "127.0.0.1": false} {
		conn := dial(t, netip.AddrPortFrom(netip.MustParseAddr(host), s.port))
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, errno := s.in.receive(s.fd); n != 1 {
			t.Fatalf("received %d, %v", n, errno)
		}
		s.serve(0, time.Now())
		if s.request.Multicast != want {
			t.Errorf("a datagram to %s: multicast %v, want %v", host, s.request.Multicast, want)
		}
		s.out.n = 0
		s.in.reset(1)
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
		n, errno := s.in.receive(s.fd)
		if n != 1 || errno != 0 {
			t.Fatalf("received %d, %v", n, errno)
		}
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
		s.in.reset(n)
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
	if err := s.receiveFailed(unix.EBADF); err == nil {
		t.Error("EBADF passes")
	}
	conn.Write([]byte("x"))
	if n, err := s.turn(); n != 1 || err != nil {
		t.Errorf("after them: %d, %v", n, err)
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
