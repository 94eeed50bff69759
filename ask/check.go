package ask

import (
	"fmt"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

// A Check is something that an NTP client holds against each answer (RFC 5905, sections 8 and 9.2; RFC 4330, section 5).
type Check uint8

const (
	CheckLength    Check = iota // 48 bytes, or more that are extension fields and a MAC
	CheckLeap                   // the leap indicator is not 3, which is a clock that is not synchronised
	CheckVersion                // the version is the one that was asked with
	CheckMode                   // the mode is 4, a server's
	CheckStratum                // the stratum is 1 to 15
	CheckKiss                   // it is no kiss code
	CheckRoot                   // half of the root delay and the root dispersion are less than 16 seconds
	CheckReference              // the reference time is not after the transmit time
	CheckOrigin                 // the origin is the question's cookie: this is its answer
	CheckReceive                // there is a receive time
	CheckTransmit               // there is a transmit time, of the server's own
	CheckOrder                  // the transmit time is not before the receive time
	numChecks
)

var checks = [numChecks]string{"length", "leap", "version", "mode", "stratum", "kiss", "root", "reference", "origin", "receive",
	"transmit", "order"}

// String returns "length", "leap" and so on.
func (c Check) String() string {
	if c < numChecks {
		return checks[c]
	}
	return fmt.Sprintf("Check(%d)", uint8(c))
}

// A Failure is a check that an answer does not pass.
type Failure struct {
	Check Check
	Text  string // what was seen and what was wanted: "mode is 3 (client), want 4 (server)"
}

// maxRoot is the root distance from which nothing is believed (RFC 5905, section 7.2: MAXDISP), in units of 2^-17 s.
const maxRoot = 16 << 17

// check says what is wrong with an answer to the question that bore the cookie, in the order of the packet.
func (s *Sample) check(cookie ntp.Timestamp) []Failure {
	var failed []Failure
	fail := func(c Check, format string, args ...any) {
		failed = append(failed, Failure{c, fmt.Sprintf(format, args...)})
	}
	h, n := s.Header, len(s.Raw)
	_, _, whole := ntp.Trailer(s.Raw)
	switch {
	case n < ntp.HeaderSize:
		fail(CheckLength, "answer has %s, want %d", count(n, "byte"), ntp.HeaderSize)
		return failed // there is no header to look at
	case !whole:
		fail(CheckLength, "answer has %d bytes, want %d: what follows is neither extension fields nor a MAC", n, ntp.HeaderSize)
	}
	if h.Leap == ntp.LeapUnknown {
		fail(CheckLeap, "leap indicator is 3: the server's clock is not synchronised")
	}
	if h.Version != askedVersion {
		fail(CheckVersion, "version is %d, want %d as asked", h.Version, askedVersion)
	}
	if h.Mode != ntp.ModeServer {
		fail(CheckMode, "mode is %d (%v), want %d (%v)", h.Mode, h.Mode, ntp.ModeServer, ntp.ModeServer)
	}
	switch {
	case s.Kiss != "":
		fail(CheckKiss, "kiss code %s: %s", s.Kiss, KissMeaning(s.Kiss))
	case h.Stratum == 0:
		fail(CheckStratum, "stratum is 0 (unspecified), want 1 to 15")
	case h.Stratum == 16:
		fail(CheckStratum, "stratum is 16 (not synchronised), want 1 to 15")
	case h.Stratum > 16:
		fail(CheckStratum, "stratum is %d (reserved), want 1 to 15", h.Stratum)
	}
	if uint64(h.RootDelay)+2*uint64(h.RootDispersion) >= maxRoot {
		fail(CheckRoot, "root distance is %v, want less than 16s", round(h.RootDelay.Duration()/2+h.RootDispersion.Duration()))
	}
	if s.Timed && s.ReferenceAge < 0 {
		fail(CheckReference, "reference time is %v after the transmit time", round(-s.ReferenceAge))
	}
	if h.Origin != cookie {
		fail(CheckOrigin, "origin is %016x, want %016x: this is no answer to the question", uint64(h.Origin), uint64(cookie))
	}
	switch h.Receive {
	case 0:
		fail(CheckReceive, "receive time is zero")
	case cookie:
		fail(CheckReceive, "receive time is the question's transmit time")
	}
	switch h.Transmit {
	case 0:
		fail(CheckTransmit, "transmit time is zero")
	case cookie:
		fail(CheckTransmit, "transmit time is the question's own")
	}
	if !s.Arrived.IsZero() && s.Served.Before(s.Arrived) {
		fail(CheckOrder, "transmit time is %v before the receive time", round(s.Arrived.Sub(s.Served)))
	}
	return failed
}

// kisses are the kiss codes of RFC 5905, section 7.4, and RFC 8915, section 5.7.
var kisses = map[string]string{
	"ACST": "it belongs to an anycast server",
	"AUTH": "authentication failed",
	"AUTO": "Autokey's sequence failed",
	"BCST": "it belongs to a broadcast server",
	"CRYP": "authentication or identification failed",
	"DENY": "access denied",
	"DROP": "it has lost its peer",
	"INIT": "its clock has not been set yet",
	"MCST": "it belongs to a multicast server",
	"NKEY": "it has no such key",
	"NTSN": "the cookie of Network Time Security is not good",
	"RATE": "asked to ask less often",
	"RMOT": "somebody tampers with it from afar",
	"RSTR": "access denied by the server's policy",
	"STEP": "its clock has just been stepped and is not synchronised yet",
}

// KissMeaning says what a kiss code means, as in "asked to ask less often" for RATE.
func KissMeaning(code string) string {
	if meaning, ok := kisses[code]; ok {
		return meaning
	}
	return "a code that is not in RFC 5905"
}
