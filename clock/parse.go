package clock

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of a clock text. Canonical text has less than 120 bytes a piece, so what one can say stays within maxText when it
// is made canonical.
const (
	maxPieces = 1000
	maxText   = 128 * 1024 // bytes
)

const (
	wantBase   = "a base (yesterday, now, tomorrow, a preset, an offset such as -24h, or an instant such as 2036-02-07)"
	wantRate   = "a rate such as frozen, x60 or +20ppm"
	wantSecond = `"leap", "leap-" or "smear"`
	wantLength = `"for" and a duration before it`
)

var dayBehind = oneDay.neg()

// Parse reads a clock text; the package's documentation has its grammar. Its errors are of type *SyntaxError.
func Parse(text string) (Recipe, error) {
	p := &parser{text: text}
	if len(text) > maxText {
		return Recipe{}, p.tooLong()
	}
	p.split()
	return p.recipe()
}

// MustParse is Parse for a text that is known to be good, as one in a program's source is: it panics with what Parse returns as
// an error.
func MustParse(text string) Recipe {
	r, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return r
}

// ParseInstant reads an instant as clock text has it, a date or an RFC 3339 time of the years 1 to 9999, and gives it in
// UTC. Its errors are of type *SyntaxError.
func ParseInstant(text string) (time.Time, error) {
	w, p, err := oneWord(text, wantInstant)
	if err != nil {
		return time.Time{}, err
	}
	a, err := p.instant(w.pos, w.end)
	if err != nil {
		return time.Time{}, err
	}
	return a.time(), nil
}

// ParseDuration reads a duration as clock text has it, such as 1h30m or 7d: whole nanoseconds from 0 to the 292 years that
// a time.Duration holds. Its errors are of type *SyntaxError.
func ParseDuration(text string) (time.Duration, error) {
	w, p, err := oneWord(text, wantDuration)
	if err != nil {
		return 0, err
	}
	a, err := p.duration(w.pos, w.end)
	if err != nil {
		return 0, err
	}
	hi, lo := a.wide()
	if hi != 0 || lo > math.MaxInt64 {
		return 0, p.wrong(w.pos, w.end, "too long a duration", "at most 292 years (106751d)", "")
	}
	return time.Duration(lo), nil
}

// oneWord gives the parser of a text that must be one word.
func oneWord(text, want string) (word, *parser, error) {
	p := &parser{text: text}
	if len(text) > maxText {
		return word{}, nil, p.tooLong()
	}
	p.split()
	_, w := p.next()
	switch {
	case w.pos == w.end:
		return word{}, nil, p.wrong(w.pos, w.end, "no text", want, "")
	case len(p.words) > 0:
		_, more := p.next()
		return word{}, nil, p.wrong(more.pos, more.end, "unexpected word", want+" alone", "")
	}
	return w, p, nil
}

// A parser reads one clock text word by word.
type parser struct {
	text  string
	words []word // those not read yet
}

// A word is text[pos:end], without spaces.
type word struct{ pos, end int }

func (p *parser) split() {
	for pos := 0; pos < len(p.text); {
		end := pos
		for end < len(p.text) && !isSpace(p.text[end]) {
			end++
		}
		if end > pos {
			p.words = append(p.words, word{pos, end})
		}
		pos = end + 1
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// peek gives the next word, which is empty at the end of the text.
func (p *parser) peek() (string, word) {
	if len(p.words) == 0 {
		return "", word{len(p.text), len(p.text)}
	}
	w := p.words[0]
	return p.text[w.pos:w.end], w
}

func (p *parser) next() (string, word) {
	text, w := p.peek()
	if len(p.words) > 0 {
		p.words = p.words[1:]
	}
	return text, w
}

// wrong tells what is wrong with text[pos:end].
func (p *parser) wrong(pos, end int, problem, want, hint string) *SyntaxError {
	return &SyntaxError{Text: p.text, Offset: pos, Problem: problem, Seen: p.text[pos:end], Want: want, Hint: hint}
}

func (p *parser) tooLong() *SyntaxError {
	return p.wrong(maxText, maxText, "text of "+strconv.Itoa(len(p.text))+" bytes goes on", "at most "+strconv.Itoa(maxText), "")
}

// recipe reads `( timeline | piece ) [ "at" instant ]`.
func (p *parser) recipe() (Recipe, error) {
	if len(p.words) == 0 {
		return Recipe{}, p.wrong(len(p.text), len(p.text), "no text", wantBase, "")
	}
	var r Recipe
	var total int64
	after := "" // what may follow
	for {
		if len(r.pieces) == maxPieces {
			_, w := p.peek()
			return Recipe{}, p.wrong(w.pos, w.end, "too many pieces", "at most "+strconv.Itoa(maxPieces), "")
		}
		piece, want, err := p.piece()
		if err != nil {
			return Recipe{}, err
		}
		if text, _ := p.peek(); text == "for" {
			p.next()
			if piece.duration, err = p.length(total); err != nil {
				return Recipe{}, err
			}
			total += piece.duration
		}
		r.pieces = append(r.pieces, piece)
		text, w := p.peek()
		switch {
		case piece.duration == 0 && (text == "then" || text == "repeat"):
			return Recipe{}, p.wrong(w.pos, w.end, "unexpected word", wantLength, "")
		case piece.duration == 0 && len(r.pieces) > 1:
			after = strings.Replace(want, "for, ", "for and then, ", 1)
		case piece.duration == 0:
			after = want
		case text == "then":
			p.next()
			continue
		case text == "repeat":
			p.next()
			r.repeat = true
			after = "at or the end"
		case text == "" || text == "at":
			return Recipe{}, p.wrong(w.pos, w.end, "timeline does not say how it goes on",
				`"then" and a piece, or "repeat"`, `a piece without "for" lasts for ever`)
		default:
			return Recipe{}, p.unexpected("then or repeat", "then", "repeat")
		}
		break
	}
	if text, _ := p.peek(); text == "at" {
		p.next()
		_, w := p.next()
		at, err := p.startInstant(w)
		if err != nil {
			return Recipe{}, err
		}
		r.at, r.anchored = at, true
		after = "the end"
	}
	if len(p.words) > 0 {
		return Recipe{}, p.unexpected(after, "for", "then", "repeat", "at", "frozen", "leap", "leap-", "smear")
	}
	if !r.needsStart() {
		r.at, r.anchored = span{}, false
	}
	return r, nil
}

// startInstant reads the word behind "at".
func (p *parser) startInstant(w word) (span, error) {
	switch text := p.text[w.pos:w.end]; {
	case text == "":
		return span{}, p.wrong(w.pos, w.end, `nothing behind "at"`, wantInstant, "")
	case isBase(text):
		return span{}, p.wrong(w.pos, w.end, "bad instant", wantInstant, `"at" says in real time when the clock starts`)
	}
	return p.instant(w.pos, w.end)
}

// length reads the duration behind "for", when the pieces before last total nanoseconds.
func (p *parser) length(total int64) (int64, error) {
	text, w := p.next()
	if text == "" {
		return 0, p.wrong(w.pos, w.end, `nothing behind "for"`, "a duration such as 10m", "")
	}
	length, err := p.duration(w.pos, w.end)
	if err != nil {
		return 0, err
	}
	hi, lo := length.wide()
	switch {
	case hi == 0 && lo == 0:
		return 0, p.wrong(w.pos, w.end, "bad length", "more than 0", "")
	case hi != 0 || lo > math.MaxInt64 || int64(lo) > math.MaxInt64-total:
		return 0, p.wrong(w.pos, w.end, "too long a timeline with", "at most 292 years (106751d) in all", "")
	}
	return int64(lo), nil
}

// piece reads `base { offset } [ rate | second ]`, and says what may follow.
func (p *parser) piece() (pc piece, want string, err error) {
	if pc, err = p.base(); err != nil {
		return piece{}, "", err
	}
	for {
		text, w := p.peek()
		if !isOffset(text) {
			break
		}
		p.next()
		offset, err := p.offset(w)
		if err != nil {
			return piece{}, "", err
		}
		pc.value = pc.value.add(offset)
		switch {
		case !pc.relative && !pc.value.isWithin():
			return piece{}, "", p.wrong(w.pos, w.end, "instant out of range with", "the years 0001 to 9999", "")
		case pc.relative && (widest.less(pc.value) || widest.less(pc.value.neg())):
			return piece{}, "", p.wrong(w.pos, w.end, "too long an offset with", "at most "+widestName, "")
		}
	}
	const wantMore = "for, at or the end"
	switch text, w := p.peek(); {
	case pc.second != second{}: // the preset's
		want = "an offset, " + wantMore
	case isRate(text):
		p.next()
		pc.rate, err = p.rate(w)
		want = wantMore
	case isSecond(text):
		pc.second, err = p.second()
		want = wantMore
	default:
		return pc, "an offset, " + wantRate + ", " + wantSecond + ", " + wantMore, nil
	}
	if err != nil {
		return piece{}, "", err
	}
	return pc, want, p.one(pc.second, want)
}

// one tells what is wrong if behind a rate, or behind that second, another of them follows.
func (p *parser) one(x second, want string) error {
	text, w := p.peek()
	switch {
	case isRate(text) && x != second{}:
		return p.wrong(w.pos, w.end, "unexpected rate", want, "a leap second and a smear need rate 1")
	case isSecond(text) && x == second{}:
		return p.wrong(w.pos, w.end, "unexpected word", want, "a leap second and a smear need rate 1: leave out the rate")
	case isSecond(text):
		return p.wrong(w.pos, w.end, "unexpected word", want, "one leap second a piece, and "+quoted(x.String())+" is one")
	case text == "-" && x.leap == LeapInsert:
		return p.wrong(w.pos, w.end, "unexpected word", want, didYouMean("leap-"))
	}
	return nil
}

// base reads one.
func (p *parser) base() (piece, error) {
	text, w := p.next()
	pc := piece{relative: true, rate: Normal}
	switch text {
	case "now":
		return pc, nil
	case "yesterday":
		pc.value = dayBehind
		return pc, nil
	case "tomorrow":
		pc.value = oneDay
		return pc, nil
	}
	for _, preset := range presets {
		if preset.name == text {
			return piece{value: preset.moment.sub(lead), rate: Normal, second: preset.second}, nil
		}
	}
	var err error
	switch {
	case text == "":
		return piece{}, p.wrong(w.pos, w.end, "nothing", wantBase, "")
	case isOffset(text):
		if pc.value, err = p.offset(w); err != nil {
			return piece{}, err
		}
		return pc, nil
	case isRate(text):
		return piece{}, p.wrong(w.pos, w.end, "rate without a base", wantBase, didYouMean("now "+text))
	case isSecond(text):
		return piece{}, p.wrong(w.pos, w.end, "leap second without a base", wantBase, didYouMean("now "+text))
	case looksLikeInstant(text):
		pc.relative = false
		if pc.value, err = p.instant(w.pos, w.end); err != nil {
			return piece{}, err
		}
		return pc, nil
	}
	p.words = slices.Insert(p.words, 0, w)
	return piece{}, p.unexpected(wantBase, baseNames()...)
}

// isOffset tells whether a word is an attempt at an offset.
func isOffset(text string) bool {
	return text != "" && (text[0] == '+' || text[0] == '-') && !strings.HasSuffix(text, "ppm")
}

// offset reads `sign duration`.
func (p *parser) offset(w word) (span, error) {
	d, err := p.duration(w.pos+1, w.end)
	if err != nil {
		return span{}, err
	}
	if p.text[w.pos] == '-' {
		d = d.neg()
	}
	return d, nil
}

func isBase(text string) bool { return slices.Contains(baseNames(), text) }

func baseNames() []string {
	names := []string{"yesterday", "now", "tomorrow"}
	for _, preset := range presets {
		names = append(names, preset.name)
	}
	return names
}
