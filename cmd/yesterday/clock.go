package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/yesterday-time/yesterday/clock"
)

// How many changes the clock command shows without --for, and how far ahead behind the first; and how many with it.
const (
	nextChanges = 10
	nextYears   = 200
	mostChanges = 1000
)

type clockCmd struct {
	Text []string     `arg:"" name:"text" help:"The clock: yesterday, -1h30m, 2036-02-07T06:28:06Z, 'now x60', unix-rollover … In one argument or in several."`
	Now  clockInstant `placeholder:"TIME" help:"The real time to show it at, where it also starts: 2036-02-07 or 2036-02-07T06:28:16Z (default: this machine's clock)."`
	For  clockSpan    `placeholder:"DURATION" help:"Show all changes within this real time, such as 1h30m or 7d, up to 1000 (default: the next one, and up to 9 more within 200 years)."`
	JSON bool         `name:"json" help:"Print one JSON object."`
}

// Help is what --help says below the usage.
func (*clockCmd) Help() string {
	return `Examples:
  yesterday clock -1h30m
  yesterday clock ntp-rollover x60
  yesterday clock yesterday for 10m then now for 5m repeat
  yesterday clock now x0.5 --now 2026-01-01 --for 1d
  yesterday clock leap-second

The text:
  bases    yesterday, now, tomorrow; -24h, +1h30m; 2036-02-07, 2038-01-19T03:14:00Z; ten seconds before
           a moment: ntp-rollover, unix-rollover, gps-rollover, y2k, epoch, leap-second
  offsets  yesterday +5m
  rates    now frozen, now x60, now x0.5, now +20ppm
  seconds  now leap, now leap- (a leap second inserted, or deleted, at the end of the UTC day),
           now smear 24h (inserted evenly around it)
  then     A for 10m then B for 5m then C; A for 10m then B for 5m repeat
  start    A at 2026-11-22T10:00:00Z (default: when it is set)

The object that --json prints:

  clock           the canonical text
  real, served    now
  offset          served less real, seconds
  rate            served seconds a real second
  leap            what NTP announces: none, insert, delete
  until           when that ends, real; left out: never
  changes         what is to come, and more: whether there are more. Each has
    kind          segment, rfc868-rollover, unix-rollover, leap-announced,
                  leap-inserted, leap-deleted, leap-over, smear-begin, smear-end
    real, served  when
    before        what it would have read there without the change
    rate, leap    from then on`
}

// A clockInstant is a flag's real time.
type clockInstant struct {
	real  time.Time
	given bool
}

// Decode takes the next word.
func (c *clockInstant) Decode(ctx *kong.DecodeContext) error {
	if ctx.Scan.Peek().IsEOL() {
		return errors.New("want a time such as 2036-02-07 or 2036-02-07T06:28:16Z")
	}
	text := strings.TrimSpace(ctx.Scan.Pop().String())
	real, err := clock.ParseInstant(text)
	c.real, c.given = real, true
	return err
}

// A clockSpan is a flag's real time that passes, zero when not given.
type clockSpan struct{ time.Duration }

// Decode takes the next word.
func (c *clockSpan) Decode(ctx *kong.DecodeContext) error {
	if ctx.Scan.Peek().IsEOL() {
		return errors.New("want a duration such as 1h30m")
	}
	text := strings.TrimSpace(ctx.Scan.Pop().String())
	duration, err := clock.ParseDuration(text)
	c.Duration = duration
	if err == nil && c.Duration == 0 {
		err = fmt.Errorf("%q: want more than 0", text)
	}
	return err
}

// signedWords lets the clock command's text begin with a minus. Kong would take -24h for flags; a space in front, which
// clock text ignores, makes it a word.
func signedWords(args []string) []string {
	if len(args) == 0 || args[0] != "clock" {
		return args
	}
	words := []string{args[0]}
	for _, arg := range args[1:] {
		if len(arg) > 1 && arg[0] == '-' && (arg[1] >= '0' && arg[1] <= '9' || strings.IndexByte(".+ ", arg[1]) >= 0 ||
			arg[1] == '-' && len(arg) > 2 && arg[2] >= '0' && arg[2] <= '9') {
			arg = " " + arg
		}
		words = append(words, arg)
	}
	return words
}

// Run shows the clock.
func (c *clockCmd) Run(e *env) error {
	recipe, err := clock.Parse(strings.TrimSpace(strings.Join(c.Text, " ")))
	if err != nil {
		return usageError{err}
	}
	real := c.Now.real
	if !c.Now.given {
		real = e.now().UTC().Truncate(time.Millisecond) // what is finer is noise to a reader
	}
	view := newClockView(recipe.Start(real), real, c.For.Duration)
	if c.JSON {
		out := json.NewEncoder(e.stdout)
		out.SetIndent("", "  ")
		return out.Encode(view)
	}
	_, err = io.WriteString(e.stdout, view.text(e.color))
	return err
}

// A clockView is what the clock command shows; its JSON is documented in Help.
type clockView struct {
	Clock   string       `json:"clock"`
	Real    time.Time    `json:"real"`
	Served  time.Time    `json:"served"`
	Offset  json.Number  `json:"offset"`
	Rate    float64      `json:"rate"`
	Leap    clock.Leap   `json:"leap"`
	Until   time.Time    `json:"until,omitzero"`
	Changes []changeView `json:"changes"`
	More    bool         `json:"more"`

	segment clock.Segment
	within  time.Duration // 0: at any distance
}

type changeView struct {
	Kind   clock.ChangeKind `json:"kind"`
	Real   time.Time        `json:"real"`
	Before time.Time        `json:"before"`
	Served time.Time        `json:"served"`
	Rate   float64          `json:"rate"`
	Leap   clock.Leap       `json:"leap"`

	text string
}

// newClockView collects what c reads at the real time and its changes within the time given, or the next ones.
func newClockView(c *clock.Timeline, real time.Time, within time.Duration) clockView {
	segment := c.Segment(real)
	served := segment.At(real)
	view := clockView{
		Clock: c.String(), Real: real, Served: served, Offset: seconds(real, served), Rate: segment.Rate.Float64(), Leap: segment.Leap,
		Until: segment.Until, Changes: []changeView{}, segment: segment, within: within,
	}
	most, until := nextChanges, time.Time{}
	if within > 0 {
		most, until = mostChanges, real.Add(within)
	}
	for change := range clock.Changes(c, real, until) {
		far := within == 0 && len(view.Changes) > 0 && change.Real.After(real.AddDate(nextYears, 0, 0))
		if len(view.Changes) == most || far {
			view.More = true
			break
		}
		view.Changes = append(view.Changes, changeView{
			Kind: change.Kind, Real: change.Real, Before: change.Before, Served: change.Served,
			Rate: change.Segment.Rate.Float64(), Leap: change.Segment.Leap, text: describe(change, segment.Rate),
		})
		segment = change.Segment
	}
	return view
}

// text gives the view for people: how the clock reads and runs, then a table of the changes.
func (v clockView) text(color bool) string {
	dim := func(s string) string {
		if !color {
			return s
		}
		return "\x1b[2m" + s + "\x1b[0m"
	}
	reals, serveds := []time.Time{v.Real}, []time.Time{v.Served}
	for _, change := range v.Changes {
		reals, serveds = append(reals, change.Real), append(serveds, change.Served)
	}
	realForm, servedForm := layout(reals), layout(serveds)

	var b strings.Builder
	fmt.Fprintf(&b, "%s   %s\n", dim("clock "), v.Clock)
	fmt.Fprintf(&b, "%s   %s\n", dim("real  "), v.Real.Format(layout(reals[:1])))
	fmt.Fprintf(&b, "%s   %s   %s\n\n", dim("served"), v.Served.Format(layout(serveds[:1])), v.state())
	if len(v.Changes) == 0 {
		if v.within > 0 {
			fmt.Fprintf(&b, "nothing changes within %s\n", distance(v.Real, v.Real.Add(v.within)))
		} else {
			b.WriteString("nothing changes\n")
		}
		return b.String()
	}
	in := len("in")
	for _, change := range v.Changes {
		in = max(in, utf8.RuneCountInString(distance(v.Real, change.Real)))
	}
	row := fmt.Sprintf("%%-%ds  %%-%ds  %%-%ds  %%s", in, len(realForm), len(servedForm))
	b.WriteString(dim(fmt.Sprintf(row, "in", "real time", "served time", "what happens")) + "\n")
	for _, change := range v.Changes {
		fmt.Fprintf(&b, row+"\n", distance(v.Real, change.Real), change.Real.Format(realForm), change.Served.Format(servedForm), change.text)
	}
	switch {
	case v.More && v.within > 0:
		fmt.Fprintf(&b, "… more follow within %s\n", distance(v.Real, v.Real.Add(v.within)))
	case v.More:
		b.WriteString("… more follow: --for TIME shows all within a real time\n")
	}
	return b.String()
}

// state says how served time stands to real time, and how it runs.
func (v clockView) state() string {
	text := "same as real time"
	switch v.Served.Compare(v.Real) {
	case -1:
		text = distance(v.Served, v.Real) + " behind"
	case 1:
		text = distance(v.Real, v.Served) + " ahead"
	}
	if v.segment.Rate != clock.Normal {
		text += ", " + runs(v.segment)
	}
	if announced := announces(v.segment.Leap); announced != "" {
		text += ", " + announced
	}
	return text
}

// announces says what a leap indicator other than that of an ordinary day announces.
func announces(leap clock.Leap) string {
	switch leap {
	case clock.LeapInsert:
		return "leap second announced (LI 1)"
	case clock.LeapDelete:
		return "deleted leap second announced (LI 2)"
	}
	return ""
}

// time1900 is the beginning of RFC 868's era 0 in Unix time.
const time1900 = -2_208_988_800

// describe says in words what a change does to a clock that ran at the rate before.
func describe(change clock.Change, before clock.Rate) string {
	switch change.Kind {
	case clock.TimeRollover:
		return fmt.Sprintf("seconds since 1900 (RFC 868, NTP) roll over to 0: era %d", (change.Served.Unix()-time1900)>>32)
	case clock.UnixRollover:
		return "32-bit Unix time rolls over"
	case clock.LeapAnnounced:
		return announces(change.Segment.Leap)
	case clock.LeapInserted:
		return "leap second inserted: 23:59:59 again"
	case clock.LeapDeleted:
		return "leap second deleted: no 23:59:59, announcement ends"
	case clock.LeapOver:
		return "announcement ends"
	case clock.SmearBegin:
		return "smear begins (rate " + change.Segment.Rate.String() + ")"
	case clock.SmearEnd:
		return "smear ends"
	}
	var parts []string
	switch change.Served.Compare(change.Before) {
	case -1:
		parts = append(parts, "jumps back "+distance(change.Served, change.Before))
	case 1:
		parts = append(parts, "jumps ahead "+distance(change.Before, change.Served))
	}
	if rate := change.Segment.Rate; rate != before {
		parts = append(parts, runs(change.Segment))
	}
	if len(parts) == 0 {
		return "goes on"
	}
	return strings.Join(parts, ", ")
}

// runs says how a segment runs.
func runs(s clock.Segment) string {
	switch {
	case s.Rate == clock.Frozen && s.Served.Equal(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)):
		return "served time stops: the year 9999 is over"
	case s.Rate == clock.Frozen && s.Served.Equal(time.Time{}):
		return "served time waits for the year 1"
	case s.Rate == clock.Frozen:
		return "stands still"
	case s.Rate == clock.Normal:
		return "runs as real time"
	}
	return "runs at " + s.Rate.String()
}

// layout gives the one form of RFC 3339 that shows all of these times, in UTC, without loss.
func layout(times []time.Time) string {
	form := "2006-01-02T15:04:05Z"
	for _, t := range times {
		for _, digits := range []struct {
			fits time.Duration
			form string
		}{
			{time.Second, "2006-01-02T15:04:05Z"}, {time.Millisecond, "2006-01-02T15:04:05.000Z"},
			{time.Microsecond, "2006-01-02T15:04:05.000000Z"}, {time.Nanosecond, "2006-01-02T15:04:05.000000000Z"},
		} {
			if t.Nanosecond()%int(digits.fits) == 0 {
				if len(digits.form) > len(form) {
					form = digits.form
				}
				break
			}
		}
	}
	return form
}

// seconds gives how much later to is than from, exactly.
func seconds(from, to time.Time) json.Number {
	sign := ""
	if to.Before(from) {
		sign, from, to = "-", to, from
	}
	sec, nsec := apart(from, to)
	text := sign + strconv.FormatInt(sec, 10)
	if nsec != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", nsec), "0")
	}
	return json.Number(text)
}

// distance gives how much later to is than from, as exactly as a reader wants it: exact where that is short.
func distance(from, to time.Time) string {
	const day, year = 24 * 3600, 365.2425 * 24 * 3600
	sec, nsec := apart(from, to)
	switch {
	case sec >= 2*year:
		return strconv.FormatFloat(float64(sec)/year, 'f', 1, 64) + " years"
	case sec > 2*day && sec%day == 0:
		return strconv.FormatInt(sec/day, 10) + " days"
	case sec > 2*day && sec%3600 == 0:
		return fmt.Sprintf("%dd%dh", sec/day, sec%day/3600)
	case sec > 2*day:
		return strconv.FormatFloat(float64(sec)/day, 'f', 1, 64) + " days"
	case sec == 0:
		return time.Duration(nsec).String()
	}
	text := (time.Duration(sec)*time.Second + nsec.Round(time.Millisecond)).String() // 24h0m0s
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// apart gives how much later to is than from, which may be more than a time.Duration holds.
func apart(from, to time.Time) (sec int64, nsec time.Duration) {
	sec, nsec = to.Unix()-from.Unix(), time.Duration(to.Nanosecond()-from.Nanosecond())
	if nsec < 0 {
		sec, nsec = sec-1, nsec+time.Second
	}
	return sec, nsec
}
