package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// A transcript is an output that a test can read while it is written.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *transcript) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Split(strings.TrimSuffix(t.b.String(), "\n"), "\n")
}

func answered(n int) []exchange.Record {
	batch := make([]exchange.Record, n)
	for i := range batch {
		batch[i] = exchange.Record{
			Received: time.Now(), From: netip.MustParseAddrPort("192.168.1.17:59386"), Service: "time", Transport: "udp",
			Told: time.Date(2026, 11, 21, 9, 29, 9, 0, time.Local), Answered: 4,
		}
	}
	return batch
}

// reporting runs a test of a reporter in virtual time.
func reporting(t *testing.T, e env, asJSON bool, test func(r *reporter, out, err *transcript)) {
	synctest.Test(t, func(t *testing.T) {
		out, err := new(transcript), new(transcript)
		pout, perr := newPrinter(out), newPrinter(err)
		test(newReporter(pout, perr, &e, asJSON, false), out, err)
		closePrinters(pout, perr)
	})
}

func TestRequestLine(t *testing.T) {
	reporting(t, env{}, false, func(r *reporter, out, _ *transcript) {
		batch := answered(1)
		batch[0].Received = time.Date(2026, 11, 22, 9, 29, 9, 123456789, time.Local)
		r.watch(batch, 0)
		synctest.Wait()
		if got, want := out.lines()[0], "09:29:09.123 192.168.1.17:59386 time/udp ← Sat Nov 21 09:29:09 2026"; got != want {
			t.Errorf("line %q, want %q", got, want)
		}
	})
}

// At a terminal the columns stand below each other.
func TestRequestLinesAlign(t *testing.T) {
	reporting(t, env{tty: true}, false, func(r *reporter, out, _ *transcript) {
		batch := answered(3)
		batch[0].From = netip.MustParseAddrPort("[fe80::1234:5678:9abc:def0%eth0]:59386")
		batch[1].Service, batch[1].Transport = "daytime", "tcp"
		r.watch(batch, 0)
		synctest.Wait()
		column := func(line string) int { return len([]rune(line[:strings.Index(line, "←")])) }
		lines := out.lines()
		if column(lines[0]) != column(lines[1]) || column(lines[1]) != column(lines[2]) {
			t.Errorf("not aligned:\n%s", strings.Join(lines, "\n"))
		}
		if strings.Contains(lines[0], "\x1b") {
			t.Errorf("colour where none is wanted: %q", lines[0])
		}
	})
	reporting(t, env{tty: true, color: true}, false, func(r *reporter, out, _ *transcript) {
		r.watch(answered(1), 0)
		synctest.Wait()
		if line := out.lines()[0]; strings.Count(line, "\x1b[0m") != 2 {
			t.Errorf("no colour: %q", line)
		}
	})
}

// Under a flood there are 20 lines a second, and one that counts the rest, at the end of that second.
func TestLinesAreCapped(t *testing.T) {
	reporting(t, env{}, false, func(r *reporter, out, _ *transcript) {
		for range 10 {
			r.watch(answered(1234), 5)
		}
		synctest.Wait()
		if n := len(out.lines()); n != maxLines {
			t.Errorf("%d lines, want %d", n, maxLines)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		lines := out.lines()
		if n := len(lines); n != maxLines+1 {
			t.Fatalf("a second later %d lines, want %d", n, maxLines+1)
		}
		if got, want := lines[maxLines], fmt.Sprintf("… and %s more in that second", thousands(12340-maxLines+50)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		r.watch(answered(3), 0)
		synctest.Wait()
		if n := len(out.lines()); n != maxLines+4 {
			t.Errorf("in the next second %d lines, want %d", n, maxLines+4)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(out.lines()); n != maxLines+4 {
			t.Errorf("an hour later %d lines, want %d", n, maxLines+4)
		}
	})
}

// What was lost is told of even when nothing else was skipped.
func TestLostIsTold(t *testing.T) {
	reporting(t, env{}, false, func(r *reporter, out, _ *transcript) {
		r.watch(answered(1), 7)
		time.Sleep(time.Second)
		synctest.Wait()
		if lines := out.lines(); len(lines) != 2 || lines[1] != "… and 7 more in that second" {
			t.Errorf("lines %q", lines)
		}
	})
}

// Each cause of refusals has a line a minute, which counts those before it.
func TestRefusalsAreTold(t *testing.T) {
	reporting(t, env{}, false, func(r *reporter, out, err *transcript) {
		batch := answered(1)
		for range 100 {
			batch[0].Verdict = exchange.NotAllowed
			r.watch(batch, 0)
			batch[0].Verdict = exchange.Loop
			r.watch(batch, 0)
		}
		synctest.Wait()
		if n := len(err.lines()); n != 2 {
			t.Errorf("%d lines, want 2: %q", n, err.lines())
		}
		time.Sleep(refusalEvery)
		batch[0].Verdict = exchange.NotAllowed
		r.watch(batch, 0)
		synctest.Wait()
		lines := err.lines()
		want := "yesterday: not allowed: 192.168.1.17:59386 asked time/udp and got no answer (with 99 more since the last such line); --allow says who does"
		if len(lines) != 3 || lines[2] != want {
			t.Errorf("a minute later: %q, want %q", lines[2:], want)
		}
		if out.b.Len() > 0 {
			t.Errorf("refusals on stdout: %q", out.lines())
		}
	})
}

func TestJSONLine(t *testing.T) {
	reporting(t, env{}, true, func(r *reporter, out, err *transcript) {
		batch := answered(2)
		batch[1].Verdict = exchange.Limit
		r.watch(batch, 0)
		synctest.Wait()
		if got := out.lines()[0]; !strings.Contains(got, `"msg":"answered"`) || !strings.Contains(got, `"from":"192.168.1.17:59386"`) || !strings.Contains(got, `"told":"2026-11-21T09:29:09`) {
			t.Errorf("line %s", got)
		}
		if got := err.lines()[0]; !strings.Contains(got, `"cause":"over limit"`) || !strings.Contains(got, `"count":1`) {
			t.Errorf("line %s", got)
		}
	})
}

// A printer whose reader does not read makes nobody wait, also not at the end.
func TestPrinterNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		p := newPrinter(w)
		start := time.Now()
		for range 1000 {
			fmt.Fprintln(p, "line")
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("writing took %v", waited)
		}
		if p.lost.Load() == 0 {
			t.Error("nothing is counted as lost")
		}
		closePrinters(p)
		if waited := time.Since(start); waited > flushWithin {
			t.Errorf("closing took %v, want at most %v", waited, flushWithin)
		}
		fmt.Fprintln(p, "after the end")
		r.Close() // lets the writer go
	})
}

func TestThousands(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d reads %q, want %q", n, got, want)
		}
	}
}
