package clock

import (
	"strings"

	"github.com/yesterday-time/yesterday/internal/nearest"
)

// unexpected tells that the next word can't stand where it does, what may, and what it may have meant: one of the
// candidates, or a right word in the wrong form.
func (p *parser) unexpected(want string, candidates ...string) *SyntaxError {
	text, w := p.peek()
	problem, hint := "unexpected word", ""
	lower := strings.ToLower(text)
	near := nearest.Word(text, candidates...)
	split := strings.LastIndexAny(text, "+-")
	switch {
	case split > 0 && isBase(text[:split]):
		hint = didYouMean(text[:split] + " " + text[split:])
	case secondHint(text) != "":
		problem, hint = "unknown word", secondHint(text)
	case near != "" && near != text:
		problem, hint = "unknown word", didYouMean(near)
	case isSecond(text):
		hint = "leap and smear stand behind the base and its offsets"
	case isBase(text):
		hint = `one base a piece: pieces are joined as in "now for 10m then ` + text + `"`
	case isOffset(text):
		hint = "offsets stand behind the base, before the rate, leap or smear"
	case isRate(text):
		problem, hint = "unexpected rate", "one rate a piece"
	case isRate(lower) && lower != text:
		hint = didYouMean(lower)
	case isDigit(text[0]) && strings.HasSuffix(text, "x"):
		hint = didYouMean("x" + strings.TrimSuffix(text, "x"))
	case isDigit(text[0]) && strings.HasSuffix(text, "ppm"):
		problem, hint = "rate without a sign", didYouMean("+"+text)
	case isDigit(text[0]) && len(text) >= 8 && isClock(text[:8]):
		hint = "date and time are one word, as in 2036-02-07T" + text[:8] + "Z"
	case looksLikeInstant(text):
		hint = `one base a piece: pieces are joined by "for", a duration and "then"`
	case isDigit(text[0]):
		problem, hint = "duration without a sign", quoted("-"+text)+" is behind real time, "+quoted("+"+text)+" ahead of it"
	case text == "then" || text == "repeat" || text == "for":
		hint = `"at" comes last`
	default:
		problem = "unknown word"
	}
	return p.wrong(w.pos, w.end, problem, want, hint)
}
