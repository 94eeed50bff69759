package guard

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"time"
)

// A Limiter bounds how often each source is answered: Rate times a second, and as many at once after a second of
// silence. An IPv6 source is its /64. It is the generic cell rate algorithm (ITU-T I.371): a source is one instant, up
// to which it has used what it was given.
//
// Its memory is fixed: sources share a hash table whose seed nobody can know. Where more sources are active than it has
// room for, the one with the least in use gives way, so a flood of spoofed sources neither grows the table nor frees
// who is over the limit; at worst somebody is answered more often than the limit says.
//
// A Limiter belongs to one goroutine at a time.
type Limiter struct {
	Loopback bool // loopback addresses are limited too

	interval int64 // nanoseconds a reply
	burst    int64 // nanoseconds a source may be ahead
	keys     [3]uint64
	table    []bucket
}

// A bucket is a cache line: the sources with the same low hash bits.
type bucket [4]source

// A source is free, or fresh, where used is not after the request's time.
type source struct {
	tag  uint64 // the hash of the source
	used int64  // nanoseconds since 1970
}

// limiterBuckets times four sources of 16 bytes make 1 MiB.
const limiterBuckets = 1 << 14

// NewLimiter returns a Limiter of rate replies a second for each source, rate being at least 1.
func NewLimiter(rate int) *Limiter {
	return &Limiter{
		interval: int64(time.Second) / int64(max(rate, 1)),
		burst:    int64(time.Second),
		keys:     [3]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64() | 1},
		table:    make([]bucket, limiterBuckets),
	}
}

// Take takes one reply from what addr may have at the real time now, and tells whether there was one left.
func (l *Limiter) Take(addr netip.Addr, now time.Time) bool {
	if addr.IsLoopback() && !l.Loopback {
		return true
	}
	t := now.UnixNano()
	h := l.hash(addr)
	b := &l.table[h%limiterBuckets]
	s := &b[0]
	for i := range b {
		if b[i].tag == h {
			s = &b[i]
			break
		}
		if b[i].used < s.used {
			s = &b[i]
		}
	}
	if s.tag != h {
		*s = source{tag: h, used: t}
	}
	used := s.used
	if used < t || used > t+l.burst+l.interval { // not used up, or the host's clock was set back
		used = t
	}
	if used+l.interval > t+l.burst {
		return false
	}
	s.used = used + l.interval
	return true
}

// hash mixes an address, or its /64, with keys that nobody knows: two multiplications whose halves are folded.
func (l *Limiter) hash(addr netip.Addr) uint64 {
	a := addr.As16()
	high, low := binary.LittleEndian.Uint64(a[:8]), uint64(0)
	if addr.Is4() {
		low = binary.LittleEndian.Uint64(a[8:])
	}
	h := fold(high^l.keys[0], low^l.keys[1])
	return max(fold(h, l.keys[2]), 1) // 0 is an empty source's tag
}

func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}
