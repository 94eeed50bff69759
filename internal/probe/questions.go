package probe

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// maxLine is how long a daytime line may be, in bytes.
const maxLine = 512

// questions makes the requests of a run, and reads replies. It allocates nothing.
type questions struct {
	kind service.Kind
	size int    // bytes of a request
	run  uint64 // random
}

func newQuestions(kind service.Kind, size int) questions {
	q := questions{kind: kind, size: sizeOf(kind, size)}
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		q.run = binary.LittleEndian.Uint64(b[:])
		if q.run != 0 && q.sequence(0)>>48 != 0 { // so no request's cookie is 0, which means no time
			return q
		}
	}
}

// append appends the request with the given sequence number to b.
func (q *questions) append(b []byte, seq uint64) []byte {
	switch q.kind {
	case service.NTP:
		return ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: q.cookie(seq)}.Append(b)
	case service.Echo:
		start := len(b)
		b = binary.BigEndian.AppendUint64(b, q.run)
		b = binary.BigEndian.AppendUint64(b, seq)
		p := pattern(q.run ^ mix(seq))
		for left := q.size - (len(b) - start); left > 0; left -= 8 {
			b = binary.LittleEndian.AppendUint64(b, p.next())
		}
		return b[:start+q.size]
	}
	for range q.size {
		b = append(b, 0) // servers do not look at it
	}
	return b
}

// read reads a reply: ok tells whether it is what it has to be, and then seq whose it is, which time and daytime do not
// tell. Where ok is false and known is true, it is a damaged reply to the request seq.
func (q *questions) read(reply []byte) (seq uint64, known, ok bool) {
	switch q.kind {
	case service.Echo:
		if len(reply) < MinEcho || binary.BigEndian.Uint64(reply) != q.run {
			return 0, false, false
		}
		seq = binary.BigEndian.Uint64(reply[8:])
		return seq, true, q.intact(reply, seq)
	case service.NTP:
		if len(reply) < ntp.HeaderSize {
			return 0, false, false
		}
		seq = q.sequence(ntp.Timestamp(binary.BigEndian.Uint64(reply[24:])))
		return seq, true, ntp.Mode(reply[0]&7) == ntp.ModeServer && !refusal(reply)
	case service.Daytime:
		return 0, false, 0 < len(reply) && len(reply) <= maxLine
	}
	return 0, false, len(reply) == rfc868.Size
}

// intact tells whether an echo that begins rightly goes on as it was sent.
func (q *questions) intact(reply []byte, seq uint64) bool {
	if len(reply) != q.size {
		return false
	}
	p := pattern(q.run ^ mix(seq))
	rest := reply[MinEcho:]
	for ; len(rest) >= 8; rest = rest[8:] {
		if binary.LittleEndian.Uint64(rest) != p.next() {
			return false
		}
	}
	last := p.next()
	for i, c := range rest {
		if c != byte(last>>(8*i)) {
			return false
		}
	}
	return true
}

// refusal tells whether an NTP packet bears a kiss code by which a server declines to tell the time (RFC 5905, section
// 7.4). Others, such as INIT, come with a packet that is as good for measuring.
func refusal(packet []byte) bool {
	return packet[1] == 0 && declines(string(packet[12:16]))
}

func declines(kiss string) bool { return kiss == "RATE" || kiss == "DENY" || kiss == "RSTR" }

// Odd numbers whose products modulo 2^64 are well mixed, and their inverses.
const (
	factor1, inverse1 = 0xbf58476d1ce4e5b9, 0x96de1b173f119089
	factor2, inverse2 = 0x94d049bb133111eb, 0x319642b2d24d8ec3
)

// mix is a permutation of the 64-bit numbers.
func mix(x uint64) uint64 {
	x *= factor1
	x ^= x >> 32
	return x * factor2
}

// cookie is the transmit time of a request of NTP: it says nothing about this host, and nobody guesses it who has not seen
// the run's.
func (q *questions) cookie(seq uint64) ntp.Timestamp {
	return ntp.Timestamp(mix(seq ^ q.run))
}

// sequence is the request that cookie belongs to. What is not a cookie of this run gives a number beyond all requests.
func (q *questions) sequence(cookie ntp.Timestamp) uint64 {
	x := uint64(cookie) * inverse2
	x ^= x >> 32
	return x*inverse1 ^ q.run
}

// A pattern is a sequence of numbers that look random.
type pattern uint64

func (p *pattern) next() uint64 {
	*p += 0x9e3779b97f4a7c15
	return mix(uint64(*p))
}
