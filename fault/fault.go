package fault

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

const (
	// MaxDelay is the longest that a reply is held back, however many delays add up.
	MaxDelay = time.Hour

	// MaxLength is the most bytes that a reply is filled up to: what one Ethernet frame carries in a UDP datagram over
	// IPv4, so that no fault makes the server a good amplifier.
	MaxLength = 1472
)

// A Fault is one failure, how it fails and how often. [Parse] makes one. It is a value that never changes; two are equal
// (==) if, and only if, their canonical texts are. The zero Fault is none: it has no text, applies nowhere and does nothing.
type Fault struct {
	kind     kind
	number   uint16          // of length, stratum, leap, mode and version
	code     ntp.ReferenceID // of kiss
	chance   chance
	from, to time.Duration // of delay, both inclusive
}

// A kind is what fails.
type kind uint8

const (
	none kind = iota
	loss
	silence
	delay
	duplicate
	corrupt
	length
	kiss
	stratum
	leap
	wrongOrigin
	zeroTransmit
	mode
	version
	unsynchronised
	numKinds
)

// A stage is when a fault is made: all of one stage before those of the next, however they are written.
type stage uint8

const (
	noStage    stage = iota
	unanswered       // there is no reply
	header           // NTP's fields
	cut              // how many bytes
	flip             // which bits
	wayOut           // when, and how often it is sent
	numStages
)

// forms says of each kind what belongs to it.
var forms = [numKinds]struct {
	word  string
	note  exchange.Notes
	stage stage
	most  uint16 // the largest number it takes
}{
	loss:           {"loss", exchange.FaultLoss, unanswered, 0},
	silence:        {"silence", exchange.FaultSilence, unanswered, 0},
	delay:          {"delay", exchange.FaultDelay, wayOut, 0},
	duplicate:      {"duplicate", exchange.FaultDuplicate, wayOut, 0},
	corrupt:        {"corrupt", exchange.FaultCorrupt, flip, 0},
	length:         {"length", exchange.FaultLength, cut, MaxLength},
	kiss:           {"kiss", exchange.FaultKiss, header, 0},
	stratum:        {"stratum", exchange.FaultStratum, header, 255},
	leap:           {"leap", exchange.FaultLeap, header, 0},
	wrongOrigin:    {"wrong-origin", exchange.FaultWrongOrigin, header, 0},
	zeroTransmit:   {"zero-transmit", exchange.FaultZeroTransmit, header, 0},
	mode:           {"mode", exchange.FaultMode, header, 7},
	version:        {"version", exchange.FaultVersion, header, 7},
	unsynchronised: {"unsynchronised", exchange.FaultUnsynchronised, header, 0},
}

// kisses are the codes that kiss takes.
var kisses = [...]ntp.ReferenceID{ntp.KissRate, ntp.KissDeny, ntp.KissRestrict}

// Word returns the first word of f's text, such as "delay"; "" for the zero Fault.
func (f Fault) Word() string { return forms[f.kind].word }

// Note returns the note that a Reply bears of f; 0 for the zero Fault.
func (f Fault) Note() exchange.Notes { return forms[f.kind].note }

// Applies tells whether f makes sense for k at all, over connections (TCP) or datagrams: the faults in NTP's header for NTP alone,
// a duplicate for datagrams alone, and what changes bytes not for an echo over TCP; the others for all that is served.
func (f Fault) Applies(k service.Kind, stream bool) bool {
	if !slices.Contains(service.Kinds(), k) || stream && !k.OverTCP() {
		return false
	}
	switch forms[f.kind].stage {
	case noStage:
		return false
	case header:
		return k == service.NTP
	case cut, flip:
		return !stream || k != service.Echo // its answer is yet to come
	case wayOut:
		return !stream || f.kind != duplicate
	}
	return true
}

// String returns the canonical text, which Parse reads as f again: ranges of one duration are that duration, durations are
// as clock text has them, and 100% is left out.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Word())
	switch f.kind {
	case none:
		return ""
	case delay:
		b.WriteString(" " + durationText(f.from))
		if f.to != f.from {
			b.WriteString(".." + durationText(f.to))
		}
	case kiss:
		b.WriteString(" " + string(f.code[:]))
	case leap:
		b.WriteString(" " + ntp.Leap(f.number).String())
	case length, stratum, mode, version:
		b.WriteString(" " + strconv.Itoa(int(f.number)))
	}
	if f.chance != always {
		b.WriteString(" " + f.chance.String())
	}
	return b.String()
}

// durationText returns d as clock text has a duration: an offset without its sign.
func durationText(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	return strings.TrimPrefix(clock.Offset(d).String(), "+")
}

// MarshalText returns the text of String. The zero Fault, which has none, is an error.
func (f Fault) MarshalText() ([]byte, error) {
	if f.kind == none {
		return nil, errors.New("fault: the zero Fault has no text, want one that Parse gave")
	}
	return []byte(f.String()), nil
}

// UnmarshalText sets f to what [Parse] reads. A text that cannot be read leaves f as it is.
func (f *Fault) UnmarshalText(text []byte) error {
	g, err := Parse(string(text))
	if err != nil {
		return err
	}
	*f = g
	return nil
}
