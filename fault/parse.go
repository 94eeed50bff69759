package fault

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// maxText is the longest text, in bytes: canonical text has less than 80.
const maxText = 200

const (
	wantDelay = "a duration such as 50ms, or a range such as 50ms..90ms"
	wantKiss  = "RATE, DENY or RSTR"
	wantLeap  = "none, insert, delete or unknown"
)

// Parse reads the text of one fault; the package's documentation has its grammar. Its errors are of type *SyntaxError.
func Parse(text string) (Fault, error) {
	p := &parser{text: text}
	if len(text) > maxText {
		w := word{pos: maxText}
		return Fault{}, p.wrong(w, "text of "+strconv.Itoa(len(text))+" bytes goes on", "at most "+strconv.Itoa(maxText), "")
	}
	if i := strings.IndexByte(text, ','); i >= 0 {
		return Fault{}, p.wrong(word{",", i}, "unexpected comma", "one fault", "of a list, each fault is a text of its own")
	}
	return p.fault()
}

// MustParse is Parse for a text that is known to be good, as one in a program's source is: it panics with what Parse returns as
// an error.
func MustParse(text string) Fault {
	f, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return f
}

// A parser reads one text word by word.
type parser struct {
	text string
	pos  int // what was not read yet starts here
}

// A word is text without spaces, and where it begins. At the end of the text it is empty.
type word struct {
	text string
	pos  int
}

const spaces = " \t\n\r"

// next takes the next word.
func (p *parser) next() word {
	rest := strings.TrimLeft(p.text[p.pos:], spaces)
	w := word{rest, len(p.text) - len(rest)}
	if end := strings.IndexAny(rest, spaces); end >= 0 {
		w.text = rest[:end]
	}
	p.pos = w.pos + len(w.text)
	return w
}

// peek looks at the next word.
func (p *parser) peek() word {
	ahead := *p
	return ahead.next()
}

// wrong tells what is wrong at w.
func (p *parser) wrong(w word, problem, want, hint string) *SyntaxError {
	return &SyntaxError{Text: p.text, Offset: w.pos, Problem: problem, Seen: w.text, Want: want, Hint: hint}
}

// fault reads `word [ argument ] [ probability ]`.
func (p *parser) fault() (Fault, error) {
	w := p.next()
	f := Fault{kind: kindOf(w.text), chance: always}
	var err error
	switch f.kind {
	case none:
		return Fault{}, p.unknown(w)
	case delay:
		f.from, f.to, err = p.delay()
	case kiss:
		f.code, err = p.kiss()
	case leap:
		f.number, err = p.leap()
	case length, stratum, mode, version:
		f.number, err = p.number(f.kind)
	}
	if err != nil {
		return Fault{}, err
	}
	w = p.next()
	if w.text == "" {
		return f, nil
	}
	if !isChance(w.text) {
		return Fault{}, p.wrong(w, "unexpected word", wantChance+", or the end", "")
	}
	if f.chance, err = p.chance(w); err != nil {
		return Fault{}, err
	}
	switch w := p.next(); {
	case isChance(w.text):
		return Fault{}, p.wrong(w, "unexpected probability", "the end", "one probability a fault")
	case w.text != "":
		return Fault{}, p.wrong(w, "unexpected word", "the end", "")
	}
	return f, nil
}

// isChance tells whether a word is an attempt at a probability.
func isChance(text string) bool {
	return text != "" && (strings.HasSuffix(text, "%") || strings.ContainsRune("+-.0123456789", rune(text[0])))
}

func kindOf(text string) kind {
	for k := loss; k < numKinds; k++ {
		if forms[k].word == text {
			return k
		}
	}
	return none
}

// argument takes the next word, which stands behind k; what says what is missing where it does not.
func (p *parser) argument(k kind, what, want string) (word, error) {
	w := p.peek()
	if w.text == "" || strings.HasSuffix(w.text, "%") {
		return w, p.wrong(w, "no "+what+` behind "`+forms[k].word+`"`, want, "")
	}
	return p.next(), nil
}

// delay reads `duration [ ".." duration ]`.
func (p *parser) delay() (from, to time.Duration, err error) {
	w, err := p.argument(delay, "duration", wantDelay)
	if err != nil {
		return 0, 0, err
	}
	low, high, isRange := strings.Cut(w.text, "..")
	if hint := p.delayHint(w.text); hint != "" {
		return 0, 0, p.wrong(w, "bad delay", wantDelay, hint)
	}
	if from, err = p.duration(word{low, w.pos}); err != nil {
		return 0, 0, err
	}
	if to = from; isRange {
		if to, err = p.duration(word{high, w.pos + len(low) + len("..")}); err != nil {
			return 0, 0, err
		}
	}
	switch {
	case to < from:
		return 0, 0, p.wrong(w, "falling range", "the shorter delay first", didYouMean(high+".."+low))
	case to == 0:
		return 0, 0, p.wrong(w, "no delay in", "more than 0", "")
	}
	return from, to, nil
}

// duration reads a duration as clock text has it, at most MaxDelay.
func (p *parser) duration(w word) (time.Duration, error) {
	if w.text == "" {
		return 0, p.wrong(w, "no duration", wantDelay, "")
	}
	d, err := clock.ParseDuration(w.text)
	if e, ok := errors.AsType[*clock.SyntaxError](err); ok {
		return 0, p.wrong(word{e.Seen, w.pos + e.Offset}, e.Problem, e.Want, e.Hint)
	}
	if d > MaxDelay {
		return 0, p.wrong(w, "too long a delay", "at most "+durationText(MaxDelay), "")
	}
	return d, nil
}

// number reads a whole number from 0 to the most that k takes.
func (p *parser) number(k kind) (uint16, error) {
	want := "a whole number, 0 to " + strconv.Itoa(int(forms[k].most))
	w, err := p.argument(k, "number", want)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(w.text, 10, 16)
	if err != nil || n > uint64(forms[k].most) {
		hint := ""
		for m := ntp.ModeReserved; k == mode && m <= ntp.ModePrivate; m++ {
			if m.String() == strings.ToLower(w.text) {
				hint = didYouMean(strconv.Itoa(int(m)))
			}
		}
		return 0, p.wrong(w, "bad "+forms[k].word, want, hint)
	}
	return uint16(n), nil
}

// kiss reads a kiss code.
func (p *parser) kiss() (ntp.ReferenceID, error) {
	w, err := p.argument(kiss, "kiss code", wantKiss)
	if err != nil {
		return ntp.ReferenceID{}, err
	}
	var near []string
	for _, code := range kisses {
		if string(code[:]) == w.text {
			return code, nil
		}
		near = append(near, strings.ToLower(string(code[:])))
	}
	return ntp.ReferenceID{}, p.wrong(w, "unknown kiss code", wantKiss, nearestOf(w.text, strings.ToUpper, near...))
}

// leap reads the name of a leap indicator.
func (p *parser) leap() (uint16, error) {
	w, err := p.argument(leap, "leap indicator", wantLeap)
	if err != nil {
		return 0, err
	}
	var names []string
	for l := ntp.LeapNone; l <= ntp.LeapUnknown; l++ {
		if l.String() == w.text {
			return uint16(l), nil
		}
		names = append(names, l.String())
	}
	hint := nearestOf(w.text, strings.ToLower, names...)
	if n, err := strconv.Atoi(w.text); err == nil && 0 <= n && n < len(names) {
		hint = didYouMean(names[n])
	}
	return 0, p.wrong(w, "unknown leap indicator", wantLeap, hint)
}
