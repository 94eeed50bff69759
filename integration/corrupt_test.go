//go:build linux

package integration

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// corrupted is how many corrupt answers a client gets: as many as an NTP header has bits.
	corrupted = 384

	// coarse is what a turned bit must be worth to count as another time. No bit is worth about as much: that of half a second
	// moves the offset by 250 ms, the next by 125 ms.
	coarse = 180 * time.Millisecond

	// heldUp is how long an answer may take, half of which goes into the time: less than what coarse has to spare.
	heldUp = 50 * time.Millisecond
)

// stands is what the clock reads, all the time.
var stands = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// What a client makes of an NTP answer with a wrong bit depends on the bit: of many such answers, the same for each client,
// it is known how many it believes. The clock stands still, so that a bit is turned the same way each time. Clients that end
// with the first answer are asked, as the others would take minutes.
func TestFaultCorrupt(t *testing.T) {
	t.Parallel()
	reactions := []string{reads, "another time", "refuses", "panics"}
	results := &table{name: "corrupt answers", columns: append([]string{"client"}, reactions...)}
	for _, c := range []struct {
		*realClient
		ask func(t *testing.T, l *lab) []taken
	}{
		{client("ntplib v4"), ntplibCorrupt},
		{client("beevik"), beevikCorrupt(false)},
		{client("beevik Validate"), beevikCorrupt(true)},
	} {
		results.rows = append(results.rows, c.name)
		if err := c.here(); err != nil {
			t.Run(c.name, func(t *testing.T) { missing(t, "%v", err) })
			continue
		}
		var last map[string]int
		for try := 1; ; try++ {
			counts, expected, slow := make(map[string]int), true, time.Duration(0)
			for _, a := range c.ask(t, newLab(t, "2026-01-01 frozen", "--faults", "corrupt", "--quiet")) {
				counts[a.reaction()]++
				slow = max(slow, a.took)
			}
			if slow > heldUp { // the machine was busy, which looks like another time
				if try == 10 {
					t.Logf("%s: not judged, an answer took %v at the last of ten tries", c.name, slow)
					break
				}
				continue
			}
			for _, reaction := range reactions {
				count := strconv.Itoa(counts[reaction])
				results.set(c.name, reaction, count)
				expected = expected && results.cell(t, c.name, reaction) == count
			}
			if expected || maps.Equal(counts, last) {
				break
			}
			if try == 10 {
				t.Fatalf("%s: %v at the last of ten tries, %v before", c.name, counts, last)
			}
			last = counts
		}
	}
	results.settle(t)
}

// A taken is how a client took one answer.
type taken struct {
	panicked, refused bool
	off               time.Duration // of the time that it believes, from what the clock reads
	took              time.Duration
}

func (a taken) reaction() string {
	switch {
	case a.panicked:
		return "panics"
	case a.refused:
		return "refuses"
	case a.off.Abs() < coarse:
		return reads
	}
	return "another time"
}

// beevikCorrupt asks by beevik.
func beevikCorrupt(validate bool) func(*testing.T, *lab) []taken {
	return func(t *testing.T, l *lab) (all []taken) {
		address := net.JoinHostPort("127.0.0.1", l.port("ntp/udp"))
		for range corrupted {
			all = append(all, func() (a taken) {
				defer func() { a.panicked = recover() != nil }()
				asked := time.Now()
				r, err := beevik(validate)(t.Context(), l.ns, address)
				now := time.Now()
				return taken{refused: err != nil, off: now.Add(r.offset).Sub(stands), took: now.Sub(asked)}
			}())
		}
		return all
	}
}

// pythonCorrupt prints, of each answer, when it came, the offset, and how long it took.
const pythonCorrupt = `import ntplib, sys, time
for _ in range(int(sys.argv[3])):
    asked = time.time()
    try:
        offset = ntplib.NTPClient().request(sys.argv[1], port=int(sys.argv[2]), version=4, timeout=20).offset
        now = time.time()
        print("%.6f %.6f %.6f" % (now, offset, now - asked))
    except Exception as e:
        print("refused:", e)`

// ntplibCorrupt asks by one run of Python.
func ntplibCorrupt(t *testing.T, l *lab) (all []taken) {
	t.Helper()
	path, err := ntplib.path()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := l.ns.run(ctx, "", path, "-c", pythonCorrupt, "127.0.0.1", l.port("ntp/udp"), fmt.Sprint(corrupted))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(out) {
		var now, offset, took float64
		_, err := fmt.Sscan(line, &now, &offset, &took)
		seconds := now + offset - float64(stands.Unix())
		all = append(all, taken{refused: err != nil, off: time.Duration(seconds * 1e9), took: time.Duration(took * 1e9)})
	}
	if len(all) != corrupted {
		t.Fatalf("%d answers, want %d: %s", len(all), corrupted, out)
	}
	return all
}
