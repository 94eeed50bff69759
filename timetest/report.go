package timetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/lab"
)

// maxLines is how many exchanges a failed test prints.
const maxLines = 100

// microseconds is RFC 3339 in UTC, to the microsecond.
const microseconds = "2006-01-02T15:04:05.000000Z"

// report says what the server was asked and told, for a person who looks for why a test failed.
func (s *Server) report() string {
	told := s.Exchanges()
	since := s.started.UTC().Format(microseconds)
	if len(told) == 0 {
		return "timetest: nobody asked the server, which started at " + since
	}
	var b strings.Builder
	last := told[max(0, len(told)-maxLines):]
	switch {
	case len(told) == 1:
		b.WriteString("timetest: the one exchange")
	case len(last) < len(told):
		fmt.Fprintf(&b, "timetest: the last %d of %d exchanges", len(last), len(told))
	default:
		fmt.Fprintf(&b, "timetest: all %d exchanges", len(told))
	}
	fmt.Fprintf(&b, " with the server that started at %s: real time, who asked what, and what came of it", since)
	for i := range last {
		b.WriteString("\n" + s.line(&last[i]))
	}
	return b.String()
}

// line tells of one exchange.
func (s *Server) line(d *exchange.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (+%v) %v %s/%s: ", d.Received.UTC().Format(microseconds), d.Received.Sub(s.started.Round(0)).Round(time.Microsecond),
		d.From, d.Service, d.Transport)
	switch {
	case d.Verdict == exchange.Answer && !d.Told.IsZero():
		fmt.Fprintf(&b, "%v %s", d.Verdict, d.Told.UTC().Format(microseconds))
	case d.Verdict == exchange.Answer && d.Answered == 0 && d.Transport == "tcp": // an echo, whose bytes come later
		fmt.Fprintf(&b, "%v", d.Verdict)
	case d.Verdict == exchange.Answer:
		fmt.Fprintf(&b, "%v with %d bytes", d.Verdict, d.Answered)
	default:
		fmt.Fprintf(&b, "not answered: %v", d.Verdict)
	}
	if d.Notes != 0 {
		fmt.Fprintf(&b, " (%v)", d.Notes)
	}
	if c, ok := d.Clock.(*lab.Clock); ok {
		b.WriteString(" on ")
		if c.Name != "" {
			b.WriteString(c.Name + ", ")
		}
		fmt.Fprintf(&b, "%q", c)
	}
	return b.String()
}
