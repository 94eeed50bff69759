//go:build !yesterday_portable

package probe

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Of what is sent to a socket that nobody reads, what did not fit is counted.
func TestDropped(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1) // the least there is
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n := dropped(fd); n != 0 {
		t.Fatalf("%d dropped before anything came", n)
	}
	const sent = 100
	for range sent {
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	kept := uint64(0)
	for deadline := time.Now().Add(10 * time.Second); kept+dropped(fd) < sent && time.Now().Before(deadline); { // some may be under way
		if _, err := unix.Read(fd, make([]byte, 2000)); err == nil {
			kept++
		}
	}
	if n := dropped(fd); n == 0 || kept == 0 || kept+n != sent {
		t.Errorf("%d kept, %d dropped, want all %d", kept, n, sent)
	}
}

// Ping tells what found its sockets full, those included that are shut.
func TestWatchOverflow(t *testing.T) {
	w, server := unread(t)
	flood := func(handle uint64) {
		if err := w.open(handle); err != nil {
			t.Fatal(err)
		}
		unix.SetsockoptInt(w.sockets[handle].fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
		sa, err := unix.Getsockname(w.sockets[handle].fd)
		if err != nil {
			t.Fatal(err)
		}
		before := w.overflow()
		to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}
		for deadline := time.Now().Add(10 * time.Second); w.overflow() == before && time.Now().Before(deadline); {
			if _, err := server.WriteTo(make([]byte, 1000), to); err != nil {
				t.Fatal(err)
			}
		}
		if w.overflow() == before {
			t.Errorf("socket %d does not overflow", handle)
		}
	}
	flood(0)
	flood(1)
	both := w.overflow()
	if w.shut(0); w.overflow() != both {
		t.Errorf("%d overflowed, and %d once one was shut", both, w.overflow())
	}
}
