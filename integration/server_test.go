//go:build linux

package integration

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
)

// patience is how long a test waits for what must come, on a machine that is busy with other things. Nothing here
// asserts that something is fast.
const patience = 20 * time.Second

// A server is a running `yesterday serve`.
type server struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout transcript
	stderr transcript
	bound  map[string]netip.AddrPort // by service and transport: "time/udp"
	clock  string                    // what it says that it serves: canonical clock text
	ended  chan struct{}             // closed when the process has ended
	state  *os.ProcessState          // then
}

// serve starts `yesterday serve args` in a namespace and returns once it says that everything is bound. It is ended
// with the test, and what it wrote is shown where the test failed.
func serve(t testing.TB, ns *netns, args ...string) *server {
	t.Helper()
	s := command(args...)
	s.run(t, ns)
	if _, ok := s.stdout.await(s.listening, s.ended); !ok {
		t.Fatalf("yesterday serve %s: does not say that it serves\nstdout: %s\nstderr: %s", strings.Join(args, " "), &s.stdout, &s.stderr)
	}
	return s
}

// command prepares `yesterday serve args`.
func command(args ...string) *server {
	s := &server{bound: make(map[string]netip.AddrPort), ended: make(chan struct{})}
	s.cmd = exec.Command(program, append([]string{"serve"}, args...)...)
	s.cmd.Env = append(os.Environ(), "TZ=UTC", "GORACE=atexit_sleep_ms=0")
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	s.cmd.WaitDelay = time.Second
	return s
}

// run starts s.cmd in a namespace and sees to its end.
func (s *server) run(t testing.TB, ns *netns) {
	t.Helper()
	s.t = t
	if err := ns.start(s.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		s.state = s.cmd.ProcessState
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(patience):
			s.cmd.Process.Kill()
			<-s.ended
			t.Error("the server did not end at SIGTERM")
		}
		if t.Failed() {
			t.Logf("yesterday %s\nstdout: %s\nstderr: %s", strings.Join(s.cmd.Args[1:], " "), &s.stdout, &s.stderr)
		}
	})
}

// loopback is the arguments for all services on free ports of 127.0.0.1.
var loopback = []string{"time=127.0.0.1:0", "daytime=127.0.0.1:0", "echo=127.0.0.1:0", "ntp=127.0.0.1:0"}

// boundLine is a service, its transports and where they are bound: "time     udp,tcp  127.0.0.1:12345".
var boundLine = regexp.MustCompile(`^(time|daytime|echo|ntp)\s+((?:udp|tcp)(?:\W(?:udp|tcp))?)\s+(\S+)$`)

// listening takes down what a line says was bound where, and tells whether it was the last line of the start.
func (s *server) listening(line string) bool {
	if strings.HasPrefix(line, "{") {
		return s.listeningJSON(line)
	}
	if m := boundLine.FindStringSubmatch(line); m != nil {
		for transport := range strings.FieldsFuncSeq(m[2], func(r rune) bool { return !unicode.IsLetter(r) }) {
			if addr, err := netip.ParseAddrPort(m[3]); err == nil {
				s.bound[m[1]+"/"+transport] = addr
			}
		}
	}
	text, serving := strings.CutPrefix(line, "serving the clock ")
	if serving {
		quoted, _ := strconv.QuotedPrefix(text)
		s.clock, _ = strconv.Unquote(quoted)
	}
	return serving
}

// port returns the port that a service is bound to.
func (s *server) port(service string) string {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.addr(service))
	if err != nil {
		s.t.Fatal(err)
	}
	return port
}

// addr returns where a service, "time/udp" for one, is bound.
func (s *server) addr(service string) string {
	s.t.Helper()
	a, ok := s.bound[service]
	if !ok {
		s.t.Fatalf("%s is not among the services that were started: %v", service, s.bound)
	}
	return a.String()
}

// stop ends the server by SIGTERM, checks that it exits with 0, and returns its summary.
func (s *server) stop() string {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	s.wait(0)
	return s.summary()
}

// summary returns the line with which the server ended.
func (s *server) summary() string {
	s.t.Helper()
	line, ok := s.stdout.await(func(line string) bool { return strings.HasPrefix(line, "stopped: ") }, s.ended)
	if !ok {
		s.t.Fatalf("the server ended without a summary: %s", &s.stdout)
	}
	return line
}

// wait waits for the server to end by itself and checks its exit code.
func (s *server) wait(code int) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("the server goes on")
	}
	if got := s.state.ExitCode(); got != code {
		s.t.Fatalf("the server ended with %v, want exit code %d\nstderr: %s", s.state, code, &s.stderr)
	}
}

// alive fails the test if the server has ended.
func (s *server) alive() {
	s.t.Helper()
	select {
	case <-s.ended:
		s.t.Fatalf("the server has ended: %v\nstderr: %s", s.state, &s.stderr)
	default:
	}
}

// A transcript is what a process wrote so far. The zero transcript is ready to be written to.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
	grew chan struct{} // closed at the next write
}

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.grew != nil {
		close(w.grew)
		w.grew = nil
	}
	return w.text.Write(b)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// await waits for a whole line that match accepts, and returns it; false if none came before ended or in good time.
func (w *transcript) await(match func(line string) bool, ended <-chan struct{}) (string, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for last := false; ; {
		w.mu.Lock()
		text := w.text.String()
		if w.grew == nil {
			w.grew = make(chan struct{})
		}
		grew := w.grew
		w.mu.Unlock()
		for line := range strings.Lines(text) {
			if strings.HasSuffix(line, "\n") && match(strings.TrimSpace(line)) {
				return strings.TrimSpace(line), true
			}
		}
		if last {
			return "", false
		}
		select {
		case <-grew:
		case <-ended:
			last = true
		case <-ctx.Done():
			return "", false
		}
	}
}
