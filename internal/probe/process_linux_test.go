package probe

import (
	"testing"
	"time"
)

func TestCPUTimeSince(t *testing.T) {
	ms := time.Millisecond
	for name, c := range map[string]struct {
		before, after cpuTime
		want          time.Duration
	}{
		"exact":                 {cpuTime{5 * ms, 0}, cpuTime{12*ms + 1, 10 * ms}, 7*ms + 1},
		"less than a tick":      {cpuTime{5 * ms, 0}, cpuTime{6 * ms, 0}, ms},
		"the kernel is silent":  {cpuTime{0, 10 * ms}, cpuTime{0, 30 * ms}, 20 * ms},
		"a thread ended":        {cpuTime{900 * ms, 900 * ms}, cpuTime{100 * ms, 950 * ms}, 50 * ms},
		"one ended that did it": {cpuTime{100 * ms, 100 * ms}, cpuTime{110 * ms, 950 * ms}, 850 * ms},
	} {
		if got := c.after.since(c.before); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
