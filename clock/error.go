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

// nearest gives the candidate that differs least from word, if that is little enough to be a slip.
func nearest(word string, candidates []string) (string, bool) {
	if len(word) > 32 {
		return "", false
	}
	word = strings.ToLower(word)
	best, least := "", max(1, min(3, len(word)/3))+1
	for _, candidate := range candidates {
		if d := slips(word, candidate); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best, best != ""
}

// slips counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func slips(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
