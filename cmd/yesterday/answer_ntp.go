package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc867"
)

// An ntpShower shows what an NTP server answered.
type ntpShower struct {
	shower
	wanted int // samples
}

// terminal prints a line as for the other services, and below it what else there is to know.
func (s ntpShower) terminal(a ask.NTPAnswer) error {
	said, about := "no time", []string(nil)
	if a.Timed {
		served := a.Served.Local()
		if s.utc {
			served = a.Served
		}
		said = string(rfc867.AppendCtime(nil, served))
		about = append(about, howFar(a.Served, a.Offset.Round()))
	}
	about = append(about, roundTrip(a.Delay), fmt.Sprintf("ntp/udp %v", a.Server))
	if a.Attempts > 1 {
		about = append(about, fmt.Sprintf("%d asked", a.Attempts))
	}
	more := strings.Join(about, "   ")
	if s.e.color {
		said, more = "\x1b[1m"+said+"\x1b[0m", "\x1b[2m"+more+"\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %s\n", said, more)
	line := func(name, format string, args ...any) {
		name = fmt.Sprintf("%-9s", name)
		if s.e.color {
			name = "\x1b[2m" + name + "\x1b[0m"
		}
		fmt.Fprintf(&b, "  %s   %s\n", name, fmt.Sprintf(format, args...))
	}
	if a.Timed {
		line("offset", "%ss", a.Offset.Format(6))
	}
	if s.wanted > 1 {
		line("samples", "%s", s.samples(a))
	}
	if len(a.Raw) >= ntp.HeaderSize {
		s.header(a.Sample, line)
	}
	name := "verdict"
	for _, text := range verdictLines(a) {
		line(name, "%s", text)
		name = ""
	}
	_, err := fmt.Fprint(s.e.stdout, b.String())
	return err
}

// header tells of what the header says and of what follows from it.
func (s ntpShower) header(a ask.Sample, line func(name, format string, args ...any)) {
	h := a.Header
	line("stratum", "%d, %s", h.Stratum, h.ReferenceID.Format(h.Stratum))
	line("leap", "%v", h.Leap)
	line("root", "distance %s, delay %s, dispersion %s", roundTrip(a.RootDistance), roundTrip(h.RootDelay.Duration()),
		roundTrip(h.RootDispersion.Duration()))
	switch {
	case h.Reference == 0:
		line("reference", "never set")
	case a.ReferenceAge < 0:
		line("reference", "set %s later", roundTrip(-a.ReferenceAge))
	case a.Timed:
		line("reference", "set %s before", roundTrip(a.ReferenceAge))
	}
	line("header", "precision %s, poll %s, version %d, %v", exp2(h.Precision), exp2(h.Poll), h.Version, h.Mode)
	if a.Fields > 0 || a.MAC > 0 {
		line("behind", "%s, %s of MAC, not looked at", plural(a.Fields, "extension field"), plural(a.MAC, "byte"))
	}
}

// samples tells how many there are and how far their offsets are apart.
func (s ntpShower) samples(a ask.NTPAnswer) string {
	text := fmt.Sprintf("%d of %d", len(a.Samples), s.wanted)
	var offsets []ask.Offset
	for _, sample := range a.Samples {
		if sample.Timed {
			offsets = append(offsets, sample.Offset)
		}
	}
	if len(offsets) > 1 {
		text += fmt.Sprintf(", offsets from %ss to %ss", slices.MinFunc(offsets, ask.Offset.Compare).Format(6),
			slices.MaxFunc(offsets, ask.Offset.Compare).Format(6))
	}
	if a.Ended != nil {
		text += "; then " + strings.TrimPrefix(a.Ended.Error(), "ask: ")
	}
	return text
}

// verdictLines are "good", or each check that failed, once, with how many samples failed on it.
func verdictLines(a ask.NTPAnswer) []string {
	if a.Good() {
		return []string{"good"}
	}
	failures, count := merged(a)
	var lines []string
	for _, f := range failures {
		if len(a.Samples) > 1 {
			f.Text += fmt.Sprintf(" (%d of %s)", count[f.Check], plural(len(a.Samples), "sample"))
		}
		lines = append(lines, f.Text)
	}
	return lines
}

// A field is a name and a value that programs read.
type field struct {
	name  string
	value any
	plain bool // also into a pipe
}

// fields lists all there is to know of an answer.
func (s ntpShower) fields(a ask.NTPAnswer) []field {
	list := []field{
		{"service", "ntp", false},
		{"transport", "udp", false},
		{"server", a.Server.String(), true},
		{"attempts", a.Attempts, false},
		{"sent", a.Sent.UTC(), false},
		{"received", a.Received.UTC(), false},
		{"round_trip_us", float64(a.RoundTrip) / float64(time.Microsecond), false},
	}
	add := func(name string, value any, plain bool) { list = append(list, field{name, value, plain}) }
	if a.Timed {
		add("served", a.Served.Format(time.RFC3339Nano), true)
		add("offset_seconds", number(a.Offset), true)
		add("era", ntp.Era(a.Served), false)
		if !a.Arrived.IsZero() {
			add("arrived", a.Arrived.Format(time.RFC3339Nano), false)
		}
	}
	add("delay_seconds", decimal(a.Delay), true)
	if h := a.Header; len(a.Raw) >= ntp.HeaderSize {
		add("root_distance_seconds", decimal(a.RootDistance), true)
		if !a.Reference.IsZero() {
			add("reference", a.Reference.Format(time.RFC3339Nano), false)
			add("reference_age_seconds", decimal(a.ReferenceAge), true)
		}
		add("stratum", h.Stratum, true)
		add("reference_id", h.ReferenceID.Format(h.Stratum), true)
		add("leap", h.Leap.String(), true)
		add("version", h.Version, true)
		add("mode", h.Mode.String(), false)
		add("poll", h.Poll, false)
		add("precision", h.Precision, true)
		add("root_delay_seconds", decimal(h.RootDelay.Duration()), false)
		add("root_dispersion_seconds", decimal(h.RootDispersion.Duration()), false)
		add("extension_fields", a.Fields, false)
		add("mac_bytes", a.MAC, false)
	}
	if kiss := a.KissCode(); kiss != "" {
		add("kiss", kiss, true)
	}
	if s.wanted > 1 {
		list = append(list, field{"samples_taken", len(a.Samples), true})
	}
	if a.Ended != nil {
		add("ended", strings.TrimPrefix(a.Ended.Error(), "ask: "), true)
	}
	add("good", a.Good(), true)
	return list
}

// pipe prints a name and a value a line.
func (s ntpShower) pipe(a ask.NTPAnswer) error {
	var b strings.Builder
	for _, f := range s.fields(a) {
		if f.plain {
			fmt.Fprintf(&b, "%s %v\n", f.name, f.value)
		}
	}
	if !a.Good() {
		for _, text := range verdictLines(a) {
			fmt.Fprintf(&b, "failed %s\n", text)
		}
	}
	_, err := fmt.Fprint(s.e.stdout, b.String())
	return err
}

// merged returns each check that some sample failed, once, and how many did.
func merged(a ask.NTPAnswer) ([]ask.Failure, map[ask.Check]int) {
	var failures []ask.Failure
	count := make(map[ask.Check]int)
	for _, s := range a.Samples {
		for _, f := range s.Failed {
			if count[f.Check]++; count[f.Check] == 1 {
				failures = append(failures, f)
			}
		}
	}
	return failures, count
}

// A failure and a sample as JSON has them.
type (
	failureJSON struct {
		Check string `json:"check"`
		Text  string `json:"text"`
	}
	sampleJSON struct {
		Offset json.Number   `json:"offset_seconds,omitempty"`
		Delay  json.Number   `json:"delay_seconds"`
		Failed []failureJSON `json:"failed"`
	}
)

// json prints the answer as an object.
func (s ntpShower) json(a ask.NTPAnswer) error {
	failed := func(list []ask.Failure) []failureJSON {
		all := []failureJSON{}
		for _, f := range list {
			all = append(all, failureJSON{f.Check.String(), f.Text})
		}
		return all
	}
	samples := []sampleJSON{}
	for _, sample := range a.Samples {
		v := sampleJSON{Delay: decimal(sample.Delay), Failed: failed(sample.Failed)}
		if sample.Timed {
			v.Offset = number(sample.Offset)
		}
		samples = append(samples, v)
	}
	failures, _ := merged(a)
	list := append(s.fields(a), field{"failed", failed(failures), false}, field{"samples", samples, false},
		field{"raw", hex.EncodeToString(a.Raw), false})
	var b bytes.Buffer
	for i, f := range list {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0] + strconv.Quote(f.name) + ":")
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(f.value); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the encoder's newline
	}
	b.WriteString("}\n")
	_, err := s.e.stdout.Write(b.Bytes())
	return err
}

// number is an offset in seconds, exact.
func number(o ask.Offset) json.Number { return json.Number(strings.TrimSuffix(o.String(), "s")) }

// decimal is a duration in seconds, exact.
func decimal(d time.Duration) json.Number {
	return json.Number(strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
}

// exp2 shows 2^e seconds: "2^-20 (954ns)".
func exp2(e int8) string {
	text := fmt.Sprintf("2^%d s", e)
	if ns := math.Ldexp(1e9, int(e)); 1 <= ns && ns < 1e18 {
		text = fmt.Sprintf("2^%d (%v)", e, time.Duration(ns))
	}
	return text
}

// plural is "1 byte" or "3 bytes".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
