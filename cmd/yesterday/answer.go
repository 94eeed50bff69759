package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/rfc867"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// A shower shows an answer.
type shower struct {
	e   *env
	utc bool
}

// text prints the answer in a line: at a terminal with what there is to know about it, else alone.
func (s shower) text(a ask.Answer) error {
	said := s.said(a)
	if !s.e.tty {
		_, err := fmt.Fprintln(s.e.stdout, said)
		return err
	}
	var about []string
	switch {
	case a.Service == service.Echo:
		about = append(about, "as sent")
	case !a.Served.IsZero():
		about = append(about, howFar(a.Served, a.Offset))
	}
	about = append(about, roundTrip(a.RoundTrip), fmt.Sprintf("%v/%v %v", a.Service, a.Transport, a.Server))
	if a.Attempts > 1 {
		about = append(about, fmt.Sprintf("%d asked", a.Attempts))
	}
	more := strings.Join(about, "   ")
	if s.e.color {
		said, more = "\x1b[1m"+said+"\x1b[0m", "\x1b[2m"+more+"\x1b[0m"
	}
	_, err := fmt.Fprintf(s.e.stdout, "%s   %s\n", said, more)
	return err
}

// said is what the server said: the time in ctime form, the daytime line, or the echo.
func (s shower) said(a ask.Answer) string {
	switch a.Service {
	case service.Time:
		served := a.Served.Local()
		if s.utc {
			served = a.Served
		}
		return string(rfc867.AppendCtime(nil, served))
	case service.Daytime:
		return harmless(strings.Trim(string(a.Raw), "\r\n"))
	}
	if !s.e.tty {
		return string(a.Raw) // to a program: the bytes that it sent
	}
	if len(a.Raw) == 0 {
		return "(empty)"
	}
	return harmless(string(a.Raw))
}

// json prints the answer as an object.
func (s shower) json(a ask.Answer) error {
	v := struct {
		Service   string    `json:"service"`
		Transport string    `json:"transport"`
		Server    string    `json:"server"`
		Attempts  int       `json:"attempts"`
		Sent      time.Time `json:"sent"`
		Received  time.Time `json:"received"`
		RoundTrip float64   `json:"round_trip_us"`
		Served    string    `json:"served,omitempty"`
		Offset    *int64    `json:"offset_seconds,omitempty"`
		Era       *int      `json:"era,omitempty"`
		Line      *string   `json:"line,omitempty"`
		Raw       string    `json:"raw"`
	}{
		Service:   a.Service.String(),
		Transport: a.Transport.String(),
		Server:    a.Server.String(),
		Attempts:  a.Attempts,
		Sent:      a.Sent.UTC(),
		Received:  a.Received.UTC(),
		RoundTrip: float64(a.RoundTrip) / float64(time.Microsecond),
		Raw:       hex.EncodeToString(a.Raw),
	}
	if !a.Served.IsZero() {
		v.Served = a.Served.UTC().Format(time.RFC3339)
		v.Offset = &a.Offset
	}
	switch a.Service {
	case service.Time:
		era := rfc868.Era(a.Served)
		v.Era = &era
	case service.Daytime:
		line := strings.Trim(string(a.Raw), "\r\n")
		v.Line = &line
	}
	enc := json.NewEncoder(s.e.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// harmless shows text from the network so that it does nothing to a terminal: what is not printable is escaped as in
// Go, "\x1b".
func harmless(text string) string {
	var b strings.Builder
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// howFar says how far served is from real time, which is offset seconds before it: "24h behind", "3d2h ahead",
// "in time". It has at most three units, and cuts off what is finer. Years are the calendar's.
func howFar(served time.Time, offset int64) string {
	if offset == 0 {
		return "in time"
	}
	served = served.UTC()
	real := time.Unix(served.Unix()-offset, 0).UTC()
	from, to, word := served, real, "behind"
	if offset > 0 {
		from, to, word = real, served, "ahead"
	}
	const day = 24 * 3600
	left := to.Unix() - from.Unix()
	units := []unit{{3600, "h"}, {60, "m"}, {1, "s"}}
	var parts strings.Builder
	if left >= 2*day {
		years := to.Year() - from.Year()
		if from.AddDate(years, 0, 0).After(to) {
			years--
		}
		units = []unit{{day, "d"}, {3600, "h"}, {60, "m"}}
		if years > 0 {
			fmt.Fprintf(&parts, "%dy", years)
			left = to.Unix() - from.AddDate(years, 0, 0).Unix()
			units = []unit{{day, "d"}, {3600, "h"}}
		}
	}
	for _, u := range units {
		if n := left / u.seconds; n > 0 {
			fmt.Fprintf(&parts, "%d%s", n, u.name)
			left -= n * u.seconds
		}
	}
	return parts.String() + " " + word
}

// A unit of time.
type unit struct {
	seconds int64
	name    string
}

// roundTrip shows a round trip with about three digits.
func roundTrip(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		d = d.Round(time.Microsecond)
	case d < 100*time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	case d < time.Second:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(10 * time.Millisecond)
	}
	return d.String()
}
