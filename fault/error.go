package fault

import (
	"strconv"
	"strings"

	"github.com/yesterday-time/yesterday/clock"
)

// A SyntaxError tells why and where a fault's text could not be read. It is a [clock.SyntaxError] of another package.
type SyntaxError struct {
	Text    string // the whole text
	Offset  int    // where in Text it went wrong, in bytes from 0; len(Text): at its end
	Problem string // what is wrong: `unknown word`
	Seen    string // what stands there: `los`; may be empty
	Want    string // what was expected there; may be empty
	Hint    string // what to do: `did you mean "loss"?`; may be empty
}

// Error returns one line: fault: "los 10%": unknown word "los" at 1, want a fault (…); did you mean "loss"? The place counts
// bytes from 1. What stands there is named unless it is all of the text, and a long text is cut.
func (e *SyntaxError) Error() string {
	return "fault" + strings.TrimPrefix((*clock.SyntaxError)(e).Error(), "clock")
}

func didYouMean(text string) string { return "did you mean " + strconv.Quote(text) + "?" }
