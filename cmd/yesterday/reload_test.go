//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/internal/config"
)

// A printed output passes on what is written to it, line by line.
type printed chan string

func (p printed) Write(line []byte) (int, error) {
	p <- string(line)
	return len(line), nil
}

// await returns the next line that begins so.
func (p printed) await(t *testing.T, begin string) string {
	t.Helper()
	for {
		select {
		case line := <-p:
			if strings.HasPrefix(line, begin) {
				return line
			}
		case <-time.After(patience):
			t.Fatalf("no line begins with %q", begin)
		}
	}
}

// A slowFile is a configuration file that is read when the test lets it be.
type slowFile struct {
	t       *testing.T
	reading chan chan string // each read sends where it wants the file's text from
	at      atomic.Int32     // reads under way
}

func (f *slowFile) load(path string) (*config.File, error) {
	if f.at.Add(1) > 1 {
		f.t.Error("the file is read twice at once")
	}
	defer f.at.Add(-1)
	text := make(chan string)
	f.reading <- text
	return config.Parse(path, []byte(<-text))
}

// read awaits a read.
func (f *slowFile) read() (text chan<- string) {
	f.t.Helper()
	select {
	case text := <-f.reading:
		return text
	case <-time.After(patience):
		f.t.Fatal("the file is not read")
		return nil
	}
}

// serving runs "serve --config" of a slow file in this process. end ends it, and gives its exit code.
func serving(t *testing.T) (file *slowFile, out, errs printed, end func() int) {
	file = &slowFile{t: t, reading: make(chan chan string, 10)}
	out, errs = make(printed, 100), make(printed, 100)
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run([]string{"serve", "--config", "slow.yaml", "time=127.0.0.1:0"},
			&env{ctx: ctx, stdout: out, stderr: errs, now: time.Now, load: file.load})
	}()
	return file, out, errs, func() int {
		t.Helper()
		cancel()
		select {
		case c := <-code:
			return c
		case <-time.After(patience):
			t.Fatal("the server does not end")
			return 0
		}
	}
}

// send sends this process a signal, and returns when whoever asked for it has it.
func send(t *testing.T, s syscall.Signal) {
	t.Helper()
	c := make(chan os.Signal, 1)
	signal.Notify(c, s)
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
	<-c
	signal.Stop(c)
}

// Signals that come while the file is read for the first time are answered once the server serves, each kind of them.
func TestSignalsAtStart(t *testing.T) {
	file, out, _, end := serving(t)
	first := file.read()
	send(t, syscall.SIGUSR1)
	send(t, syscall.SIGHUP)
	first <- "clock: now"
	out.await(t, `serving the clock "now"`)
	file.read() <- "clock: tomorrow"
	// Which of them is first is a matter of chance.
	var counted, reloaded bool
	for !counted || !reloaded {
		line := out.await(t, "")
		counted = counted || strings.HasPrefix(line, "time/udp ")
		reloaded = reloaded || strings.HasPrefix(line, `reloaded slow.yaml: 1 service, 0 named clocks, 0 rules, the clock "tomorrow"`)
	}
	if code := end(); code != exitGood {
		t.Errorf("exit code %d", code)
	}
}

// While the file is read anew, the server answers signals; any number of SIGHUPs then means once more, after it.
func TestSignalsDuringReload(t *testing.T) {
	file, out, errs, end := serving(t)
	file.read() <- "clock: now"
	out.await(t, "serving ")
	send(t, syscall.SIGHUP)
	slow := file.read()
	send(t, syscall.SIGUSR1)
	out.await(t, "time/udp ")
	for range 3 {
		send(t, syscall.SIGHUP)
	}
	send(t, syscall.SIGUSR1)
	out.await(t, "time/udp ")
	if n := len(file.reading); n > 0 {
		t.Errorf("%d reads besides the one under way", n)
	}
	slow <- "clock: nwo"
	errs.await(t, "yesterday: not reloaded, the clocks and rules stay as they were: slow.yaml:1: clock: ")
	file.read() <- "{clock: yesterday, faults: silence}"
	if line := out.await(t, "reloaded "); !strings.HasSuffix(line, ", the clock \"yesterday\", with faults: silence\n") {
		t.Errorf("line %q", line)
	}
	for range 5 { // of a read too many and a signal, either can be first
		send(t, syscall.SIGUSR1)
		out.await(t, "time/udp ")
	}
	if n := len(file.reading); n > 0 {
		t.Errorf("%d reads more, want one for all signals during another", n)
	}
	if code := end(); code != exitGood {
		t.Errorf("exit code %d", code)
	}
	out.await(t, "stopped: ")
}

// The server stops although the file is never read to its end: while it serves, and before.
func TestStopsDuringReload(t *testing.T) {
	for _, started := range []bool{true, false} {
		file, out, _, end := serving(t)
		slow := file.read()
		if started {
			slow <- "clock: now"
			out.await(t, "serving ")
			send(t, syscall.SIGHUP)
			slow = file.read()
		}
		if code := end(); code != exitGood {
			t.Errorf("exit code %d", code)
		}
		if started {
			out.await(t, "stopped: 0 answered")
		}
		slow <- "" // nobody is left to be told
	}
}
