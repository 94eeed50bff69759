//go:build linux

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// systemPython is the python3 that Debian's own modules belong to, whatever else is first in the path.
func systemPython(t *testing.T) string {
	t.Helper()
	return need(t, "/usr/bin/python3", "python3")
}

// lesson starts one of the lesson's servers on a free port and returns the port.
func lesson(t *testing.T, script string) (port string, out *transcript, ended <-chan struct{}) {
	t.Helper()
	cmd := exec.Command(systemPython(t), "testdata/lesson/"+script, "0")
	out = new(transcript)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := host().start(cmd); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-done })
	line, ok := out.await(func(line string) bool { return strings.HasPrefix(line, "serving on port ") }, done)
	if !ok {
		t.Fatalf("%s does not say its port: %s", script, out)
	}
	return strings.TrimPrefix(line, "serving on port "), out, done
}

// The lesson's client reads our server, whatever the user types.
func TestLessonClient(t *testing.T) {
	t.Parallel()
	s := serve(t, host(), loopback...)
	for _, typed := range []string{"\n", "what time was it?\n", ""} {
		t.Run(fmt.Sprintf("%q", typed), func(t *testing.T) {
			t.Parallel()
			before := time.Now()
			out := host().mustRun(t, typed, systemPython(t), "testdata/lesson/client.py", "127.0.0.1", s.port("time/udp"))
			behind(t, ctime(time.ANSIC)(t, out), before, time.Now())
		})
	}
}

// Our client reads the lesson's server, and the server is told what the user gave.
func TestLessonServer(t *testing.T) {
	t.Parallel()
	port, out, ended := lesson(t, "server.py")
	before := time.Now()
	told := host().mustRun(t, "", program, "ask", "--utc", "127.0.0.1:"+port)
	behind(t, ctime(time.ANSIC)(t, told), before, time.Now())
	if _, ok := out.await(func(line string) bool { return strings.HasPrefix(line, "request from 127.0.0.1 port ") }, ended); !ok {
		t.Errorf("the lesson's server saw nobody: %s", out)
	}
}

// Our client gets back from the lesson's echo server what it sent, and refuses as a time what has not four bytes.
func TestLessonEcho(t *testing.T) {
	t.Parallel()
	port, _, _ := lesson(t, "echo.py")
	for _, sent := range []string{"hi", "", strings.Repeat("long ", 200)} {
		if got := host().mustRun(t, "", program, "ask", "--service", "echo", "--send", sent, "127.0.0.1:"+port); got != sent+"\n" {
			t.Errorf("sent %q, printed %q", sent, got)
		}
	}
	out, err := host().run(t.Context(), "", program, "ask", "--send", "hello", "127.0.0.1:"+port)
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
		t.Errorf("a time of five bytes: %v, want exit code 1", err)
	}
	if !strings.Contains(out, "5 bytes") || !strings.Contains(out, "68 65 6c 6c 6f") {
		t.Errorf("a time of five bytes: printed %q, want the length and the bytes", out)
	}
}
