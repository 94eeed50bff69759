//go:build linux

package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// growth is how much more memory the server may hold after the second half of the rubbish than after the first: what
// Go's collector lets gather before it looks, and nothing that adds up with the number of datagrams.
const growth = 6 << 20

// Malformed and random datagrams, YESTERDAY_SOAK of them, leave the server answering and its memory where it was.
func TestSoak(t *testing.T) {
	total := 200_000
	if text := os.Getenv("YESTERDAY_SOAK"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("YESTERDAY_SOAK=%q, want a number of datagrams", text)
		}
		total = n
	}
	s := serve(t, host(), loopback...)
	services := []string{"time/udp", "daytime/udp", "echo/udp", "ntp/udp"}
	var probes []*net.UDPConn
	for _, service := range services {
		probes = append(probes, host().udp(t, "", s.addr(service)))
	}
	// Sources all over 127/8: to the server each is a client of its own.
	var sources []*net.UDPConn
	for i := range 32 {
		sources = append(sources, host().udp(t, fmt.Sprintf("127.%d.%d.1:0", i/3, i), ""))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rubbish := newRubbish(seed)

	// A service works its queue off in order: the answer to a probe says that the rubbish before it was dealt with, and
	// no more than a burst ever waits, so that none of it is lost on the way.
	const burst = 32
	sent, halfway := 0, 0
	for sent < total {
		for i, service := range services {
			to := s.bound[service]
			room := 128 << 10 // bytes of the receive queue
			for range min(burst, total-sent) {
				// Long ones in the first half: they touch for the first time what the server has set aside for them.
				data := rubbish.next(halfway == 0 && room > 0)
				room -= 2 * len(data)
				if _, err := sources[rubbish.IntN(len(sources))].WriteToUDPAddrPort(data, to); err != nil {
					t.Fatal(err)
				}
				sent++
			}
			probe(t, probes[i], service)
		}
		if halfway == 0 && sent >= total/2 {
			halfway = resident(t, s.cmd.Process.Pid)
		}
	}
	s.alive()
	requestTime(t, probes[0])
	after := resident(t, s.cmd.Process.Pid)
	t.Logf("%d datagrams; resident memory %d KiB after one half, %d KiB after the other", sent, halfway>>10, after>>10)
	if after > halfway+growth && !race { // the detector has a memory of its own
		t.Errorf("resident memory grew from %d to %d KiB, by more than %d", halfway>>10, after>>10, growth>>10)
	}
	out := s.stop()
	// Time and daytime answer whatever comes, and echo too; NTP says why it does not: all of it was received.
	got := 0
	for _, word := range []string{"answered", "malformed", "wrong mode", "wrong version"} {
		got += counted(t, out, word)
	}
	if got < sent {
		t.Errorf("%d counted, want the %d that were sent, and the probes\n%s", got, sent, out)
	}
}

// probe asks a service until it answers.
func probe(t *testing.T, conn *net.UDPConn, service string) {
	t.Helper()
	buf := make([]byte, 2048)
	data := []byte(service)
	if service == "ntp/udp" {
		data = ntpRequest(4, 3, 0, 0)
	}
	for try := range 10 {
		if _, err := conn.Write(data); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Duration(1+try) * time.Second))
		if _, err := conn.Read(buf); err == nil {
			return
		}
	}
	t.Fatalf("%s answers no more", service)
}

// resident returns how much memory a process has, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// rubbish is datagrams that no client sends on purpose, the same for the same seed.
type rubbish struct {
	*rand.Rand
	random []byte
}

func newRubbish(seed uint64) *rubbish {
	r := &rubbish{Rand: rand.New(rand.NewPCG(seed, 868)), random: make([]byte, 2*65507)}
	for i := range r.random {
		r.random[i] = byte(r.Uint32())
	}
	return r
}

// next returns the next datagram, not to be changed.
func (r *rubbish) next(long bool) []byte {
	b := r.random[r.IntN(65507):]
	switch kind := r.IntN(1000); {
	case kind < 150: // nothing at all
		return nil
	case kind < 400: // a few bytes
		return b[:r.IntN(16)]
	case kind < 500: // what NTP's length would be
		return b[:48]
	case kind < 990 || !long: // up to what an Ethernet frame holds
		return b[:r.IntN(1473)]
	default: // up to the most that UDP holds
		return b[:r.IntN(65508)]
	}
}
