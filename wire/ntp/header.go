// Package ntp reads and writes NTP's packets: the header of 48 bytes that asker and server both send (RFC 5905, section
// 7.3), and the timestamps in it.
//
// A [Timestamp] counts seconds since 1900-01-01T00:00:00Z modulo 2^32, some 136 years. Such a stretch is an era: era 0 runs
// from 1900-01-01T00:00:00Z until 2036-02-07T06:28:16Z, era 1 from there, era -1 before. The bytes do not say which era they
// mean, so a reader chooses: [Timestamp.Near] takes the one that is nearest to a known instant, [Timestamp.In] a given one.
// Conversions go through whole seconds; a time.Duration, which ends at 292 years, takes no part. They are exact to the
// nanosecond: TimestampOf(t).Near(t) is t, in each year from 1 to 9999.
//
// What may follow the header, extension fields and a message authentication code, is told apart by [Trailer] and not read.
// The package does no I/O and holds no state; its functions may be called from any number of goroutines, and none keeps
// the bytes that it is given.
package ntp

import (
	"encoding/binary"
	"fmt"
)

// HeaderSize is the length of a packet without extension fields and without a message authentication code (MAC).
const HeaderSize = 48

// A Header is what the first 48 bytes of a packet say, in their order (RFC 5905, figure 8).
type Header struct {
	Leap           Leap
	Version        uint8 // 0 to 7
	Mode           Mode
	Stratum        uint8       // 0 unspecified, 1 primary, 2 to 15 secondary, 16 unsynchronised (figure 11)
	Poll           int8        // log2 seconds
	Precision      int8        // log2 seconds
	RootDelay      Short       // seconds to the reference clock and back
	RootDispersion Short       // seconds that served time may be off
	ReferenceID    ReferenceID // what the clock is set by, or a kiss code
	Reference      Timestamp   // when the clock was last set
	Origin         Timestamp   // of an answer: the question's Transmit, bit for bit
	Receive        Timestamp   // when the request came in
	Transmit       Timestamp   // when this packet left
}

// A LengthError is the number of bytes of what is no packet.
type LengthError int

func (e LengthError) Error() string {
	return fmt.Sprintf("ntp: packet has %d bytes, want at least %d and a multiple of 4", int(e), HeaderSize)
}

// Parse reads the header of a packet. It looks at nothing but the length: at least 48 bytes, and a multiple of 4 as
// extension fields and MACs are. Its error is a [LengthError].
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderSize || len(b)%4 != 0 {
		return Header{}, LengthError(len(b))
	}
	return Header{
		Leap:           Leap(b[0] >> 6),
		Version:        b[0] >> 3 & 7,
		Mode:           Mode(b[0] & 7),
		Stratum:        b[1],
		Poll:           int8(b[2]),
		Precision:      int8(b[3]),
		RootDelay:      Short(binary.BigEndian.Uint32(b[4:])),
		RootDispersion: Short(binary.BigEndian.Uint32(b[8:])),
		ReferenceID:    ReferenceID(b[12:16]),
		Reference:      Timestamp(binary.BigEndian.Uint64(b[16:])),
		Origin:         Timestamp(binary.BigEndian.Uint64(b[24:])),
		Receive:        Timestamp(binary.BigEndian.Uint64(b[32:])),
		Transmit:       Timestamp(binary.BigEndian.Uint64(b[40:])),
	}, nil
}

// Append appends the header's 48 bytes to b. Of Leap the low 2 bits count, of Version and Mode the low 3.
func (h Header) Append(b []byte) []byte {
	b = append(b, byte(h.Leap)<<6|h.Version&7<<3|byte(h.Mode)&7, h.Stratum, byte(h.Poll), byte(h.Precision))
	b = binary.BigEndian.AppendUint32(b, uint32(h.RootDelay))
	b = binary.BigEndian.AppendUint32(b, uint32(h.RootDispersion))
	b = append(b, h.ReferenceID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Reference))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Origin))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Receive))
	return binary.BigEndian.AppendUint64(b, uint64(h.Transmit))
}

// Leap is the leap indicator: what the last minute of the day has in store (RFC 5905, figure 9).
type Leap uint8

const (
	LeapNone    Leap = iota
	LeapInsert       // its last minute has 61 seconds
	LeapDelete       // its last minute has 59 seconds
	LeapUnknown      // the clock is not synchronised
)

// String returns "none", "insert", "delete" or "unknown".
func (l Leap) String() string {
	switch l {
	case LeapNone:
		return "none"
	case LeapInsert:
		return "insert"
	case LeapDelete:
		return "delete"
	case LeapUnknown:
		return "unknown"
	}
	return fmt.Sprintf("Leap(%d)", uint8(l))
}

// Mode is what a packet is in an association (RFC 5905, figure 10).
type Mode uint8

const (
	ModeReserved Mode = iota // what version 1 asks with
	ModeSymmetricActive
	ModeSymmetricPassive
	ModeClient
	ModeServer
	ModeBroadcast
	ModeControl
	ModePrivate
)

// String returns "client", "server" and so on.
func (m Mode) String() string {
	names := [...]string{"reserved", "symmetric active", "symmetric passive", "client", "server", "broadcast", "control", "private"}
	if int(m) < len(names) {
		return names[m]
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}
