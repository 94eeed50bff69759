package fault

import (
	"strings"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/internal/nearest"
)

// unknown tells what is wrong with a first word that is no fault's.
func (p *parser) unknown(w word) error {
	var words []string
	for k := loss; k < numKinds; k++ {
		words = append(words, forms[k].word)
	}
	last := len(words) - 1
	want := "a fault (" + strings.Join(words[:last], ", ") + " or " + words[last] + ")"
	second := p.peek().text
	lower := strings.ToLower(w.text)
	switch near := nearest.Word(w.text, words...); {
	case w.text == "":
		return p.wrong(w, "no text", want, "")
	case kindOf(lower+"-"+second) != none:
		return p.wrong(w, "unknown word", want, didYouMean(lower+"-"+second))
	case parted(lower) != "":
		return p.wrong(w, "unknown word", want, didYouMean(parted(lower)))
	case near != "":
		return p.wrong(w, "unknown word", want, didYouMean(near))
	case isChance(w.text):
		return p.wrong(w, "no fault's name", want, "the fault comes first, then its probability")
	default:
		return p.wrong(w, "unknown word", want, synonym(lower))
	}
}

// parted returns a text that lacks the space behind its first word, or has another sign there, with the space: "loss 10%" for
// "loss10%" and "loss=10%". It is "" where that is no fault's text either.
func parted(text string) string {
	i := strings.IndexAny(text, "=:0123456789")
	if i <= 0 || kindOf(text[:i]) == none {
		return ""
	}
	text = text[:i] + " " + strings.TrimLeft(text[i:], "=:")
	if strings.HasSuffix(text, " ") {
		return ""
	}
	if _, err := Parse(text); err != nil {
		return ""
	}
	return text
}

// synonym says which fault other programs call by that word.
func synonym(lower string) string {
	switch lower {
	case "drop":
		return didYouMean("loss")
	case "timeout", "blackhole", "ignore":
		return didYouMean("silence")
	case "latency", "jitter", "lag":
		return didYouMean("delay")
	case "dup", "copy":
		return didYouMean("duplicate")
	case "flip", "bitflip":
		return didYouMean("corrupt")
	case "truncate", "cut", "short", "size":
		return didYouMean("length")
	case "kod", "rate", "deny", "rstr":
		return didYouMean("kiss")
	case "unsync", "unsynced":
		return didYouMean("unsynchronised")
	}
	return ""
}

// delayHint says what a delay that is not right may have meant: a sign, a range that is written otherwise, or one without
// its first unit. It looks at the next word too.
func (p *parser) delayHint(text string) string {
	ok := func(text string) bool {
		_, err := clock.ParseDuration(text)
		return err == nil
	}
	next := p.peek().text
	if text[0] == '+' || text[0] == '-' {
		if low, _, _ := strings.Cut(text[1:], ".."); ok(low) {
			return didYouMean(text[1:])
		}
		return ""
	}
	if ok(text+next) && !ok(text) { // 5 ms
		return didYouMean(text + next)
	}
	if ok(text) && ok(next) { // 50ms 90ms
		return didYouMean(text + ".." + next)
	}
	if ok(text) && strings.HasPrefix(next, "..") || strings.HasSuffix(text, "..") && ok(next) { // 50ms .. 90ms
		return "a range has no spaces"
	}
	if low, high, dash := strings.Cut(text, "-"); dash && ok(high) {
		text = low + ".." + high // 50ms-90ms, 50-90ms
		if ok(low) {
			return didYouMean(text)
		}
	}
	if low, high, dots := strings.Cut(text, ".."); dots && ok(high) && isNumber(low) { // 50..90ms
		return didYouMean(low + strings.TrimLeft(high, "0123456789.") + ".." + high)
	}
	return ""
}

// nearestOf is a hint at the lower-case word that text may have meant, written as it is to be.
func nearestOf(text string, write func(string) string, words ...string) string {
	if near := nearest.Word(text, words...); near != "" {
		return didYouMean(write(near))
	}
	return ""
}
