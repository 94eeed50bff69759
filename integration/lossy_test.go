//go:build linux

package integration

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// Against a server that loses a tenth of its replies, doubles a twentieth and delays all, ping and bench report just what
// the server counts that it did, which is about as much as it was told to do; and the quickest reply took the delay, and
// little more.
func TestProbeFaults(t *testing.T) {
	t.Parallel()
	const (
		requests          = 2000
		loss, duplicate   = 0.10, 0.05
		delay, atMostMore = 5000.0, 3000.0 // µs; of 1,800 replies one at least is not held up by a busy machine for so long
	)
	for _, args := range [][]string{
		{"ping", "--service", "echo", "-c", "2000", "--interval", "1ms"},
		{"ping", "--service", "ntp", "-c", "2000", "--interval", "1ms"},
		{"ping", "--service", "time", "-c", "2000", "--interval", "1ms"},
		{"bench", "--service", "echo", "--rate", "1000", "--duration", "2s"},
		{"bench", "--service", "ntp", "--rate", "1000", "--duration", "2s", "--sources", "127.1.0.0/24"},
	} {
		t.Run(args[0]+" "+args[2], func(t *testing.T) {
			t.Parallel()
			ns := newNetns(t)
			s := serve(t, ns, "--quiet", "--seed", fmt.Sprint(time.Now().UnixNano()), "--faults", "loss 10%, duplicate 5%, delay 5ms", args[2]+"=127.0.0.1:5000")
			m := measure(t, ns, append(args, "--timeout", "2s", s.addr(args[2]+"/udp"))...)
			told := s.stop()
			lost, doubled := m.Lost, m.Duplicated+m.Doubled
			least := max(m.Min, m.Latency.Min)
			t.Logf("%d of %d lost, %d doubled, %.0f µs at the least; %s", lost, m.Sent, doubled, least, told)

			if m.Sent != requests || m.Received+m.Answered+m.Late+m.Lost != requests || m.Pending+m.Corrupted+m.Wrong+m.Stray+m.Refused+m.Unsent != 0 {
				t.Errorf("%+v", m)
			}
			// bench has asked once beforehand, or more often where that was lost.
			first := uint64(0)
			if args[0] == "bench" {
				first = 5
			}
			if n := uint64(counted(t, told, "loss")); lost > n || n > lost+first {
				t.Errorf("%d lost, the server lost %d", lost, n)
			}
			if n := uint64(counted(t, told, "duplicate")); doubled > n || n > doubled+first {
				t.Errorf("%d doubled, the server doubled %d", doubled, n)
			}
			within(t, "lost", lost, requests, loss)
			within(t, "doubled", doubled, requests, (1-loss)*duplicate)
			if least < delay || least > delay+atMostMore {
				t.Errorf("the quickest reply took %.0f µs, want %.0f and little more", least, delay)
			}
		})
	}
}

// within checks a number of independent events of n that may happen, each with probability p: it is within six standard
// deviations of the mean, but once in 500 million runs.
func within(t *testing.T, what string, got, n uint64, p float64) {
	t.Helper()
	mean, bound := float64(n)*p, 6*math.Sqrt(float64(n)*p*(1-p))
	if math.Abs(float64(got)-mean) > bound {
		t.Errorf("%d %s of %d, want %.0f ± %.0f", got, what, n, mean, bound)
	}
}
