package service

import (
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// An NTPHandler answers NTP's clients (RFC 5905) as a primary server that is set by a clock of ours. Mode 3 is answered
// with 4, mode 1 with 2, and version 1's mode 0, which is not from port 123, with 4, in the asker's version. Other modes
// and versions are not answered, so no two servers can keep each other busy.
//
// The reply is 48 bytes, whatever extension fields or MAC the request has: those are not answered in kind. Its receive
// and transmit times are what the client's clock reads at the receipt and at the answer; the reference time is a second
// before the receipt. The zero NTPHandler works.
type NTPHandler struct {
	Stratum     uint8           // 1 to 15; 16 is not synchronised, and goes out as 0 with the leap indicator 3; 0: 1
	ReferenceID ntp.ReferenceID // zero: DefaultReferenceID, or INIT where the clock is not set
	Precision   int8            // of the host's clock, log2 seconds; 0: -20, a microsecond

	// Root tells how far the host's clock may be off: the round trip to its source and the dispersion. It is called for
	// every answer. Nil: neither.
	Root func() (delay, dispersion ntp.Short)

	// Now is the real clock that the transmit time is read by. Nil: time.Now.
	Now func() time.Time
}

// DefaultReferenceID names the source of the time: the X marks an experiment (RFC 5905, section 7.3).
var DefaultReferenceID = ntp.ReferenceID{'X', 'D', 'A', 'Y'}

// notYetSet is the kiss code of a server whose clock has not been set yet (RFC 5905, section 7.4).
var notYetSet = ntp.ReferenceID{'I', 'N', 'I', 'T'}

// Unsynchronised is the stratum of a server whose clock is not set.
const Unsynchronised = 16

const (
	ntpPort          = 123
	defaultPrecision = -20

	// sinceReference is how long before the receipt the clock was last set: a reference time of just now looks to clients
	// as if it came after what they asked for.
	sinceReference ntp.Timestamp = 1 << 32 // a second
)

// Serve implements [exchange.Handler].
func (h NTPHandler) Serve(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	if r.Truncated {
		return exchange.Truncated
	}
	if n := len(r.Data); n < ntp.HeaderSize || n%4 != 0 { // before Parse, whose error may allocate
		if isControl(r.Data) {
			return exchange.WrongMode // they have lengths of their own: ntpq asks with 12 bytes
		}
		return exchange.Malformed
	}
	q, err := ntp.Parse(r.Data)
	if err != nil {
		return exchange.Malformed
	}
	if q.Version < 1 || q.Version > 4 {
		return exchange.WrongVersion
	}
	mode, ok := answerMode(q, r.From.Port())
	if !ok {
		return exchange.WrongMode
	}
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	// The kernel's stamp and ours are of one clock; should it be set back in between, the answer is not sent before the
	// receipt.
	sent := now()
	if sent.Before(r.Received) {
		sent = r.Received
	}
	segment := r.Clock.Segment(r.Received)
	received := segment.At(r.Received)
	if !segment.Until.IsZero() && !sent.Before(segment.Until) {
		segment = r.Clock.Segment(sent)
	}
	p.Told = segment.At(sent)

	receive := ntp.TimestampOf(received)
	a := ntp.Header{
		Leap:        ntp.Leap(segment.Leap),
		Version:     q.Version,
		Mode:        mode,
		Stratum:     max(h.Stratum, 1),
		Poll:        q.Poll,
		Precision:   h.Precision,
		ReferenceID: h.ReferenceID,
		Reference:   max(receive-sinceReference, 1), // 0 says that nobody knows
		Origin:      q.Transmit,
		Receive:     receive,
		Transmit:    ntp.TimestampOf(p.Told),
	}
	id := DefaultReferenceID
	if a.Stratum >= Unsynchronised {
		a.Stratum, a.Leap, id = 0, ntp.LeapUnknown, notYetSet
	}
	if a.ReferenceID == (ntp.ReferenceID{}) {
		a.ReferenceID = id
	}
	if a.Precision == 0 {
		a.Precision = defaultPrecision
	}
	if h.Root != nil {
		a.RootDelay, a.RootDispersion = h.Root()
	}
	if ntp.HasMAC(r.Data) {
		p.Notes |= exchange.Unsigned
	}
	p.Data = a.Append(p.Data)
	return exchange.Answer
}

// isControl tells whether a packet that is too short for NTP's header is of the modes that have another.
func isControl(b []byte) bool {
	return len(b) >= 4 && len(b)%4 == 0 && ntp.Mode(b[0]&7) >= ntp.ModeControl
}

// answerMode returns the mode that q, from that port, is answered with, and whether it is (RFC 5905, section 3 and
// RFC 1059, appendix B, which had no modes).
func answerMode(q ntp.Header, port uint16) (ntp.Mode, bool) {
	switch {
	case q.Mode == ntp.ModeClient:
		return ntp.ModeServer, true
	case q.Mode == ntp.ModeSymmetricActive:
		return ntp.ModeSymmetricPassive, true
	case q.Mode == ntp.ModeReserved && q.Version == 1 && port != ntpPort:
		return ntp.ModeServer, true
	}
	return 0, false
}
