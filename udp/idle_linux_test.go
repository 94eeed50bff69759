//go:build !yesterday_portable

package udp

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/cpus"
)

// asleep waits until a thread of this process sleeps in ppoll.
func asleep(t *testing.T, thread int) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", thread))
		if err != nil {
			t.Skip("what a thread does is not told: ", err)
		}
		number, _, _ := strings.Cut(string(call), " ")
		if number == strconv.Itoa(unix.SYS_PPOLL) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the thread does not sleep: %s", call)
		}
	}
}

// A shard looks again for as long as it is to, and does not sleep meanwhile: it hears of a stop for which nobody wakes it.
func TestShardLooksAgain(t *testing.T) {
	s, conn := still(t, loopback, nil)
	if several := cpus.Several(); s.spin > 0 != several {
		t.Errorf("it looks again for %v, with another CPU: %v", s.spin, several)
	}
	s.spin = time.Hour
	ended := make(chan error, 1)
	go func() { ended <- s.run() }()
	ask(t, conn, []byte("x"))
	s.listener.stopping.Store(true)
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it sleeps")
		s.listener.stop()
		<-ended
	}
}

// A shard that has nothing to do sleeps, where it has looked again before and where it has not.
func TestShardSleeps(t *testing.T) {
	for _, spin := range []time.Duration{0, spinFor} {
		s, conn := still(t, loopback, nil)
		s.spin = spin
		thread := make(chan int, 1)
		s.handler = exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			thread <- unix.Gettid()
			return echo.Serve(p, r)
		})
		ended := make(chan error, 1)
		go func() { ended <- s.run() }()
		ask(t, conn, []byte("x"))
		at := <-thread
		asleep(t, at)
		ask(t, conn, []byte("y")) // wakes it
		if again := <-thread; again != at {
			t.Errorf("it runs on thread %d, and before on %d", again, at)
		}
		asleep(t, at)
		if err := unix.Tgkill(os.Getpid(), at, unix.SIGURG); err != nil { // Go's own, which stops nothing
			t.Fatal(err)
		}
		asleep(t, at)
		s.listener.stop() // wakes it too
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A socket that fails again and again is left alone for a while, whatever it has to read.
func TestFailingSocketRests(t *testing.T) {
	s, conn := still(t, loopback, nil)
	write(t, conn, "x")
	s.failures = batchSize + 1
	before := time.Now()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took < 10*time.Millisecond {
		t.Errorf("for %v, want 10 ms", took)
	}
	s.failures = batchSize // not yet
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.turn(); n != 1 || err != nil {
		t.Errorf("then it receives %d, %v", n, err)
	}
}

// A shard does not sleep on a socket that is gone.
func TestWaitWithoutSocket(t *testing.T) {
	s, _ := still(t, loopback, nil)
	s.fd = 1 << 30
	if err := s.wait(); err == nil {
		t.Error("no error")
	}
}
