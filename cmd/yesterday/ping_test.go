package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/internal/probe"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// ran runs a command with these arguments and returns what it printed and its exit code.
func ran(t *testing.T, e env, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	e.stderr = &errs
	if e.stdout == nil {
		e.stdout = &out
	}
	if e.ctx == nil {
		e.ctx = t.Context()
	}
	e.now = time.Now
	e.stdin = strings.NewReader("")
	code = run(args, &e)
	return out.String(), errs.String(), code
}

// faulty is an echo server that answers the n-th datagram, from 1, so many times with what it makes of it.
func faulty(t *testing.T, replies func(n int, data []byte) [][]byte) (addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	t.Cleanup(func() { conn.Close(); done.Wait() })
	done.Go(func() {
		buf := make([]byte, 1<<16)
		for n := 1; ; n++ {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, r := range replies(n, bytes.Clone(buf[:size])) {
				conn.WriteTo(r, from)
			}
		}
	})
	return conn.LocalAddr().String()
}

// What a person reads when a network loses, doubles and damages.
func TestPingShowsFaults(t *testing.T) {
	addr := faulty(t, func(n int, data []byte) [][]byte {
		damaged := bytes.Clone(data)
		damaged[len(damaged)-1]++
		return [][][]byte{1: {data}, 2: nil, 3: {data, data}, 4: {damaged}, 5: {[]byte("hi")}, 6: {damaged, data}}[n]
	})
	out, errs, code := ran(t, env{}, "ping", "-c", "6", "--interval", "1ms", "--timeout", "2s", addr)
	if code != 0 || errs != "" {
		t.Errorf("exit code %d, %s", code, errs)
	}
	for _, want := range []string{
		`(?m)^PING ` + addr + `: echo, 56 bytes$`,
		`(?m)^56 bytes from ` + addr + `: seq=1 time=\d+\.\d{3} ms$`,
		`(?m)^no reply: seq=2 within 2s$`,
		`(?m)^56 bytes from ` + addr + `: seq=3 time=\d+\.\d{3} ms \(duplicate\)$`,
		`(?m)^56 bytes from ` + addr + `: seq=4 corrupted: not what was sent$`,
		`(?m)^2 bytes from ` + addr + `: corrupted: not what was sent$`,
		`(?m)^56 bytes from ` + addr + `: seq=6 time=`,
		`(?m)^6 sent, 3 received, 3 lost \(50%\), 1 duplicated, 0 reordered, 3 corrupted$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

// A pipe tells what was written so far.
type watched struct {
	bytes.Buffer
	each func(text string)
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	w.each(w.String())
	return n, err
}

// Ctrl-C ends it with the summary, and it counts as good if there was a reply.
func TestPingIsInterrupted(t *testing.T) {
	for _, args := range [][]string{{}, {"--json"}} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &watched{each: func(text string) {
			if strings.Count(text, "\n") >= 3 {
				cancel()
			}
		}}
		addr := answering(t, echoes)
		_, errs, code := ran(t, env{ctx: ctx, stdout: out}, append([]string{"ping", "--interval", "2ms", addr}, args...)...)
		if code != 0 || errs != "" || !regexp.MustCompile(`\d+ sent, |"event":"summary"`).MatchString(out.String()) {
			t.Errorf("%v: exit code %d, %s\n%s", args, code, errs, out)
		}
		cancel()
	}
}

func TestPingLeavesAloneWhoAsksForIt(t *testing.T) {
	addr := answering(t, func(data []byte) []byte {
		h, err := ntp.Parse(data)
		if err != nil {
			return nil
		}
		return ntp.Header{Version: 4, Mode: ntp.ModeServer, ReferenceID: ntp.ReferenceID{'R', 'A', 'T', 'E'}, Origin: h.Transmit}.Append(nil)
	})
	out, errs, code := ran(t, env{}, "ping", "-c", "5", "--interval", "1m", "--service", "ntp", addr)
	for _, want := range []string{
		"48 bytes from " + addr + ": seq=1 kiss code RATE: asked to ask less often\n", "1 sent, 0 received, 0 lost (0%), 1 kissed, 0 duplicated",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 1 || !strings.HasPrefix(errs, "yesterday: "+addr+" says RATE: ") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	out, errs, code = ran(t, env{}, "ping", "--json", "-c", "5", "--interval", "1m", "--service", "ntp", addr)
	event := regexp.MustCompile(`^{"event":"kiss","seq":1,"at":"[^"]+","server":"` + addr + `","bytes":48,"code":"RATE"}\n`)
	if code != 1 || !event.MatchString(out) || !strings.Contains(out, `"sent":1,"received":0,"late":0,"lost":0,"pending":0,"kissed":1,`) || errs == "" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// A full disk: the first so many writes succeed.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(b), nil
}

// Where nobody can read what is measured, nothing is: it ends at the first write that fails, with exit code 1 and the error.
func TestPingEndsWhereItCannotWrite(t *testing.T) {
	for _, args := range [][]string{{}, {"-q"}, {"--json"}} {
		for left := range 3 {
			if len(args) > 0 && args[0] == "-q" && left > 0 {
				continue // it goes on until the summary
			}
			var asked atomic.Uint64
			ctx, cancel := context.WithCancel(t.Context())
			addr := answering(t, func(data []byte) []byte {
				if asked.Add(1) == 100 {
					cancel() // it would go on for ever
				}
				return data
			})
			_, errs, code := ran(t, env{ctx: ctx, stdout: &full{left}}, append([]string{"ping", "--interval", "1ms", addr}, args...)...)
			if code != 1 || errs != "yesterday: no space left on device\n" || ctx.Err() != nil {
				t.Errorf("%v, %d writes: exit code %d after %d requests, %s", args, left, code, asked.Load(), errs)
			}
			cancel()
		}
	}
}

// Each kind of event has its line, and its object.
func TestPingLines(t *testing.T) {
	for want, ev := range map[string]probe.Event{
		"3 bytes from 192.0.2.1:7: seq=7 kiss code DENY: access denied":    {Kind: probe.Kissed, Seq: 7, Code: "DENY"},
		"no reply: seq=7 within 1s":                                        {Kind: probe.Lost, Seq: 7},
		"192.0.2.1:7: refused: nothing listens there":                      {Kind: probe.Refused, Err: io.EOF},
		"192.0.2.1:7: seq=7 not sent: EOF":                                 {Kind: probe.Failed, Seq: 7, Err: io.EOF},
		"192.0.2.1:7: EOF":                                                 {Kind: probe.Failed, Err: io.EOF},
		"3 bytes from 192.0.2.1:7: seq=7 time=1500.000 ms (late)":          {Kind: probe.Late, Seq: 7, RoundTrip: 1500 * time.Millisecond},
		"3 bytes from 192.0.2.1:7: seq=7 time=0.001 ms (duplicate)":        {Kind: probe.Doubled, Seq: 7, RoundTrip: time.Microsecond},
		"3 bytes from 192.0.2.1:7: seq=7 time=1.000 ms offset=-0.500000 s": {Kind: probe.Answered, Seq: 7, RoundTrip: time.Millisecond, Timed: true, Offset: -time.Second / 2},
		"3 bytes from 192.0.2.1:7: corrupted: not what was sent":           {Kind: probe.Corrupted},
	} {
		ev.Server, ev.Reply = netip.MustParseAddrPort("192.0.2.1:7"), []byte("abc")
		s := pingShower{kind: service.Echo, timeout: time.Second}
		if got := s.line(ev); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		var out bytes.Buffer
		s = pingShower{e: &env{stdout: &out}, asJSON: true}
		s.event(ev)
		var v struct {
			Event, Error, Code string
			Seq                uint64
			RoundTrip          float64 `json:"round_trip_us"`
			Offset             float64 `json:"offset_seconds"`
		}
		if err := json.Unmarshal(out.Bytes(), &v); err != nil || v.Event != pingEvents[ev.Kind] || v.Seq != ev.Seq || v.Code != ev.Code ||
			v.RoundTrip != microseconds(ev.RoundTrip) || v.Offset != ev.Offset.Seconds() || (v.Error != "") != (ev.Err != nil) {
			t.Errorf("%s: %+v, %v", out.Bytes(), v, err)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		n, of uint64
		want  string
	}{
		{0, 0, "0"}, {0, 5, "0"}, {1, 3, "33.3"}, {5, 5, "100"}, {1, 1000, "0.1"}, {99_999, 100_000, "99.9"}, {1, 1_000_000, "0.0001"},
	} {
		if got := percent(c.n, c.of); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.n, c.of, got, c.want)
		}
	}
}

func TestPingSaysWhatCameInstead(t *testing.T) {
	addr := faulty(t, func(_ int, data []byte) [][]byte {
		data[len(data)-1]++
		return [][]byte{data, data}
	})
	_, errs, code := ran(t, env{}, "ping", "-c", "1", "--timeout", "300ms", addr)
	if want := "yesterday: no good reply for echo/udp from " + addr + ": 1 datagram sent, 2 corrupted datagrams came back\n"; code != 1 || errs != want {
		t.Errorf("exit code %d, %q, want %q", code, errs, want)
	}
}

// Head and foot name the server once.
func TestPingNamesTheServer(t *testing.T) {
	for name, want := range map[string]string{
		"": "localhost (192.0.2.1:7)", ":echo": "localhost (192.0.2.1:7)", "time.example.org:7": "time.example.org (192.0.2.1:7)",
		"192.0.2.1": "192.0.2.1:7", "192.0.2.1:echo": "192.0.2.1:7",
	} {
		s := pingShower{name: name}
		if got := s.who(netip.MustParseAddrPort("192.0.2.1:7")); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestPingOwnsUpToItsLosses(t *testing.T) {
	var out bytes.Buffer
	s := pingShower{e: &env{stdout: &out}}
	s.summary(probe.Summary{Sent: 5, Lost: 2, Overflow: 1})
	if want := "NOTE 1 datagram came but found this program's buffer full: lost on this machine, not on the way\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%s, want %s", out.String(), want)
	}
}
