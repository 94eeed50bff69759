package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/wire/rfc867"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

var (
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 500_000_000, time.UTC) // this machine's clock in these tests
	dayAgo = rfc868.Of(noon.Add(-24 * time.Hour)).Append(nil)
)

// asked runs "yesterday ask" at noon and returns what it printed and its exit code.
func asked(t *testing.T, e env, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	e.stdout, e.stderr = &out, &errs
	if e.ctx == nil {
		e.ctx = t.Context()
	}
	if e.now == nil {
		e.now = func() time.Time { return noon }
	}
	if e.stdin == nil {
		e.stdin = strings.NewReader("")
	}
	code = run(append([]string{"ask"}, args...), &e)
	return out.String(), errs.String(), code
}

// answering is a UDP server that answers each datagram with what reply makes of it, or not at all if that is nil.
func answering(t *testing.T, reply func(data []byte) []byte) (addr string) {
	return faulty(t, func(_ int, data []byte) [][]byte {
		if b := reply(data); b != nil {
			return [][]byte{b}
		}
		return nil
	})
}

// says is the reply function of a server that always says the same.
func says(reply string) func([]byte) []byte { return func([]byte) []byte { return []byte(reply) } }

func echoes(data []byte) []byte { return bytes.Clone(data) }

func TestAskShows(t *testing.T) {
	local := time.Local
	time.Local = time.FixedZone("here", 2*3600)
	defer func() { time.Local = local }()

	here := string(rfc867.Append(nil, noon.Add(-90*time.Minute).In(time.Local)))
	for _, c := range []struct {
		name  string
		reply func([]byte) []byte
		tty   bool
		args  []string
		want  string // ADDR is the server's address
	}{
		{"a pipe gets the date alone", says(string(dayAgo)), false, []string{"--utc"}, "Sat Nov 21 12:00:00 2026\n"},
		{"in this machine's zone", says(string(dayAgo)), false, nil, "Sat Nov 21 14:00:00 2026\n"},
		{"a terminal", says(string(dayAgo)), true, nil, "Sat Nov 21 14:00:00 2026   24h behind   0s   time/udp ADDR\n"},
		{"in time", says(string(rfc868.Of(noon).Append(nil))), true, []string{"--utc"}, "Sun Nov 22 12:00:00 2026   in time   0s   time/udp ADDR\n"},
		{"the rollover", says("\x00\x00\x00\x00"), true, []string{"--utc"}, "Thu Feb  7 06:28:16 2036   9y76d18h ahead   0s   time/udp ADDR\n"},
		{"era 0", says("\x00\x00\x00\x00"), true, []string{"--utc", "--era", "0"}, "Mon Jan  1 00:00:00 1900   126y325d12h behind   0s   time/udp ADDR\n"},
		{"era -1", says("\x00\x00\x00\x00"), false, []string{"--utc", "--era", "-1"}, "Thu Nov 24 17:31:44 1763\n"},
		{"era 59", says("\x00\x00\x00\x00"), false, []string{"--utc", "--era=59"}, "Thu Jan  9 21:47:44 9930\n"},
		{"daytime", says(here), true, []string{"--service", "daytime"}, "Sun Nov 22 12:30:00 2026   1h30m behind   0s   daytime/udp ADDR\n"},
		{"daytime taken for UTC", says(here), true, []string{"--service", "daytime", "--utc"}, "Sun Nov 22 12:30:00 2026   30m ahead   0s   daytime/udp ADDR\n"},
		{"daytime into a pipe", says(here), false, []string{"--service", "daytime"}, "Sun Nov 22 12:30:00 2026\n"},
		{"daytime in a form of its own", says("\n61001 26-11-22 UTC(NIST) *\n"), true, []string{"--service", "daytime"}, "61001 26-11-22 UTC(NIST) *   0s   daytime/udp ADDR\n"},
		{"daytime that would steer the terminal", says("\x1b[2Jh\xffi\u202e\x07\r\n"), false, []string{"--service", "daytime"}, `\x1b[2Jh\xffi\u202e\x07` + "\n"},
		{"echo", echoes, true, []string{"--service", "echo", "--send", "hi there"}, "hi there   as sent   0s   echo/udp ADDR\n"},
		{"echo of a dash", echoes, true, []string{"--service", "echo", "--send", "-x"}, "-x   as sent   0s   echo/udp ADDR\n"},
		{"echo of nothing", echoes, true, []string{"--service", "echo"}, "(empty)   as sent   0s   echo/udp ADDR\n"},
		{"echo into a pipe", echoes, false, []string{"--service", "echo", "--send", "\x1b\xff"}, "\x1b\xff\n"},
		{"echo at a terminal", echoes, true, []string{"--service", "echo", "--send", "\x1b\xff"}, `\x1b\xff   as sent   0s   echo/udp ADDR` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := answering(t, c.reply)
			stdout, stderr, code := asked(t, env{tty: c.tty}, append(c.args, addr)...)
			if want := strings.ReplaceAll(c.want, "ADDR", addr); stdout != want || stderr != "" || code != 0 {
				t.Errorf("got exit code %d, stderr %q, stdout\n%q, want\n%q", code, stderr, stdout, want)
			}
		})
	}
}

func TestAskColour(t *testing.T) {
	addr := answering(t, says(string(dayAgo)))
	stdout, _, _ := asked(t, env{tty: true, color: true}, "--utc", addr)
	if want := "\x1b[1mSat Nov 21 12:00:00 2026\x1b[0m   \x1b[2m24h behind   0s   time/udp " + addr + "\x1b[0m\n"; stdout != want {
		t.Errorf("got %q, want %q", stdout, want)
	}
}

func TestAskTellsOfRetries(t *testing.T) {
	count := 0
	addr := answering(t, func([]byte) []byte {
		if count++; count < 2 {
			return nil
		}
		return dayAgo
	})
	stdout, stderr, code := asked(t, env{tty: true}, "--timeout", "20ms", "--tries", "10", addr)
	if !strings.HasSuffix(strings.TrimRight(stdout, "\n"), " asked") || code != 0 {
		t.Errorf("got exit code %d, %q, %q, want the number of datagrams", code, stdout, stderr)
	}
}

func TestAskJSON(t *testing.T) {
	const moments = `"attempts":1,"sent":"2026-11-22T12:00:00.5Z","received":"2026-11-22T12:00:00.5Z","round_trip_us":0`
	for _, c := range []struct {
		service string
		reply   func([]byte) []byte
		args    []string
		want    string
	}{
		{"time", says(string(dayAgo)), nil, `"served":"2026-11-21T12:00:00Z","offset_seconds":-86400,"era":0,"raw":"` + fmt.Sprintf("%x", dayAgo) + `"`},
		{"time", says(string(rfc868.Of(noon).Append(nil))), nil, `"served":"2026-11-22T12:00:00Z","offset_seconds":0,"era":0,"raw":"` + fmt.Sprintf("%x", rfc868.Of(noon).Append(nil)) + `"`},
		{"time", says("\x00\x00\x00\x01"), []string{"--era", "-14"}, `"served":"ERR"`},
		{"daytime", says("Sun Nov 22 11:00:00 2026\r\n"), []string{"--utc"}, `"served":"2026-11-22T11:00:00Z","offset_seconds":-3600,"line":"Sun Nov 22 11:00:00 2026","raw":"53756e204e6f762032322031313a30303a303020323032360d0a"`},
		{"daytime", says("<late>"), nil, `"line":"<late>","raw":"3c6c6174653e"`},
		{"echo", echoes, []string{"--send", "hi"}, `"raw":"6869"`},
	} {
		addr := answering(t, c.reply)
		stdout, stderr, code := asked(t, env{tty: true}, append(c.args, "--json", "--service", c.service, addr)...)
		if strings.Contains(c.want, "ERR") {
			if code != 1 || stdout != "" || !strings.Contains(stderr, "want 1 to 9999") {
				t.Errorf("%s %v: got exit code %d, %q, %q", c.service, c.args, code, stdout, stderr)
			}
			continue
		}
		want := fmt.Sprintf(`{"service":%q,"transport":"udp","server":%q,%s,%s}`+"\n", c.service, addr, moments, c.want)
		if stdout != want || stderr != "" || code != 0 {
			t.Errorf("%s: got exit code %d, stderr %q, stdout\n%s, want\n%s", c.service, code, stderr, stdout, want)
		}
	}
}

func TestAskStandardInput(t *testing.T) {
	for _, c := range []struct {
		in     string
		tty    bool
		sent   string
		prompt string
	}{
		{"hi there\nmore\n", true, "hi there", "Text to send: "},
		{"hi there\nmore\n", false, "hi there", ""},
		{"no end", false, "no end", ""},
		{"from elsewhere\r\n", false, "from elsewhere", ""},
		{"\n", true, "", "Text to send: "},
		{"", false, "", ""},
	} {
		sent := make(chan string, 1)
		addr := answering(t, func(data []byte) []byte {
			sent <- string(data)
			return dayAgo
		})
		_, stderr, code := asked(t, env{stdin: strings.NewReader(c.in), stdinTTY: c.tty}, "--send", "-", addr)
		if code != 0 || stderr != c.prompt {
			t.Errorf("%q: exit code %d, stderr %q, want %q", c.in, code, stderr, c.prompt)
			continue
		}
		if got := <-sent; got != c.sent {
			t.Errorf("%q: sent %q, want %q", c.in, got, c.sent)
		}
	}
}

func TestAskStandardInputEnds(t *testing.T) {
	addr := answering(t, echoes)
	if _, stderr, code := asked(t, env{stdin: strings.NewReader(strings.Repeat("x", maxLine+1))}, "--send", "-", addr); code != 2 || !strings.Contains(stderr, "more than 1048576 bytes") {
		t.Errorf("a long line: exit code %d, stderr %q", code, stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, w := io.Pipe() // nothing comes, nothing ends
	defer w.Close()
	if _, stderr, code := asked(t, env{ctx: ctx, stdin: in}, "--send", "-", addr); code != 1 || !strings.Contains(stderr, "cancel") {
		t.Errorf("interrupted: exit code %d, stderr %q", code, stderr)
	}
}

func TestAskFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply func([]byte) []byte
		args  []string
		want  string // what stderr begins with
	}{
		{"a wrong length", says("hello"), nil, "yesterday: bad reply for time/udp from ADDR: rfc868: reply has 5 bytes, want 4: 68 65 6c 6c 6f\n"},
		{"nothing in it", says(""), []string{"--service", "daytime"}, "yesterday: bad reply for daytime/udp from ADDR: rfc867: reply has 0 bytes"},
		{"an echo that is none", says("ih"), []string{"--service", "echo", "--send", "hi"}, "yesterday: no reply for echo/udp from ADDR: 2 datagrams sent in "},
	} {
		addr := answering(t, c.reply)
		stdout, stderr, code := asked(t, env{tty: true}, append(c.args, "--timeout", "20ms", "--tries", "2", addr)...)
		if want := strings.ReplaceAll(c.want, "ADDR", addr); !strings.HasPrefix(stderr, want) || stdout != "" || code != 1 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want %q", c.name, code, stdout, stderr, want)
		}
	}
}

func TestHowFar(t *testing.T) {
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
	for _, c := range []struct{ served, real, want string }{
		{"2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", "in time"},
		{"2026-11-22T12:00:01Z", "2026-11-22T12:00:00Z", "1s ahead"},
		{"2026-11-22T11:58:59Z", "2026-11-22T12:00:00Z", "1m1s behind"},
		{"2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z", "24h behind"},
		{"2026-11-21T12:00:01Z", "2026-11-22T12:00:00Z", "23h59m59s behind"},
		{"2026-11-21T11:59:59Z", "2026-11-22T12:00:00Z", "24h1s behind"},
		{"2026-11-20T12:00:01Z", "2026-11-22T12:00:00Z", "47h59m59s behind"},
		{"2026-11-20T12:00:00Z", "2026-11-22T12:00:00Z", "2d behind"},
		{"2026-11-19T10:00:00Z", "2026-11-22T12:00:00Z", "3d2h behind"},
		{"2026-11-19T09:58:30Z", "2026-11-22T12:00:00Z", "3d2h1m behind"},
		{"2027-11-22T11:59:59Z", "2026-11-22T12:00:00Z", "364d23h59m ahead"},
		{"2027-11-22T12:00:00Z", "2026-11-22T12:00:00Z", "1y ahead"},
		{"2025-11-22T12:00:00Z", "2026-11-22T12:00:00Z", "1y behind"},
		{"2088-12-01T13:30:00Z", "2026-11-22T12:00:00Z", "62y9d1h ahead"},
		{"2024-02-29T00:00:00Z", "2025-02-28T00:00:00Z", "365d behind"},
		{"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9998y364d23h behind"},
		{"9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9998y364d23h ahead"},
		{"2026-11-21T12:00:00+02:00", "2026-11-22T12:00:00Z", "26h behind"},
	} {
		served, real := at(c.served), at(c.real)
		if got := howFar(served, served.Unix()-real.Unix()); got != c.want {
			t.Errorf("%s at %s is %q, want %q", c.served, c.real, got, c.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 85_400: "85µs", 999_400: "999µs", 1_234_567: "1.23ms", 45_678_901: "45.68ms", 123_456_789: "123ms",
		1_234_567_890: "1.23s", 12 * time.Second: "12s",
	} {
		if got := roundTrip(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}
