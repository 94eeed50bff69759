//go:build linux

package integration

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

// A poll is one of many readings of a clock.
type poll struct {
	asked, answered time.Time // real
	told            time.Time // served, cut to whole seconds where the service has no finer ones
	leap            int       // -1 where the service does not say
}

const (
	pollEvery = 20 * time.Millisecond

	// gap is how far apart two polls may be without the second that is looked for passing between them.
	gap = 400 * time.Millisecond
)

// Whoever looks often enough sees 23:59:59 twice, by NTP with the announcement before it and none after, and by RFC 868 and
// daytime, which know no announcements.
func TestLeapSecondTwice(t *testing.T) {
	t.Parallel()
	for try := 1; ; try++ {
		s := serve(t, host(), slices.Concat([]string{"--clock", "leap-second", "--quiet"}, loopback)...)
		c := s.clockOf()
		var leap time.Time
		for change := range clock.Changes(c, time.Now(), time.Now().Add(time.Minute)) {
			if change.Kind == clock.LeapInserted {
				leap = change.Real
			}
		}
		if leap.IsZero() { // the server took so long to start
			if try == tries {
				t.Fatal("the leap second is never ahead")
			}
			continue
		}
		until := leap.Add(2500 * time.Millisecond)
		pollers := map[string]func() ([]poll, error){
			"NTP":           udpPoller(t, host(), s.addr("ntp/udp"), until, readNTP),
			"RFC 868":       udpPoller(t, host(), s.addr("time/udp"), until, readSeconds),
			"daytime":       udpPoller(t, host(), s.addr("daytime/udp"), until, readDaytime),
			"RFC 868 (TCP)": tcpPoller(t, host(), s.addr("time/tcp"), until, readSeconds),
			"daytime (TCP)": tcpPoller(t, host(), s.addr("daytime/tcp"), until, readDaytime),
		}
		if python, err := ntplib.path(); err == nil {
			pollers["ntplib"] = ntplibPoller(t, host(), python, s.addr("ntp/udp"), until)
		} else if try == 1 {
			t.Run("ntplib", func(t *testing.T) { missing(t, "%v", err) })
		}
		heldUp, err := liveTwice(t, pollers, c, leap)
		if err != nil {
			t.Fatal(err)
		}
		if !heldUp || t.Failed() {
			return
		}
		if try == tries {
			t.Fatalf("held up in each of %d tries", tries)
		}
	}
}

// liveTwice has pollers live through a leap second of the clock c, and checks what each sees. It tells whether one of them was
// held up, and may not have seen all of it.
func liveTwice(t *testing.T, pollers map[string]func() ([]poll, error), c clock.Clock, leap time.Time) (heldUp bool, err error) {
	type outcome struct {
		name  string
		polls []poll
		err   error
	}
	outcomes := make(chan outcome)
	for name, poll := range pollers {
		go func() {
			polls, err := poll()
			outcomes <- outcome{name, polls, err}
		}()
	}
	for range pollers {
		o := <-outcomes
		if o.err != nil {
			err = fmt.Errorf("%s: %w", o.name, o.err)
			continue
		}
		if slow := widest(o.polls, leap); slow > gap {
			t.Logf("%s was held up for %v", o.name, slow)
			heldUp = true
			continue
		}
		right(t, o.name, c, leap, o.polls)
		twice(t, o.name, o.polls)
	}
	return heldUp, err
}

// widest is the longest stretch without a poll, from two seconds before the leap second until it is over.
func widest(polls []poll, leap time.Time) (widest time.Duration) {
	last := leap.Add(-2 * time.Second)
	for _, p := range polls {
		if p.answered.After(last) {
			widest = max(widest, p.answered.Sub(last))
			last = p.asked
		}
	}
	return max(widest, leap.Add(2*time.Second).Sub(last))
}

// right checks that each poll tells what the clock read between question and answer.
func right(t *testing.T, name string, c clock.Clock, leap time.Time, polls []poll) {
	t.Helper()
	const rounding = 2 * time.Microsecond // of programs that count seconds in floating point
	for _, p := range polls {
		first, last := clock.Read(c, p.asked).Add(-rounding), clock.Read(c, p.answered).Add(rounding)
		announced := 1
		if p.asked.After(leap.Add(time.Second)) {
			announced = 0
		}
		if p.leap < 0 {
			first = first.Truncate(time.Second)
		}
		if p.asked.Before(leap) && !p.answered.Before(leap) {
			continue // either side of the jump
		}
		if p.told.Before(first) || p.told.After(last) {
			t.Errorf("%s: told %v, want %v to %v", name, p.told, first, last)
		}
		if p.leap >= 0 && p.leap != announced && (announced == 0 || p.answered.Before(leap.Add(time.Second))) {
			t.Errorf("%s: leap indicator %d at %v, want %d", name, p.leap, p.told, announced)
		}
	}
}

// twice checks what is seen in the end: 23:59:58, 23:59:59, 23:59:59 again, 00:00:00. Who sees whole seconds alone sees
// 23:59:59 for longer than a second.
func twice(t *testing.T, name string, polls []poll) {
	t.Helper()
	if polls[0].leap < 0 {
		var first, last poll
		for _, p := range polls {
			if p.told.Format(time.TimeOnly) == "23:59:59" {
				if first.asked.IsZero() {
					first = p
				}
				last = p
			}
		}
		if span := last.asked.Sub(first.answered); span <= time.Second {
			t.Errorf("%s: reads 23:59:59 for %v, want nearly 2s", name, span)
		}
		return
	}
	var seen []string
	var last time.Time
	for _, p := range polls {
		look := fmt.Sprintf("%s LI %d", p.told.Format(time.TimeOnly), p.leap)
		if len(seen) == 0 || look != seen[len(seen)-1] || p.told.Before(last) {
			seen = append(seen, look)
		}
		last = p.told
	}
	t.Logf("%s: %s", name, strings.Join(seen, ", "))
	want := []string{"23:59:58 LI 1", "23:59:59 LI 1", "23:59:59 LI 1", "00:00:00 LI 0", "00:00:01 LI 0"}
	if len(seen) < len(want) || !slices.Equal(seen[len(seen)-len(want):], want) {
		t.Errorf("%s: sees %q, want %q at the end", name, seen, want)
	}
}

// udpPoller asks over and over from one socket.
func udpPoller(t *testing.T, ns *netns, addr string, until time.Time, read func([]byte) (poll, error)) func() ([]poll, error) {
	conn := ns.udp(t, "", addr)
	request := append([]byte{0x23}, make([]byte, 47)...) // NTP's version 4, mode 3; the others do not look at it
	return func() (polls []poll, err error) {
		for buf := make([]byte, 128); time.Now().Before(until); {
			asked := time.Now()
			if _, err := conn.Write(request); err != nil {
				return nil, err
			}
			conn.SetReadDeadline(asked.Add(patience))
			n, err := conn.Read(buf)
			if err != nil {
				return nil, err
			}
			p, err := read(buf[:n])
			if err != nil {
				return nil, err
			}
			p.asked, p.answered = asked, time.Now()
			polls = append(polls, p)
			wait(t.Context(), asked.Add(pollEvery))
		}
		return polls, nil
	}
}

// tcpPoller connects over and over.
func tcpPoller(t *testing.T, ns *netns, addr string, until time.Time, read func([]byte) (poll, error)) func() ([]poll, error) {
	return func() (polls []poll, err error) {
		for buf := make([]byte, 128); time.Now().Before(until); {
			asked := time.Now()
			var conn net.Conn
			if err := ns.do(func() (err error) {
				conn, err = net.DialTimeout("tcp", addr, patience)
				return err
			}); err != nil {
				return nil, err
			}
			conn.SetReadDeadline(asked.Add(patience))
			n, err := conn.Read(buf)
			answered := time.Now()
			conn.Close()
			if err != nil {
				return nil, err
			}
			p, err := read(buf[:n])
			if err != nil {
				return nil, err
			}
			p.asked, p.answered = asked, answered
			polls = append(polls, p)
			wait(t.Context(), asked.Add(pollEvery))
		}
		return polls, nil
	}
}

// readNTP reads the transmit time and the leap indicator, in era 0.
func readNTP(b []byte) (poll, error) {
	if len(b) != 48 {
		return poll{}, fmt.Errorf("%d bytes", len(b))
	}
	seconds, fraction := binary.BigEndian.Uint32(b[40:]), uint64(binary.BigEndian.Uint32(b[44:]))
	return poll{told: time.Unix(int64(seconds)-2_208_988_800, int64(fraction*1e9>>32)).UTC(), leap: int(b[0] >> 6)}, nil
}

func readSeconds(b []byte) (poll, error) {
	if len(b) != 4 {
		return poll{}, fmt.Errorf("%d bytes", len(b))
	}
	return poll{told: time.Unix(int64(binary.BigEndian.Uint32(b))-2_208_988_800, 0).UTC(), leap: -1}, nil
}

func readDaytime(b []byte) (poll, error) {
	told, err := time.Parse(time.ANSIC+"\r\n", string(b))
	return poll{told: told, leap: -1}, err
}

// pythonPoll asks over and over by ntplib and tells of each answer in a line.
const pythonPoll = `import json, ntplib, sys, time
client = ntplib.NTPClient()
while time.time() < float(sys.argv[2]):
    asked = time.time()
    r = client.request(sys.argv[4], port=int(sys.argv[1]), version=4, timeout=20)
    print(json.dumps({"asked": asked, "told": r.tx_time, "leap": r.leap, "answered": time.time()}))
    time.sleep(float(sys.argv[3]))`

// ntplib is the client that says where Python is that has it.
var ntplib = &realClients[slices.IndexFunc(realClients, func(c realClient) bool { return c.debian == "python3-ntplib" })]

func ntplibPoller(t *testing.T, ns *netns, python, addr string, until time.Time) func() ([]poll, error) {
	return func() (polls []poll, err error) {
		ip, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		out, err := ns.run(t.Context(), "", python, "-c", pythonPoll, port, fmt.Sprint(float64(until.UnixMilli())/1e3), fmt.Sprint(pollEvery.Seconds()), ip)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		instant := func(seconds float64) time.Time { return time.Unix(0, int64(seconds*1e6)*1e3).UTC() }
		for line := range strings.Lines(out) {
			var said struct {
				Asked, Told, Answered float64
				Leap                  int
			}
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				return nil, err
			}
			polls = append(polls, poll{instant(said.Asked), instant(said.Answered), instant(said.Told), said.Leap})
		}
		return polls, nil
	}
}
