package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/internal/probe"
	"github.com/yesterday-time/yesterday/service"
)

// A progress line at a terminal alone, which the report takes the place of.
func TestBenchShowsProgressAtATerminal(t *testing.T) {
	addr := answering(t, echoes)
	for _, tty := range []bool{true, false} {
		var out bytes.Buffer
		_, errs, code := ran(t, env{stdout: &out, tty: tty}, "bench", "--rate", "100", "--duration", "700ms", "--timeout", "10s", addr)
		if code != 0 || errs != "" {
			t.Errorf("exit code %d, %s", code, errs)
		}
		progress := regexp.MustCompile(`\r +0\.\ds   \d+ sent   \d+ answered   \d+ a second \x1b\[K`).MatchString(out.String())
		if progress != tty || strings.Contains(out.String(), "\r\x1b[Ksent ") != tty {
			t.Errorf("terminal %v: %q", tty, out.String())
		}
	}
}

// Where nobody can read what is measured there is no load: it ends at the first write that fails.
func TestBenchEndsWhereItCannotWrite(t *testing.T) {
	for name, c := range map[string]struct {
		writes int // that succeed
		tty    bool
		args   []string
	}{
		"the first line":    {0, false, []string{"--duration", "1h"}},
		"the progress line": {1, true, []string{"--duration", "1h"}},
		"a run's line":      {1, false, []string{"--search", "--duration", "1ms", "--rate", "20000"}},
		"the report":        {1, false, []string{"--duration", "10ms"}},
		"the object":        {0, false, []string{"--json", "--duration", "10ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var asked atomic.Uint64
			addr := answering(t, func(data []byte) []byte {
				asked.Add(1)
				return data
			})
			out := &full{c.writes}
			_, errs, code := ran(t, env{ctx: ctx, stdout: out, tty: c.tty}, append([]string{"bench", addr}, c.args...)...)
			if code != 1 || errs != "yesterday: no space left on device\n" || ctx.Err() != nil {
				t.Errorf("exit code %d, %s", code, errs)
			}
			if n := asked.Load(); name == "the first line" && n != 1 { // whether anybody is there
				t.Errorf("a load of %d requests", n)
			}
			if out.left != -1 {
				t.Errorf("%d writes after the one that failed", -1-out.left)
			}
		})
	}
}

// Ctrl-C in a search's first run: what that has measured by then is reported.
func TestBenchSearchIsInterrupted(t *testing.T) {
	for _, args := range [][]string{{}, {"--json"}} {
		ctx, cancel := context.WithCancel(t.Context())
		var asked atomic.Uint64
		addr := answering(t, func(data []byte) []byte {
			if asked.Add(1) == 20 {
				cancel()
			}
			return data
		})
		out, errs, code := ran(t, env{ctx: ctx}, append([]string{"bench", "--search", "--rate", "200", addr}, args...)...)
		if code != 1 || errs != "yesterday: interrupted before a good rate was found\n" {
			t.Errorf("exit code %d, %s", code, errs)
		}
		if len(args) > 0 {
			var v struct {
				Sent   uint64
				Rate   int
				Search *int     `json:"search_rate"`
				Limits []string `json:"search_limits"`
				Runs   []any
			}
			if err := json.Unmarshal([]byte(out), &v); err != nil || v.Sent < 19 || v.Rate != 200 || v.Search == nil || *v.Search != 0 || v.Limits == nil || v.Runs == nil || len(v.Runs) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		} else if !regexp.MustCompile(`(?m)^found      none; the first run, of 200 a second, was cut short:\nsent +\d+, `).MatchString(out) {
			t.Errorf("%s", out)
		}
		cancel()
	}
}

// A search that finds nothing says so, where it began, and why.
func TestBenchSearchFindsNothing(t *testing.T) {
	bad := probe.Trial{Rate: 1000, Report: probe.BenchReport{Sent: 3000, Answered: 2000, Lost: 1000}}
	slow := bad
	slow.Limits = []probe.Limit{probe.LimitBehind}
	for name, c := range map[string]struct {
		search      probe.SearchReport
		interrupted bool
		want        string
		note        bool
	}{
		"lost":        {probe.SearchReport{Trials: []probe.Trial{bad, bad}}, false, "more than 0.1 % were lost or late at each rate, from 1,000 on down; begin lower with --rate", false},
		"the machine": {probe.SearchReport{Trials: []probe.Trial{slow, slow}, Limits: slow.Limits}, false, "no rate was found that the generator holds: it sent behind the due times; begin lower with --rate", true},
		"interrupted": {probe.SearchReport{Trials: []probe.Trial{bad, bad}}, true, "interrupted before a good rate was found", false},
	} {
		b := &probe.Bench{Service: service.Echo, Rate: 1000, Sockets: 1}
		if err := benchFailure(b, c.interrupted, bad.Report, &c.search); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		var out bytes.Buffer
		s := benchShower{e: &env{stdout: &out}, bench: b}
		s.end(bad.Report, &c.search)
		if want := "found      none in 2 runs; the first, of 1,000 a second:\nsent       3,000, "; !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: no %q in\n%s", name, want, out.String())
		}
		if strings.Contains(out.String(), "NOTE       the generator was a bottleneck, so these are not quite the figures of the server: it sent behind the due times\n") != c.note {
			t.Errorf("%s: note %v in\n%s", name, !c.note, out.String())
		}
	}
	good := &probe.SearchReport{Rate: 2000}
	if err := benchFailure(&probe.Bench{}, true, probe.BenchReport{Sent: 1, Answered: 1}, good); err != nil {
		t.Errorf("a good rate was found: %v", err)
	}
}

// What never left, and what did not arrive, has its line and its key.
func TestBenchTellsWhatTheNetworkSaid(t *testing.T) {
	r := probe.BenchReport{Sent: 10, Lost: 10, Refused: 1, Unreachable: 2000, Unsent: 3, Reason: errors.New("no route to host")}
	var out bytes.Buffer
	s := benchShower{e: &env{stdout: &out}, bench: &probe.Bench{Rate: 1}}
	s.end(r, nil)
	for _, want := range []string{"refused    1\n", "unreached  2,000\n", "not sent   3: no route to host\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if v := s.json(r, nil); v.Refused != 1 || v.Unreachable != 2000 || v.Unsent != 3 || v.UnsentReason != "no route to host" {
		t.Errorf("%+v", v)
	}
}

// One lane and losses: latencies of time are shifted, which is said.
func TestBenchSaysThatLanesAreShared(t *testing.T) {
	for _, sockets := range []string{"1", "200"} {
		addr := faulty(t, func(n int, _ []byte) [][]byte {
			if n > 1 && n%10 == 3 { // the first asks whether anybody is there
				return nil
			}
			return [][]byte{{1, 2, 3, 4}}
		})
		args := []string{"bench", "--service", "time", "--rate", "1000", "--duration", "100ms", "--timeout", "300ms", "--sockets", sockets, addr}
		out, errs, code := ran(t, env{}, args...)
		if code != 0 || errs != "" {
			t.Errorf("exit code %d, %s", code, errs)
		}
		shared := sockets == "1"
		if strings.Contains(out, "NOTE       replies of time do not say whose they are: ") != shared {
			t.Errorf("from %s ports:\n%s", sockets, out)
		}
		out, _, _ = ran(t, env{}, append(args, "--json")...)
		var v struct {
			Limits []string
			Shared uint64
		}
		if err := json.Unmarshal([]byte(out), &v); err != nil || slices.Contains(v.Limits, "shared") != shared || (v.Shared > 0) != shared {
			t.Errorf("from %s ports: %v, %s", sockets, err, out)
		}
	}
}

// A server as slow as --timeout allows is heard before the load.
func TestQuestions(t *testing.T) {
	for timeout, want := range map[time.Duration]int{
		time.Millisecond: 5, 3200 * time.Millisecond: 5, 3201 * time.Millisecond: 6, probe.MaxTimeout: 7,
	} {
		if got := questions(timeout); got != want {
			t.Errorf("%v: %d questions, want %d", timeout, got, want)
		}
	}
}
