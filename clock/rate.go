package clock

import (
	"math/big"
	"strconv"
	"strings"
)

// rateBits is how many bits of a Rate lie behind the binary point.
const rateBits = 46

// maxRateDigits is more than any Rate needs, and few enough for any of them to be read quickly.
const maxRateDigits = 100

// A Rate is served seconds a real second in fixed point: a multiple of 2^-46, from 0 (frozen) to 100,000.
type Rate uint64

// Rates that have a name.
const (
	Frozen  Rate = 0
	Normal  Rate = 1 << rateBits // a served second a real second
	MaxRate Rate = 100_000 * Normal
)

// Float64 gives the rate as the nearest floating-point number.
func (r Rate) Float64() float64 { return float64(r) / float64(Normal) }

// String gives the rate as clock text has it: "frozen", "+20ppm" when it is within 0.1 % of Normal (which is "x1"), else
// "x" and the shortest decimal that reads as the same rate.
func (r Rate) String() string {
	switch {
	case r == Frozen:
		return "frozen"
	case r == Normal:
		return "x1"
	case r > Normal && (r-Normal) < Normal/1000:
		return "+" + r.shortest(ppm{}) + "ppm"
	case r < Normal && (Normal-r) < Normal/1000:
		return "-" + r.shortest(ppm{negative: true}) + "ppm"
	}
	return "x" + r.shortest(times{})
}

// A rateScale is one of the two ways to write a rate as a decimal number.
type rateScale interface {
	rate(number *big.Rat) *big.Rat  // the rate that a number says, not yet rounded
	number(exact *big.Rat) *big.Rat // its inverse
}

// times is the scale of "x60": the number is the rate.
type times struct{}

func (times) rate(number *big.Rat) *big.Rat  { return new(big.Rat).Set(number) }
func (times) number(exact *big.Rat) *big.Rat { return new(big.Rat).Set(exact) }

// ppm is the scale of "+20ppm" and "-20ppm": the number is how far the rate is from 1, in millionths.
type ppm struct{ negative bool }

func (p ppm) rate(number *big.Rat) *big.Rat {
	away := new(big.Rat).Mul(number, big.NewRat(1, 1_000_000))
	if p.negative {
		away.Neg(away)
	}
	return away.Add(away, big.NewRat(1, 1))
}

func (p ppm) number(exact *big.Rat) *big.Rat {
	away := new(big.Rat).Sub(exact, big.NewRat(1, 1))
	if p.negative {
		away.Neg(away)
	}
	return away.Mul(away, big.NewRat(1_000_000, 1))
}

// round gives the rate nearest to exact (half up), and false where that is outside 0..MaxRate.
func round(exact *big.Rat) (Rate, bool) {
	twice := new(big.Int).Lsh(exact.Num(), rateBits+1)
	twice.Add(twice, exact.Denom())
	twice.Div(twice, new(big.Int).Lsh(exact.Denom(), 1)) // floor
	if !twice.IsUint64() || twice.Uint64() > uint64(MaxRate) {
		return 0, false
	}
	return Rate(twice.Uint64()), true
}

// shortest gives the decimal with the fewest digits behind the point that reads as r on that scale.
func (r Rate) shortest(scale rateScale) string {
	number := scale.number(new(big.Rat).SetFrac(new(big.Int).SetUint64(uint64(r)), new(big.Int).SetUint64(uint64(Normal))))
	for digits := 0; ; digits++ { // 46 digits are exact for any multiple of 2^-46
		text := number.FloatString(digits)
		back, _ := new(big.Rat).SetString(text)
		if got, ok := round(scale.rate(back)); ok && got == r || digits == rateBits {
			if strings.Contains(text, ".") {
				text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
			}
			return text
		}
	}
}

// isRate tells whether a word is an attempt at a rate.
func isRate(text string) bool {
	switch {
	case text == "frozen":
		return true
	case text == "":
		return false
	case text[0] == 'x':
		return len(text) == 1 || isDigit(text[1]) || strings.IndexByte("+-.", text[1]) >= 0
	}
	return (text[0] == '+' || text[0] == '-') && strings.HasSuffix(text, "ppm")
}

// rate reads `"frozen" | "x" number | sign number "ppm"`.
func (p *parser) rate(w word) (Rate, error) {
	text := p.text[w.pos:w.end]
	if text == "frozen" {
		return Frozen, nil
	}
	var scale rateScale = times{}
	pos, end := w.pos+1, w.end
	if text[0] != 'x' {
		scale = ppm{negative: text[0] == '-'}
		end -= len("ppm")
	}
	whole, fraction, next, ok := p.number(pos, end)
	if !ok || next != end {
		return 0, p.wrong(w.pos, w.end, "bad rate", wantRate, p.rateHint(text, pos, end))
	}
	if len(whole)+len(fraction) > maxRateDigits {
		return 0, p.wrong(w.pos, w.end, "too many digits in", "at most "+strconv.Itoa(maxRateDigits), "")
	}
	number, _ := new(big.Rat).SetString(whole + "." + fraction + "0")
	exact := scale.rate(number)
	rate, ok := round(exact)
	switch {
	case exact.Sign() < 0:
		return 0, p.wrong(w.pos, w.end, "bad rate", "more than 0", "served time does not run backwards")
	case !ok:
		return 0, p.wrong(w.pos, w.end, "too high a rate", "at most x100000", "")
	case exact.Sign() == 0:
		return 0, p.wrong(w.pos, w.end, "bad rate", "more than 0", didYouMean("frozen"))
	case rate == 0:
		return 0, p.wrong(w.pos, w.end, "too low a rate", "at least x0.0000000000000072 (half of 2^-46)", `"frozen" stands still`)
	}
	return rate, nil
}

// rateHint says what a broken rate, whose number is text[pos:end] of the parser's text, may have meant.
func (p *parser) rateHint(text string, pos, end int) string {
	number := p.text[pos:end]
	switch {
	case number == "" && text == "x":
		if after, w := p.peek(); after != "" && isDigit(after[0]) && w.pos == end+1 {
			return didYouMean("x" + after)
		}
	case number == "":
	case number[0] == '-' && text[0] == 'x':
		return "served time does not run backwards"
	case number[0] == '.' && len(number) > 1 && isDigit(number[1]):
		return didYouMean(text[:1] + "0" + text[1:])
	case strings.ContainsAny(number, "eE"):
		return "no exponents"
	case strings.Contains(number, ","):
		return "digits and a point only"
	}
	return ""
}
