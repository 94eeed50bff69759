package ask

import (
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

// A Sample is one exchange with an NTP server: what the server said, what follows from it, and what is wrong with it.
type Sample struct {
	Server    netip.AddrPort // who answered
	Attempts  int            // datagrams sent until then, to all addresses together
	Sent      time.Time      // when the question left: real time
	Received  time.Time      // when the answer was there: real time
	RoundTrip time.Duration  // from Sent to Received

	// Raw is the answer, byte for byte. The caller owns it.
	Raw []byte

	// Header is what Raw begins with, and zero where Raw has fewer than 48 bytes.
	Header ntp.Header

	// Fields is how many extension fields follow the header, and MAC how many bytes of a message authentication code, which
	// nobody asked for. They are zero where what follows is neither.
	Fields, MAC int

	// Timed tells whether the answer tells a time. Where it does not, since its transmit time is zero or the question's own,
	// the four times, Offset and ReferenceAge below are zero.
	Timed bool

	// Served is what the server's clock said when the answer left it: served time in UTC, in the era nearest to
	// Client.Pivot. Arrived is what it said when the question came, and Reference when it had last been set; they are zero
	// where the answer does not say.
	Served, Arrived, Reference time.Time

	// Offset is how far Served is from real time, if the way there takes as long as the way back (RFC 5905, section 8). It
	// is wrong by at most half of Delay.
	Offset Offset

	// Delay is RoundTrip less the time that the question spent in the server, by the server's clock. It is never negative
	// nor more than RoundTrip, however that clock runs.
	Delay time.Duration

	// RootDistance is how far Offset may be from the truth that the server is set by: half of the root delay and of Delay,
	// and the root dispersion.
	RootDistance time.Duration

	ReferenceAge time.Duration // from Reference to Served

	// Kiss is the kiss code, four letters, or empty: "RATE".
	Kiss string

	// Failed is each check that the answer does not pass, in the order of the packet.
	Failed []Failure
}

// Good tells whether the answer passes all checks, so that a client may believe it.
func (s Sample) Good() bool { return len(s.Failed) == 0 }

// sampleOf reads an answer to the question that bore the cookie. A zero pivot is the middle of the round trip.
func sampleOf(a Answer, cookie ntp.Timestamp, pivot time.Time) Sample {
	s := Sample{
		Server:    a.Server,
		Attempts:  a.Attempts,
		Sent:      a.Sent,
		Received:  a.Received,
		RoundTrip: max(a.Received.Sub(a.Sent), 0),
		Raw:       a.Raw,
	}
	s.Delay = s.RoundTrip
	h, ok := headerOf(s.Raw)
	if ok {
		s.Header = h
		if code, ok := h.Kiss(); ok {
			s.Kiss = string(code[:])
		}
		if fields, mac, ok := ntp.Trailer(s.Raw); ok {
			s.Fields, s.MAC = fields, mac
		}
		if pivot.IsZero() {
			pivot = middle(s.Sent, s.Received)
		}
		s.measure(cookie, pivot)
	}
	s.Failed = s.check(cookie)
	return s
}

// measure works out what the header tells of the time (RFC 5905, section 8).
func (s *Sample) measure(cookie ntp.Timestamp, pivot time.Time) {
	h := s.Header
	s.Timed = h.Transmit != 0 && h.Transmit != cookie
	if s.Timed {
		s.Served = h.Transmit.Near(pivot)
		arrived := s.Served
		if h.Receive != 0 && h.Receive != cookie {
			arrived = h.Receive.Near(s.Served)
			s.Arrived = arrived
			s.Delay -= min(max(h.Transmit.Sub(h.Receive), 0), s.RoundTrip)
		}
		if h.Reference != 0 {
			s.Reference = h.Reference.Near(s.Served)
			s.ReferenceAge = h.Transmit.Sub(h.Reference)
		}
		// From Sent by the round trip, so that a host's clock that is set in between does no harm.
		there, back := offsetBetween(s.Sent, arrived), offsetBetween(s.Sent.Add(s.RoundTrip), s.Served)
		s.Offset = there.mean(back)
	}
	s.RootDistance = (h.RootDelay.Duration()+s.Delay)/2 + h.RootDispersion.Duration()
}
