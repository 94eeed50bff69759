package clock

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A SyntaxError tells why and where a clock text could not be read.
type SyntaxError struct {
	Text    string // the whole text
	Offset  int    // where in Text it went wrong, in bytes from 0; len(Text): at its end
	Problem string // what is wrong: `unknown word`
	Seen    string // what stands there: `yesturday`; may be empty
	Want    string // what was expected there; may be empty
	Hint    string // what to do: `did you mean "yesterday"?`; may be empty
}

// Error gives one line: clock: "yesturday": unknown word at 1, want a base (…); did you mean "yesterday"? The place counts
// bytes from 1. What stands there is named unless it is all of the text, and a long text is cut.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clock: %s: %s", quoted(e.Text), e.Problem)
	if e.Seen != "" && e.Seen != e.Text {
		b.WriteString(" " + quoted(e.Seen))
	}
	if e.Offset >= len(e.Text) && e.Text != "" {
		b.WriteString(" at the end")
	} else if e.Text != "" {
		b.WriteString(" at " + strconv.Itoa(e.Offset+1))
	}
	if e.Want != "" {
		b.WriteString(", want " + e.Want)
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// quoted gives s in quotes, safe for a terminal, cut to a length that fits a line.
func quoted(s string) string {
	const most = 80
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}

func didYouMean(text string) string { return "did you mean " + quoted(text) + "?" }
