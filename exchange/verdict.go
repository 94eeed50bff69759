package exchange

import (
	"fmt"
	"strings"
)

// A Verdict says that a request is answered, or why it is not. Engines count each.
type Verdict uint8

const (
	Answer       Verdict = iota // the Reply goes out
	Malformed                   // the bytes are no request of this service
	WrongVersion                // a version of the protocol that is not spoken
	WrongMode                   // a reply, or what else is no question
	Truncated                   // the datagram did not fit the buffer, and half of it is no answer
	NotAllowed                  // the allow-list does not hold the asker's address
	Loop                        // the source port is one that would answer the answer
	Multicast                   // it was sent to a broadcast or multicast address
	Limit                       // this source asks too often
	Full                        // too many connections are open, or too many replies held back
	Stale                       // it waited too long: a late time is a wrong time
	Fault                       // not answered on purpose; the Reply's Notes say by which fault
	Unsent                      // the system refused to send the Reply, or the server ended before it was due
	NumVerdicts
)

var verdicts = [NumVerdicts]string{
	Answer:       "answered",
	Malformed:    "malformed",
	WrongVersion: "wrong version",
	WrongMode:    "wrong mode",
	Truncated:    "truncated",
	NotAllowed:   "not allowed",
	Loop:         "loop",
	Multicast:    "multicast",
	Limit:        "over limit",
	Full:         "full",
	Stale:        "stale",
	Fault:        "fault",
	Unsent:       "unsent",
}

// String returns the word that log lines and counters use, such as "answered" or "not allowed".
func (v Verdict) String() string {
	if v < NumVerdicts {
		return verdicts[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Notes is a set of what is worth telling about a request that was answered, or was not on purpose.
type Notes uint16

// The first is about the request; the others are the faults that were made, with the words of package fault.
const (
	Unsigned            Notes = 1 << iota // the request bore a MAC, the answer bears none
	FaultLoss                             // not answered
	FaultSilence                          // not answered
	FaultDelay                            // held back
	FaultDuplicate                        // sent twice
	FaultCorrupt                          // a bit flipped
	FaultLength                           // cut or filled up
	FaultKiss                             // NTP from here on: a kiss code
	FaultStratum                          // another stratum
	FaultLeap                             // another leap indicator
	FaultWrongOrigin                      // not the asker's transmit timestamp
	FaultZeroTransmit                     // no transmit timestamp
	FaultMode                             // another mode
	FaultVersion                          // another version
	FaultUnsynchronised                   // as by a server that is not synchronised
)

// NumNotes is how many Notes there are.
const NumNotes = 15

var notes = [NumNotes]string{
	"unsigned", "loss", "silence", "delay", "duplicate", "corrupt", "length",
	"kiss", "stratum", "leap", "wrong-origin", "zero-transmit", "mode", "version", "unsynchronised",
}

// String names the notes, as in "delay, duplicate".
func (n Notes) String() string {
	var names []string
	for i, name := range notes {
		if n&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
