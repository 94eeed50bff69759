//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beevik/ntp"
)

// A realClient asks for the time and says how far this machine's clock is from it, or what the time is. But for the last
// of them nobody here wrote it. Each is run so that it sets no clock.
type realClient struct {
	name    string
	binary  string // its path, or where it is in integration/.peers
	debian  string // the package that has it
	module  string // or the Go module
	how     string // how it is asked, for people
	service string // "ntp/udp", "time/tcp", …
	port    int    // the only one that it can ask; 0: any
	asks    int    // how many requests it makes at least; 0: one
	leap    bool   // it shows the leap indicator
	args    []string
	read    func(out string) (reading, error)
	call    func(ctx context.Context, ns *netns, address string) (reading, error) // instead of a binary
}

// A reading is what a client said.
type reading struct {
	offset time.Duration // served time less real time
	beyond float64       // instead, where that is too much for a Duration: seconds
	date   time.Time     // instead: served time, in whole seconds
	leap   string        // none, insert, delete; empty where the client does not show it
}

const pythonNTP = `import ntplib, sys
r = ntplib.NTPClient().request(sys.argv[1], port=int(sys.argv[2]), version=int(sys.argv[3]), timeout=5)
print("%.9f leap=%d" % (r.offset, r.leap))`

const perlNTP = `my %r = get_ntp_response($ARGV[0], $ARGV[1]); printf "%.9f leap=%d\n", $r{Offset}, $r{"Leap Indicator"};`

// realClients are those that docs/clients.md tells of, in its order.
var realClients = []realClient{
	{name: "chronyd", debian: "chrony", binary: ".peers/chrony/usr/sbin/chronyd", service: "ntp/udp",
		how:  `chronyd -Q -t 8 -u root "server HOST port PORT iburst maxsamples 1"`,
		args: []string{"-Q", "-t", "8", "-u", "root", "server HOST port PORT iburst maxsamples 1"},
		read: seconds(`System clock wrong by (\S+) seconds \(ignored\)`)},
	{name: "rdate -n", debian: "rdate", binary: "rdate", service: "ntp/udp",
		how:  `rdate -n -pv -o PORT HOST`,
		args: []string{"-n", "-pv", "-o", "PORT", "HOST"}, read: seconds(`adjust local clock by (\S+) seconds`)},
	{name: "ntpdig", debian: "ntpsec-ntpdig", binary: "ntpdig", service: "ntp/udp", port: 123, leap: true,
		how: `ntpdig -j HOST`, args: []string{"-j", "HOST"}, read: readNtpdig},
	{name: "ntpdate", debian: "ntpsec-ntpdate", binary: ".peers/ntpsec-ntpdate/usr/sbin/ntpdate", service: "ntp/udp", port: 123, leap: true,
		how: `ntpdate -q -t 5 HOST`, args: []string{"-q", "-t", "5", "HOST"}, read: seconds(`\) ([+-][\d.]+) \+/- .* (no-leap|add-leap|del-leap|unsync)`)},
	{name: "check_ntp_time", debian: "monitoring-plugins-basic", binary: ".peers/monitoring-plugins-basic/usr/lib/nagios/plugins/check_ntp_time",
		service: "ntp/udp", asks: 4,
		how:  `check_ntp_time -H HOST -p PORT -w 1e11 -c 1e11`,
		args: []string{"-H", "HOST", "-p", "PORT", "-w", "1e11", "-c", "1e11"}, read: seconds(`\|offset=([^s]+)s`)},
	{name: "toybox sntp", debian: "toybox", binary: ".peers/toybox/bin/toybox", service: "ntp/udp",
		how: `toybox sntp -p PORT HOST`, args: []string{"sntp", "-p", "PORT", "HOST"}, read: seconds(`offset (\S+) secs`)},
	{name: "ntplib v4", debian: "python3-ntplib", binary: "/usr/bin/python3", service: "ntp/udp", leap: true,
		how: `ntplib.NTPClient().request("HOST", port=PORT, version=4).offset`, args: []string{"-c", pythonNTP, "HOST", "PORT", "4"}, read: offsetAndLeap},
	{name: "ntplib v3", debian: "python3-ntplib", binary: "/usr/bin/python3", service: "ntp/udp", leap: true,
		how: `ntplib.NTPClient().request("HOST", port=PORT, version=3).offset`, args: []string{"-c", pythonNTP, "HOST", "PORT", "3"}, read: offsetAndLeap},
	{name: "Net::NTP", debian: "libnet-ntp-perl", binary: "/usr/bin/perl", service: "ntp/udp", leap: true,
		how: `get_ntp_response("HOST", PORT)`, args: []string{"-MNet::NTP", "-e", perlNTP, "HOST", "PORT"}, read: offsetAndLeap},
	{name: "beevik", module: "github.com/beevik/ntp", service: "ntp/udp", leap: true,
		how: `ntp.QueryWithOptions("HOST:PORT", …)`, call: beevik(false)},
	{name: "beevik Validate", module: "github.com/beevik/ntp", service: "ntp/udp", leap: true,
		how: `ntp.QueryWithOptions("HOST:PORT", …) and then Validate()`, call: beevik(true)},
	{name: "yesterday ask", binary: "yesterday", service: "ntp/udp", leap: true,
		how: `yesterday ask --service ntp --json HOST:PORT`, args: []string{"ask", "--service", "ntp", "--json", "HOST:PORT"}, read: readAsk},
	{name: "rdate", debian: "rdate", binary: "rdate", service: "time/udp",
		how: `rdate -u -p -o PORT HOST`, args: []string{"-u", "-p", "-o", "PORT", "HOST"}, read: readCtime},
	{name: "rdate, TCP", debian: "rdate", binary: "rdate", service: "time/tcp",
		how: `rdate -p -o PORT HOST`, args: []string{"-p", "-o", "PORT", "HOST"}, read: readCtime},
	{name: "yesterday ask, RFC 868", binary: "yesterday", service: "time/udp",
		how: `yesterday ask --json HOST:PORT`, args: []string{"ask", "--json", "HOST:PORT"}, read: readAskTime},
}

// path returns where the client's binary is, empty where it has none, and an error that says what to install.
func (c *realClient) path() (string, error) {
	switch {
	case c.binary == "":
		return "", nil
	case c.binary == "yesterday":
		return program, nil
	case strings.HasPrefix(c.binary, ".peers/"):
		path, err := filepath.Abs(c.binary)
		if err != nil {
			return "", err
		}
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%s is not in integration/.peers: make deps", c.debian)
		}
		return path, nil
	}
	path, err := exec.LookPath(c.binary)
	if err == nil && c.debian == "python3-ntplib" {
		err = exec.Command(path, "-c", "import ntplib").Run()
	} else if err == nil && c.debian == "libnet-ntp-perl" {
		err = exec.Command(path, "-MNet::NTP", "-e", "").Run()
	}
	if err != nil {
		return "", fmt.Errorf("no %s here: apt-get install %s, or make deps", c.name, c.debian)
	}
	return path, nil
}

// here tells why a client can't be asked in a lab, nil where it can.
func (c *realClient) here() error {
	if c.port != 0 && os.Geteuid() != 0 {
		return fmt.Errorf("%s asks port %d alone: needs root, for a network namespace", c.name, c.port)
	}
	_, err := c.path()
	return err
}

// ask runs the client against HOST:PORT, until ctx ends it or, where that has no deadline, patience does. An error is what
// it says where it does not accept the answer, or why it can't run.
func (c *realClient) ask(ctx context.Context, ns *netns, host, port string) (reading, error) {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	if c.call != nil {
		return c.call(ctx, ns, net.JoinHostPort(host, port))
	}
	path, err := c.path()
	if err != nil {
		return reading{}, err
	}
	fill := strings.NewReplacer("HOST:PORT", net.JoinHostPort(host, port), "HOST", host, "PORT", port)
	args := make([]string, len(c.args))
	for i, a := range c.args {
		args[i] = fill.Replace(a)
	}
	out, err := ns.run(ctx, "", path, args...)
	r, unread := c.read(out)
	if err != nil && unread != nil { // check_ntp_time fails where it finds the clock wrong, and says by how much
		return reading{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(out))
	}
	return r, unread
}

// seconds finds an offset in seconds in what a client printed, the first group of pattern, and ntpsec's leap indicator in
// the second, if there is one.
func seconds(pattern string) func(string) (reading, error) {
	find := regexp.MustCompile(pattern)
	return func(out string) (reading, error) {
		m := find.FindStringSubmatch(out)
		if m == nil {
			return reading{}, fmt.Errorf("printed %q, want %s", out, pattern)
		}
		r, err := offsetOf(m[1])
		if len(m) > 2 {
			r.leap = ntpsecLeaps[m[2]]
		}
		return r, err
	}
}

// offsetOf reads seconds without rounding.
func offsetOf(text string) (reading, error) {
	if d, err := time.ParseDuration(text + "s"); err == nil {
		return reading{offset: d}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	return reading{beyond: f}, err
}

var ntpsecLeaps = map[string]string{"no-leap": "none", "add-leap": "insert", "del-leap": "delete", "unsync": "unknown"}

// leaps are the leap indicators by number.
var leaps = [...]string{"none", "insert", "delete", "unknown"}

func readNtpdig(out string) (reading, error) {
	var said struct {
		Offset json.Number
		Leap   string
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		return reading{}, fmt.Errorf("printed %q: %v", out, err)
	}
	r, err := offsetOf(said.Offset.String())
	r.leap = ntpsecLeaps[said.Leap]
	return r, err
}

func offsetAndLeap(out string) (reading, error) {
	offset, leap, _ := strings.Cut(strings.TrimSpace(out), " leap=")
	r, err := offsetOf(offset)
	if err != nil {
		return reading{}, fmt.Errorf("printed %q: %v", out, err)
	}
	n, err := strconv.Atoi(leap)
	if err != nil || n < 0 || n >= len(leaps) {
		return reading{}, fmt.Errorf("printed %q, want a leap indicator", out)
	}
	r.leap = leaps[n]
	return r, nil
}

func readCtime(out string) (reading, error) {
	date, err := time.Parse("Mon Jan _2 15:04:05 MST 2006", strings.TrimSpace(out))
	return reading{date: date}, err
}

func readAsk(out string) (reading, error) {
	var said struct {
		Offset json.Number `json:"offset_seconds"`
		Leap   string
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		return reading{}, fmt.Errorf("printed %q: %v", out, err)
	}
	r, err := offsetOf(said.Offset.String())
	r.leap = said.Leap
	return r, err
}

func readAskTime(out string) (reading, error) {
	var said struct{ Served time.Time }
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		return reading{}, fmt.Errorf("printed %q: %v", out, err)
	}
	return reading{date: said.Served}, nil
}

// beevik asks as a Go program does, by a socket in the namespace.
func beevik(validate bool) func(context.Context, *netns, string) (reading, error) {
	return func(ctx context.Context, ns *netns, address string) (reading, error) {
		r, err := ntp.QueryWithOptions(address, ntp.QueryOptions{Timeout: 5 * time.Second, Dialer: func(_, remote string) (conn net.Conn, err error) {
			err = ns.do(func() (err error) {
				conn, err = new(net.Dialer).DialContext(ctx, "udp", remote)
				return err
			})
			return conn, err
		}})
		if err == nil && validate {
			err = r.Validate()
		}
		if err != nil {
			return reading{}, err
		}
		if int(r.Leap) >= len(leaps) {
			return reading{}, fmt.Errorf("leap indicator %d", r.Leap)
		}
		return reading{offset: r.ClockOffset, leap: leaps[r.Leap]}, nil
	}
}

// version returns the version of the client that is here.
func (c *realClient) version(t *testing.T) string {
	t.Helper()
	switch {
	case c.module != "":
		return strings.TrimPrefix(strings.TrimSpace(host().mustRun(t, "", "go", "list", "-m", "-f", "{{.Version}}", c.module)), "v")
	case c.debian == "":
		return "this one"
	case strings.HasPrefix(c.binary, ".peers/"):
		// "chrony (4.3-2+deb12u3) bookworm; urgency=medium"
		files, _ := filepath.Glob(filepath.Join(".peers", c.debian, "usr/share/doc", c.debian, "changelog.Debian*gz"))
		if len(files) == 0 {
			t.Fatalf("no changelog of %s in integration/.peers", c.debian)
		}
		log := host().mustRun(t, "", "zcat", files[0])
		if m := regexp.MustCompile(`^\S+ \((?:\d+:)?([^)]*)\)`).FindStringSubmatch(log); m != nil {
			return m[1]
		}
		t.Fatalf("%s names no version", files[0])
	}
	_, version, ok := strings.Cut(host().mustRun(t, "", "dpkg-query", "-W", "-f", "${binary:Package} ${Version}", c.debian), " ")
	if !ok {
		t.Fatalf("dpkg knows no %s", c.debian)
	}
	return regexp.MustCompile(`^\d+:`).ReplaceAllString(strings.TrimSpace(version), "")
}
