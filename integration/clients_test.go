//go:build linux

package integration

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// day is how far the default clock is behind.
const day = 24 * time.Hour

// A clientTest runs a real client against the server.
type clientTest struct {
	name    string
	binary  string
	debian  string // the package that has it
	root    bool   // it opens raw sockets
	service string // it asks "time/udp", …
	stdin   string
	args    string // HOST and PORT stand for where the service is
	told    func(t *testing.T, out string) time.Time
	echoed  string // instead of told: what it must print, a regular expression
}

// clientTests are the rows of the real clients' table.
var clientTests = []clientTest{
	{name: "rdate tcp", binary: "rdate", debian: "rdate", service: "time/tcp", args: "-p -o PORT HOST", told: ctime("Mon Jan _2 15:04:05 MST 2006")},
	{name: "rdate udp", binary: "rdate", debian: "rdate", service: "time/udp", args: "-u -p -o PORT HOST", told: ctime("Mon Jan _2 15:04:05 MST 2006")},
	{name: "netcat time udp", binary: "nc.openbsd", debian: "netcat-openbsd", service: "time/udp", stdin: "\n", args: "-u -w1 HOST PORT", told: fourBytes},
	{name: "netcat time tcp", binary: "nc.openbsd", debian: "netcat-openbsd", service: "time/tcp", args: "-N HOST PORT", told: fourBytes},
	{name: "netcat daytime udp", binary: "nc.openbsd", debian: "netcat-openbsd", service: "daytime/udp", stdin: "\n", args: "-u -w1 HOST PORT", told: daytime},
	{name: "netcat daytime tcp", binary: "nc.openbsd", debian: "netcat-openbsd", service: "daytime/tcp", args: "-N HOST PORT", told: daytime},
	{name: "netcat echo udp", binary: "nc.openbsd", debian: "netcat-openbsd", service: "echo/udp", stdin: "hi\n", args: "-u -w1 HOST PORT", echoed: `^hi\n$`},
	{name: "netcat echo tcp", binary: "nc.openbsd", debian: "netcat-openbsd", service: "echo/tcp", stdin: "hi\nthere\n", args: "-N HOST PORT", echoed: `^hi\nthere\n$`},
	{name: "socat time udp", binary: "socat", debian: "socat", service: "time/udp", args: "-t1 - UDP:HOST:PORT,shut-null", told: fourBytes},
	{name: "socat time tcp", binary: "socat", debian: "socat", service: "time/tcp", args: "-t1 -u TCP:HOST:PORT -", told: fourBytes},
	{name: "socat daytime tcp", binary: "socat", debian: "socat", service: "daytime/tcp", args: "-t1 -u TCP:HOST:PORT -", told: daytime},
	{name: "socat echo udp", binary: "socat", debian: "socat", service: "echo/udp", stdin: "hi\n", args: "-t1 - UDP:HOST:PORT", echoed: `^hi\n$`},
	{name: "socat echo tcp", binary: "socat", debian: "socat", service: "echo/tcp", stdin: "hi\n", args: "-t1 - TCP:HOST:PORT", echoed: `^hi\n$`},
	{name: "nping echo", binary: "nping", debian: "nmap", root: true, service: "echo/udp", args: "--udp -p PORT -c 3 --delay 250ms --data-string hi HOST",
		// It hears ICMP too, which its own host sends for the replies to a port that no socket holds.
		echoed: `(?s)(RCVD [^\n]* UDP HOST:PORT > HOST:53 .*){3}Lost: 0 `},
}

// Every client reads the server, and reads yesterday.
func TestClients(t *testing.T) {
	t.Parallel()
	ns := host()
	if os.Geteuid() == 0 {
		ns = newNetns(t) // where nobody else's packets come by
	}
	s := serve(t, ns, loopback...)
	for _, c := range clientTests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, ns, "127.0.0.1", s.port(c.service))
		})
	}
}

// run runs the client and checks what it prints.
func (c clientTest) run(t *testing.T, ns *netns, address, port string) {
	if c.root {
		needRoot(t)
	}
	binary := need(t, c.binary, c.debian)
	fill := strings.NewReplacer("HOST", address, "PORT", port)
	before := time.Now()
	out := ns.mustRun(t, c.stdin, binary, strings.Fields(fill.Replace(c.args))...)
	after := time.Now()
	if c.echoed != "" {
		if !regexp.MustCompile(fill.Replace(c.echoed)).MatchString(out) {
			t.Fatalf("%s printed %q, want %s", c.binary, out, fill.Replace(c.echoed))
		}
		return
	}
	behind(t, c.told(t, out), before, after)
}

// behind checks that told, in whole seconds, is 24 hours behind some moment between before and after.
func behind(t *testing.T, told, before, after time.Time) {
	t.Helper()
	if real := told.Add(day); real.Before(before.Truncate(time.Second)) || real.After(after) {
		t.Errorf("told %v, want 24 hours before a moment from %v to %v", told, before, after)
	}
}

// ctime reads a date, printed on one line, in UTC.
func ctime(layout string) func(*testing.T, string) time.Time {
	return func(t *testing.T, out string) time.Time {
		t.Helper()
		told, err := time.Parse(layout, strings.TrimSpace(out))
		if err != nil {
			t.Fatalf("printed %q, want one date: %v", out, err)
		}
		return told
	}
}

// fourBytes reads the seconds of RFC 868.
func fourBytes(t *testing.T, out string) time.Time {
	t.Helper()
	if len(out) != 4 {
		t.Fatalf("%d bytes came (%s), want 4", len(out), hex.EncodeToString([]byte(out)))
	}
	return time.Unix(int64(binary.BigEndian.Uint32([]byte(out)))-2_208_988_800, 0)
}

// daytime reads the line of RFC 867; the server's zone in these tests is UTC.
func daytime(t *testing.T, out string) time.Time {
	t.Helper()
	line, ok := strings.CutSuffix(out, "\r\n")
	if !ok {
		t.Fatalf("%q came, want one line that ends in CRLF", out)
	}
	return ctime(time.ANSIC)(t, line)
}

// The program's own client reads its server over each transport and service, and says how far behind it is.
func TestAsk(t *testing.T) {
	t.Parallel()
	s := serve(t, host(), loopback...)
	for _, c := range []struct {
		service string
		args    string
		told    func(t *testing.T, out string) time.Time
		echoed  string
	}{
		{service: "time/udp", args: "--utc", told: ctime(time.ANSIC)},
		{service: "time/tcp", args: "--utc --tcp", told: ctime(time.ANSIC)},
		{service: "daytime/udp", args: "--service daytime", told: ctime(time.ANSIC)},
		{service: "daytime/tcp", args: "--service daytime --tcp", told: ctime(time.ANSIC)},
		{service: "echo/udp", args: "--service echo --send hi", echoed: "hi\n"},
		{service: "echo/tcp", args: "--service echo --send hi --tcp", echoed: "hi\n"},
	} {
		t.Run(c.service, func(t *testing.T) {
			t.Parallel()
			before := time.Now()
			out := host().mustRun(t, "", program, append([]string{"ask", s.addr(c.service)}, strings.Fields(c.args)...)...)
			after := time.Now()
			if c.told == nil {
				if out != c.echoed {
					t.Fatalf("printed %q, want %q", out, c.echoed)
				}
				return
			}
			behind(t, c.told(t, out), before, after)
		})
	}
}

// A clock other than the default reaches real clients too.
func TestClientsOnAnotherClock(t *testing.T) {
	t.Parallel()
	rdate := need(t, "rdate", "rdate")
	for text, want := range map[string]string{
		"2001-02-03T04:05:06Z frozen": "Sat Feb  3 04:05:06 UTC 2001",
		"2030-01-01 frozen":           "Tue Jan  1 00:00:00 UTC 2030",
		"2036-02-07T06:28:16Z frozen": "Thu Feb  7 06:28:16 UTC 2036", // where 32 bits from 1900 begin anew
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s := serve(t, host(), slices.Concat([]string{"--clock", text}, loopback)...)
			for _, transport := range []string{"tcp", "udp"} {
				args := []string{"-p", "-o", s.port("time/" + transport), "127.0.0.1"}
				if transport == "udp" {
					args = append([]string{"-u"}, args...)
				}
				if got := strings.TrimSpace(host().mustRun(t, "", rdate, args...)); got != want {
					t.Errorf("rdate over %s printed %q, want %q", transport, got, want)
				}
			}
		})
	}
}

// counted returns the number that stands before or after a word in a line of counters, 0 where the word is not there.
func counted(t *testing.T, text, word string) int {
	t.Helper()
	m := regexp.MustCompile(`(\d[\d,]*) ` + regexp.QuoteMeta(word) + `\b`).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
