package lab

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/internal/nearest"
	"github.com/yesterday-time/yesterday/service"
)

// A Config says which client lives by which clock, and which faults it meets. The zero Config is real time for all,
// without faults.
type Config struct {
	// Clock and Faults are those of the default rules, 0.0.0.0/0 and ::/0, which hold for whom no rule matches, and of
	// the rules that have none of their own.
	Clock  clock.Recipe
	Faults []fault.Fault

	// Clocks are the clocks that rules name. A name is 1 to 64 ASCII letters, digits, hyphens, underscores and dots, and
	// begins with a letter or a digit. Names that differ in the case of their letters are different names.
	Clocks map[string]clock.Recipe

	// Rules may stand in any order: the longest prefix that holds a client's address wins. A rule for 0.0.0.0/0 or ::/0
	// stands in for the default rule.
	Rules []Rule

	// Services is what is served: a fault that makes sense for none of them is refused. None: all services.
	Services []service.Kind

	// TCPOnly tells that they are served over TCP alone, where fewer faults make sense.
	TCPOnly bool

	// Remember is how many clients' first requests are remembered, 1 to MaxRemember. 0: DefaultRemember. A client that
	// lives by two clocks in turn, each started at its first request, counts twice.
	Remember int
}

// What Config.Remember is where it is 0, and the most it may be. A client takes about 210 bytes, and 8 to 16 more for each
// piece with a "for" that its clock has: for clocks of one piece, 14 MB and 3.5 GB.
const (
	DefaultRemember = 65_536
	MaxRemember     = 16_777_216
)

// A Rule is for the clients in one prefix.
type Rule struct {
	From   netip.Prefix  // with no bits set behind its length; an IPv6 prefix never holds an IPv4 address
	Clock  string        // a name in Config.Clocks; empty: Config.Clock
	Start  Start         // when the clock starts
	Faults []fault.Fault // nil: Config.Faults; otherwise these alone, and none where it has no elements
}

// Start is when a rule's clock starts, unless its text has an "at", which allows WhenSet alone.
type Start uint8

const (
	WhenSet      Start = iota // for all clients at once, when the clock came into force
	FirstRequest              // for each client by itself, when its first request was received
	numStarts
)

var starts = [numStarts]string{"when-set", "first-request"}

// String returns "when-set" or "first-request".
func (s Start) String() string {
	if s < numStarts {
		return starts[s]
	}
	return "Start(" + strconv.Itoa(int(s)) + ")"
}

// UnmarshalText reads "first-request", the one word to be written: what starts when it is set says nothing.
func (s *Start) UnmarshalText(text []byte) error {
	word := string(text)
	if word == starts[FirstRequest] {
		*s = FirstRequest
		return nil
	}
	hint := nearest.Hint(word, starts[FirstRequest])
	return fmt.Errorf("start %s: want first-request, or nothing for a clock that starts when it is set%s", quoted(word), hint)
}
