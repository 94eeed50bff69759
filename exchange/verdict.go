package exchange

import "fmt"

// A Verdict says that a request is answered, or why it is not. Engines count each.
type Verdict uint8

const (
	Answer     Verdict = iota // the Reply goes out
	Malformed                 // the bytes are no request of this service
	Truncated                 // the datagram did not fit the buffer, and half of it is no answer
	NotAllowed                // the allow-list does not hold the asker's address
	Loop                      // the source port is one that would answer the answer
	Multicast                 // it was sent to a broadcast or multicast address
	Limit                     // this source asks too often
	Full                      // too many connections are open
	Stale                     // it waited too long: a late time is a wrong time
	Unsent                    // the system refused to send the Reply: a firewall, no route, no buffers
	NumVerdicts
)

var verdicts = [NumVerdicts]string{
	Answer:     "answered",
	Malformed:  "malformed",
	Truncated:  "truncated",
	NotAllowed: "not allowed",
	Loop:       "loop",
	Multicast:  "multicast",
	Limit:      "over limit",
	Full:       "full",
	Stale:      "stale",
	Unsent:     "unsent",
}

// String returns the word that log lines and counters use, such as "answered" or "not allowed".
func (v Verdict) String() string {
	if v < NumVerdicts {
		return verdicts[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}
