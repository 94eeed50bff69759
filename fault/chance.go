package fault

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A chance is a probability in millionths, 0 to 1,000,000: steps of 0.0001%.
type chance uint32

const (
	percent chance = 10_000
	always         = 100 * percent
)

// hits tells whether it happens now. What never or always happens draws no random number.
func (c chance) hits(r *rand.Rand) bool {
	switch c {
	case 0:
		return false
	case always:
		return true
	}
	return r.Uint32N(uint32(always)) < uint32(c)
}

// String returns the percentage, without zeros at its ends: "10%", "0.5%".
func (c chance) String() string {
	text := strconv.Itoa(int(c / percent))
	if rest := c % percent; rest != 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%04d", rest), "0")
	}
	return text + "%"
}

const wantChance = "a probability such as 10% or 0.5%"

// chance reads `number "%"`.
func (p *parser) chance(w word) (chance, error) {
	number, marked := strings.CutSuffix(w.text, "%")
	whole, fraction, pointed := strings.Cut(number, ".")
	if pointed && whole == "" && isNumber(fraction) {
		return 0, p.wrong(w, "bad probability", wantChance, didYouMean("0"+number+"%"))
	}
	if !isNumber(whole) || pointed && !isNumber(fraction) {
		return 0, p.wrong(w, "bad probability", wantChance, "")
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	tooFine := len(fraction) > 4
	c := always + 1
	if len(whole) <= 3 {
		n, _ := strconv.Atoi("0" + whole + (fraction + "0000")[:4])
		c = chance(n)
	}
	switch {
	case !marked && (tooFine || c > always):
		return 0, p.wrong(w, "no % behind", wantChance, "")
	case !marked && 0 < c && c < percent: // 0.1: as programs write 10%, more often than not
		return 0, p.wrong(w, "no % behind", wantChance, fmt.Sprintf("did you mean %q, or %q?", 100*c, c))
	case !marked:
		return 0, p.wrong(w, "no % behind", wantChance, didYouMean(c.String()))
	case c > always:
		return 0, p.wrong(w, "bad probability", "0% to 100%", "")
	case tooFine:
		return 0, p.wrong(w, "too fine a probability", "steps of 0.0001%", "")
	}
	return c, nil
}

// isNumber tells whether text is digits alone, and some.
func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
