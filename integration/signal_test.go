//go:build linux

package integration

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// SIGTERM and SIGINT end the server with 0 and a summary.
func TestStopSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := serve(t, host(), loopback...)
			for range 7 {
				requestTime(t, host().udp(t, "", s.addr("time/udp")))
			}
			tcp := host().tcp(t, s.addr("echo/tcp")) // an open connection does not hold it up
			if _, err := tcp.Write([]byte("hi")); err != nil {
				t.Fatal(err)
			}
			tcp.SetReadDeadline(time.Now().Add(patience))
			if n, err := tcp.Read(make([]byte, 16)); n != 2 || err != nil {
				t.Fatalf("echo: %d bytes, %v", n, err)
			}
			start := time.Now()
			if err := s.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			s.wait(0)
			t.Logf("ended %v after the signal", time.Since(start).Round(time.Millisecond))
			if got := counted(t, s.summary(), "answered"); got != 8 {
				t.Errorf("%d counted as answered, want 8: %s", got, s.summary())
			}
		})
	}
}

// SIGUSR1 prints the counters and the server goes on.
func TestCountersSignal(t *testing.T) {
	t.Parallel()
	s := serve(t, host(), append([]string{"--quiet"}, loopback...)...)
	for want := 1; want <= 3; want++ {
		requestTime(t, host().udp(t, "", s.addr("time/udp")))
		// A count is published a moment after its reply has left, so the first line may be one behind.
		shown := func() bool {
			return slices.ContainsFunc(strings.Split(s.stdout.String(), "\n"), func(line string) bool { return counted(t, line, "answered") == want })
		}
		for deadline := time.Now().Add(patience); !shown(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no counters with %d answered: %s", want, &s.stdout)
			}
			if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.stop()
}

// A request shows as it was: who, which service, what was told.
func TestRequestLines(t *testing.T) {
	t.Parallel()
	s := serve(t, host(), append([]string{"--clock", "2026-11-21T09:29:09Z frozen"}, loopback...)...)
	conn := host().udp(t, "", s.addr("time/udp"))
	request(t, conn, "")
	if _, ok := s.stdout.await(func(line string) bool {
		return strings.Contains(line, conn.LocalAddr().String()) && strings.Contains(line, "time/udp") && strings.Contains(line, "Sat Nov 21 09:29:09 2026")
	}, s.ended); !ok {
		t.Errorf("no line tells of the request from %v: %s", conn.LocalAddr(), &s.stdout)
	}
	s.stop()
}

// Whoever does not read the server's output does not stop it from answering, nor from ending.
func TestOutputThatNobodyReads(t *testing.T) {
	t.Parallel()
	s, r, w := servePiped(t)
	defer r.Close()
	fill(t, w)
	w.Close()
	conn := host().udp(t, "", s.addr("time/udp"))
	for range 5000 {
		requestTime(t, conn)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait(0)
}

// Nor does an output whose reader has gone.
func TestOutputWhoseReaderIsGone(t *testing.T) {
	t.Parallel()
	s, r, w := servePiped(t)
	w.Close()
	r.Close()
	conn := host().udp(t, "", s.addr("time/udp"))
	for range 100 {
		requestTime(t, conn)
	}
	s.alive()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait(0)
}

// servePiped starts a server whose standard output is a pipe, read no further than where the service is bound.
func servePiped(t *testing.T) (s *server, r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s = command("time=127.0.0.1:0", "--transport", "udp")
	s.cmd.Stdout = w
	s.run(t, host())
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the server does not say that it serves: %v", err)
		}
		if s.listening(strings.TrimSpace(line)) {
			return s, r, w
		}
	}
}

// fill writes to a pipe until it is full, by an opening of its own, so that the server's end goes on as it was: blocking.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for size := 4096; size > 0; {
		switch _, err := unix.Write(fd, make([]byte, size)); {
		case err == nil:
		case errors.Is(err, unix.EAGAIN):
			size /= 2
		default:
			t.Fatal(err)
		}
	}
}
