//go:build !yesterday_portable

package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/service"
)

// Both ends of a round trip over loopback are stamped by the kernel, between the moments at which the program acts.
func TestKernelStampsBothEnds(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			for _, kind := range []service.Kind{service.Echo, service.Time} {
				to := server(t, address, func(data []byte) [][]byte { return [][]byte{answerTo(kind, data)} })
				p := Ping{Service: kind, Servers: []netip.AddrPort{to}, Count: 50, Interval: time.Millisecond, Timeout: 10 * time.Second, Size: 16}
				begun := time.Now()
				p.Each = func(e Event) {
					if e.Kind == Answered && (e.RoundTrip <= 0 || e.RoundTrip > time.Since(begun)) {
						t.Errorf("a round trip of %v", e.RoundTrip)
					}
				}
				s, err := p.Run(t.Context())
				if err != nil || s.Received != 50 || s.Lost+s.Late+s.Duplicated+s.Corrupted != 0 {
					t.Errorf("%v: %+v, %v", kind, s, err)
				}
				// The kernel begins to stamp a moment after it was asked to.
				if s.Kernel < 40 {
					t.Errorf("%v: %d of 50 round trips were stamped by the kernel", kind, s.Kernel)
				}
			}
		})
	}
}

// unread is a watch that nobody reads, of a server whose socket this is.
func unread(t *testing.T) (*watch, *net.UDPConn) {
	t.Helper()
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	w, err := newWatch(server.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, server
}

// Replies to several sockets are told of in the order in which they came, not in that in which the sockets are looked at.
func TestArrivalsAreInOrder(t *testing.T) {
	w, server := unread(t)
	const sockets = 8
	var events []unix.EpollEvent
	var from [sockets]netip.AddrPort
	request := make([]byte, 64)
	for i := range from {
		if err := w.open(uint64(i)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.send(uint64(i), uint64(i), []byte("hi")); err != nil {
			t.Fatal(err)
		}
		var err error
		if _, from[i], err = server.ReadFromUDPAddrPort(request); err != nil {
			t.Fatal(err)
		}
		events = append(events, unix.EpollEvent{Fd: int32(i)})
	}
	data, control := make([]byte, 64), make([]byte, 512)
	// The kernel begins to stamp a moment after it was asked to; what it stamps while it is read is in no order. And a reading of
	// the clock that was interrupted may be off, though not each.
	for tries := 0; ; {
		for i := sockets - 1; i >= 0; i-- {
			server.WriteToUDPAddrPort([]byte{byte(i)}, from[i])
		}
		sent := time.Now()
		came, _ := w.gather(events, data, control)
		var order []byte
		var last time.Time
		stamped := true
		for _, a := range came {
			if a.at.Before(last) {
				t.Errorf("handle %d at %v after %v", a.handle, a.at, last)
			}
			if last = a.at; !a.sent {
				order = append(order, a.data...)
				stamped = stamped && !a.at.After(sent)
			}
		}
		if !stamped {
			continue
		}
		if string(order) == "\x07\x06\x05\x04\x03\x02\x01\x00" {
			return
		}
		if tries++; tries == 10 {
			t.Fatalf("told of in the order %d, want 7 to 0", order)
		}
	}
}
