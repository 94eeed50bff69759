//go:build unix

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"yesterday": main})
}

// TestScripts runs testdata/script. Besides testscript's own commands there are:
//
//	server ARGS…       starts "yesterday serve ARGS…", waits until it serves, and sets $ECHO, $DAYTIME, $TIME and $NTP to
//	                   the addresses it has bound (port 0 is a good choice), and $PID
//	signal NAME        sends the server SIGUSR1, SIGHUP, SIGTERM or SIGINT
//	await FILE REGEXP  waits until the server's output holds a line; FILE is server.out or server.err
//	stopped CODE       waits for the server's end; CODE may be the name of a signal, as in hangup
//	exits CODE ARGS…   runs "yesterday ARGS…" and checks the exit code, for codes other than 0
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "UTC")
			e.Setenv("NO_COLOR", "1")
			e.Setenv("GORACE", hurried)
			e.Values[running{}] = new(server)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": startServer, "signal": signalServer, "await": await, "stopped": stopped, "exits": exits,
		},
	})
}

// patience is how long a script waits for what must come. It is never waited out but by a test that fails.
const patience = 20 * time.Second

// hurried takes away the second that a program with the race detector waits at its end.
const hurried = "atexit_sleep_ms=10"

type running struct{}

// A server is the one that a script has started.
type server struct {
	cmd *exec.Cmd
}

func startServer(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(running{}).(*server)
	program, err := exec.LookPath("yesterday")
	ts.Check(err)
	s.cmd = exec.Command(program, append([]string{"serve"}, args...)...)
	s.cmd.Dir = ts.Getenv("WORK")
	s.cmd.Env = append(os.Environ(), "TZ=UTC", "NO_COLOR=1", "GORACE="+hurried)
	for _, name := range []string{"YESTERDAY_CLOCK", "YESTERDAY_QUIET"} {
		if v := ts.Getenv(name); v != "" {
			s.cmd.Env = append(s.cmd.Env, name+"="+v)
		}
	}
	out, err := os.Create(ts.MkAbs("server.out"))
	ts.Check(err)
	defer out.Close()
	errs, err := os.Create(ts.MkAbs("server.err"))
	ts.Check(err)
	defer errs.Close()
	s.cmd.Stdout, s.cmd.Stderr = out, errs
	hangup := make(chan os.Signal, 1) // what is caught here is the system's default there, under nohup too
	signal.Notify(hangup, syscall.SIGHUP)
	ts.Check(s.cmd.Start())
	signal.Stop(hangup)
	ts.Defer(func() {
		if s.cmd.ProcessState == nil {
			s.cmd.Process.Kill()
			s.cmd.Wait()
		}
	})
	ts.Setenv("PID", strconv.Itoa(s.cmd.Process.Pid))
	await(ts, false, []string{"server.out", "(?m)^(serving|.*\"msg\":\"serving\")"})
	text := ts.ReadFile("server.out")
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 {
			ts.Setenv(strings.ToUpper(f[0]), f[2])
		}
		var j struct{ Msg, Service, Addr string }
		if json.Unmarshal([]byte(line), &j) == nil && j.Msg == "listening" {
			ts.Setenv(strings.ToUpper(j.Service), j.Addr)
		}
	}
}

func signalServer(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(running{}).(*server)
	ts.Check(s.cmd.Process.Signal(map[string]syscall.Signal{
		"SIGUSR1": syscall.SIGUSR1, "SIGHUP": syscall.SIGHUP, "SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT,
	}[args[0]]))
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(running{}).(*server)
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text := ts.ReadFile(args[0])
		if pattern.MatchString(text) {
			return
		}
		if time.Now().After(end) || s.cmd.Process.Signal(syscall.Signal(0)) != nil {
			ts.Fatalf("%s has no %s:\n%s\n%s", args[0], args[1], text, ts.ReadFile("server.err"))
		}
	}
}

func stopped(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(running{}).(*server)
	kill := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	defer kill.Stop()
	s.cmd.Wait()
	if got := s.cmd.ProcessState.String(); got != "exit status "+args[0] && got != "signal: "+args[0] {
		ts.Fatalf("the server ended with %s, want %s:\n%s", got, args[0], ts.ReadFile("server.err"))
	}
}

// exits runs the program, whose exit code is to be the first argument: one, or one of several, as in 0|1.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	code := "0"
	if err := ts.Exec("yesterday", args[1:]...); err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if !slices.Contains(strings.Split(args[0], "|"), code) {
		ts.Fatalf("exit status %s, want %s", code, args[0])
	}
}
