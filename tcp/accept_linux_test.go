package tcp

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/exchange"
)

// A process that may open no more files counts that, and answers who has waited once it may.
func TestOutOfFiles(t *testing.T) {
	s := &Server{Handler: saying("four")}
	addr, _ := serve(t, s)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	failed := uint64(0)
	for end := time.Now().Add(patience); failed < 3 && time.Now().Before(end); failed = s.Counts().Errors {
		runtime.Gosched()
	}
	if e := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if failed < 3 {
		t.Errorf("%d errors, want 3 at least", failed)
	}
	wait := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || string(buf[:n]) != "four" {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		return
	}
}

// Who is refused is reset, and leaves no state here.
func TestRefusedConnectionIsReset(t *testing.T) {
	addr, _ := serve(t, &Server{Handler: exchange.HandlerFunc(func(*exchange.Reply, *exchange.Request) exchange.Verdict { return exchange.Limit })})
	conn, err := net.Dial("tcp", addr.String())
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("it ends with %v, want a reset", err)
	}
}

// So is who gives up a place for another.
func TestEvictedIsReset(t *testing.T) {
	c := newCrowd(t, 1)
	first := c.join(mute)
	c.join(mute)
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("it ends with %v, want a reset", err)
	}
}

// What an asker still sends after the answer is read for a while, as closing over it would be a reset.
func TestDrained(t *testing.T) {
	addr, _ := serve(t, &Server{Handler: saying("four")})
	for try := 1; ; try++ {
		before := time.Now()
		conn := dial(t, addr)
		if _, err := conn.Write(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != "four" {
			t.Fatalf("read %q, %v", got, err)
		}
		if _, ok := greeted(addr, 4); !ok { // meanwhile the other connection could have been closed
			t.Fatal("a second was not answered")
		}
		var err error
		for range 3 {
			_, e := conn.Write([]byte("more"))
			err = errors.Join(err, e)
		}
		if time.Since(before) >= drainFor && try < 20 {
			continue // that is long enough
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
}

// The addresses of IPv4 are told as such, also on a socket that speaks both.
func TestAddressesAreUnmapped(t *testing.T) {
	heard := make(chan exchange.Request, 1)
	s := &Server{Handler: exchange.HandlerFunc(func(_ *exchange.Reply, r *exchange.Request) exchange.Verdict {
		heard <- *r
		return exchange.Answer
	})}
	l, err := Listen(netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(t.Context(), l)
	defer s.Close()
	to := netip.AddrPortFrom(loopback.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port())
	conn := dial(t, to)
	if r := <-heard; r.From != conn.LocalAddr().(*net.TCPAddr).AddrPort() || r.To != to {
		t.Errorf("from %v to %v, want %v to %v", r.From, r.To, conn.LocalAddr(), to)
	}
}
