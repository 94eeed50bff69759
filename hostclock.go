package yesterday

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

// unsynchronisedDispersion is what is announced for a host clock that nobody sets.
const unsynchronisedDispersion = time.Millisecond

// A hostClock is how far the host's clock may be off. Its zero value knows of no error.
type hostClock struct {
	synchronised atomic.Bool
	dispersion   atomic.Uint32 // an ntp.Short
}

// refresh asks the system.
func (h *hostClock) refresh() {
	maxError, ok := hostMaxError()
	if !ok {
		maxError = unsynchronisedDispersion
	}
	h.synchronised.Store(ok)
	h.dispersion.Store(uint32(ntp.ShortOf(maxError)))
}

// root returns the root delay and dispersion to announce. The system's bound holds all of it.
func (h *hostClock) root() (delay, dispersion ntp.Short) { return 0, ntp.Short(h.dispersion.Load()) }

// clockPrecision measures the precision of the host's clock as RFC 5905, section 7.3, defines it: how long it takes to
// read it, or by how much it steps, whichever is longer; log2 seconds, rounded up.
func clockPrecision() int8 {
	shortest := time.Second
	for range 100 {
		start := time.Now().Round(0) // the wall clock's reading alone: that is what is served
		for range 1_000_000 {
			if step := time.Now().Round(0).Sub(start); step > 0 {
				shortest = min(shortest, step)
				break
			}
		}
	}
	return int8(math.Ceil(math.Log2(shortest.Seconds())))
}
