//go:build !yesterday_portable

package udp

import (
	"encoding/binary"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// A mailbox takes datagrams within this host. Unlike UDP's over loopback they wait until it is read, and so does who sends
// them, as for a device that is full.
type mailbox struct {
	fd   int
	name mmsg.Sockaddr
	size uint32 // of name
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	m := &mailbox{fd: newSender(t, nil)}
	bound, err := unix.Getsockname(m.fd)
	if err != nil {
		t.Fatal(err)
	}
	name := []byte(bound.(*unix.SockaddrUnix).Name)
	name[0] = 0 // abstract
	binary.NativeEndian.PutUint16(m.name[:], unix.AF_UNIX)
	m.size = uint32(2 + copy(m.name[2:], name))
	return m
}

// newSender returns a socket that can be sent from while to has room.
func newSender(t *testing.T, to *mailbox) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, new(unix.SockaddrUnix)); err != nil { // to a name of the system's choice
		t.Fatal(err)
	}
	if to != nil {
		bound, err := unix.Getsockname(to.fd)
		if err == nil {
			err = unix.Connect(fd, bound)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

// newFull returns a mailbox that is full, and a socket that can be sent from once it is not.
func newFull(t *testing.T) (m *mailbox, sender int) {
	t.Helper()
	m = newMailbox(t)
	sender = newSender(t, m)
	for {
		switch err := unix.Sendto(sender, []byte("full"), unix.MSG_DONTWAIT, nil); err {
		case nil:
		case unix.EAGAIN:
			return m, sender
		default:
			t.Fatal(err)
		}
	}
}

// read returns the next n datagrams that did not fill it.
func (m *mailbox) read(t *testing.T, n int) (got []string) {
	t.Helper()
	buf := make([]byte, 64)
	for end := time.Now().Add(patience); len(got) < n; {
		switch k, _, err := unix.Recvfrom(m.fd, buf, unix.MSG_DONTWAIT); {
		case err == nil && string(buf[:k]) != "full":
			got = append(got, string(buf[:k]))
		case err == nil:
		case err != unix.EAGAIN || time.Now().After(end):
			t.Fatalf("after %q: %v", got, err)
		default:
			runtime.Gosched()
		}
	}
	return got
}

// queue queues data as a reply to m.
func queue(s *shard, m *mailbox, data string) *exchange.Record {
	told := &exchange.Record{Verdict: exchange.Answer, Answered: len(data)}
	reply := append(s.out.buffer(), data...)
	s.queued[s.out.n] = queued{told: told}
	s.out.keep(reply)
	s.out.add(reply, &m.name[0], m.size, mmsg.PacketInfo{})
	return told
}

// Replies wait for a device that is full, and go out once it is not, though signals come meanwhile.
func TestSendWaitsForRoom(t *testing.T) {
	s, _ := still(t, loopback, nil)
	if s.sendFor <= 0 {
		t.Errorf("they wait for %v", s.sendFor)
	}
	s.sendFor = time.Hour
	var m *mailbox
	m, s.fd = newFull(t)
	want := []string{"0", "1", "2"}
	for _, data := range want {
		queue(s, m, data)
	}
	thread, done := make(chan int, 1), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		s.send()
	}()
	at := <-thread
	for range 3 {
		asleep(t, at)
		if err := unix.Tgkill(os.Getpid(), at, unix.SIGURG); err != nil { // Go's own, which stops nothing
			t.Fatal(err)
		}
	}
	asleep(t, at)
	if got := m.read(t, len(want)); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	<-done
	if got := s.counters.Local.Verdicts; got[exchange.Answer] != 3 || got[exchange.Unsent] != 0 || s.out.n != 0 {
		t.Errorf("verdicts %v and %d left in the queue, want 3 answers and none", got, s.out.n)
	}
}

// Replies that a full device does not take in time are counted and told as unsent; the others of their batch go out.
func TestSendGivesUp(t *testing.T) {
	s, _ := still(t, loopback, nil)
	s.sendFor = 1
	var full *mailbox
	full, s.fd = newFull(t)
	free := newMailbox(t)
	var told []*exchange.Record
	for _, data := range []string{"a", "b"} {
		told = append(told, queue(s, full, data), queue(s, free, data))
	}
	s.send()
	if got := free.read(t, 2); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("sent %q, want a and b", got)
	}
	if got := s.counters.Local.Verdicts; got[exchange.Answer] != 2 || got[exchange.Unsent] != 2 || s.out.n != 0 {
		t.Errorf("verdicts %v and %d left in the queue, want 2 answers, 2 unsent and none", got, s.out.n)
	}
	for i, d := range told {
		if want := []exchange.Verdict{exchange.Unsent, exchange.Answer}[i%2]; d.Verdict != want || (d.Answered == 0) != (want == exchange.Unsent) {
			t.Errorf("reply %d is told as %+v, want %v", i, d, want)
		}
	}
}

// The replies of a batch share one time to wait: what one has used up the next does not have.
func TestWaitToSend(t *testing.T) {
	s, _ := still(t, loopback, nil)
	s.sendFor = time.Hour
	_, full := newFull(t)
	free := newSender(t, newMailbox(t))
	for _, c := range []struct {
		name        string
		fd          int
		patience    time.Duration
		again       bool
		least, most time.Duration // of patience, that are left
	}{
		{"room, nothing waited for yet", free, 0, true, 1, time.Hour - 1},
		{"room, some time left", free, time.Minute, true, 1, time.Minute - 1},
		{"room, hardly any time left", free, 1, true, -1, -1},
		{"room, no time left", free, -1, false, -1, -1},
		{"no room, hardly any time left", full, time.Millisecond, false, -1, -1},
		{"no room, no time left", full, -1, false, -1, -1},
	} {
		s.fd = c.fd
		left, before := c.patience, time.Now()
		if again := s.waitToSend(&left); again != c.again || left < c.least || left > c.most {
			t.Errorf("%s: again %v with %v left, want %v with %v to %v", c.name, again, left, c.again, c.least, c.most)
		}
		if took := time.Since(before); c.fd == full && took < c.patience {
			t.Errorf("%s: given up after %v, want %v", c.name, took, c.patience)
		}
	}
}

// Replies are not cut up, which needs a number for each, until one is too long for its way; that is found out once.
func TestFragment(t *testing.T) {
	s, conn := still(t, loopback, nil)
	long := false
	s.handler = exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		if long {
			p.Data = append(p.Data, make([]byte, 70_000)...) // too long for any
		}
		return echo.Serve(p, r)
	})
	for _, c := range []struct {
		long bool
		want int
	}{{false, unix.IP_PMTUDISC_DO}, {true, unix.IP_PMTUDISC_WANT}, {true, unix.IP_PMTUDISC_WANT}, {false, unix.IP_PMTUDISC_WANT}} {
		long = c.long
		write(t, conn, "x")
		receive(t, s)
		if got, err := unix.GetsockoptInt(s.fd, unix.SOL_IP, unix.IP_MTU_DISCOVER); got != c.want || err != nil {
			t.Errorf("after a long reply: %v; IP_MTU_DISCOVER is %d, %v, want %d", c.long, got, err, c.want)
		}
	}
	if s.fragment() {
		t.Error("it is new a second time")
	}
	if got := s.counters.Local.Verdicts; got[exchange.Answer] != 2 || got[exchange.Unsent] != 2 {
		t.Errorf("verdicts %v, want 2 answers and 2 unsent", got)
	}
}
