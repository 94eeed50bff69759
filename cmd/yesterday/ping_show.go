package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/internal/probe"
	"github.com/yesterday-time/yesterday/service"
)

// A pingShower prints what ping measures.
type pingShower struct {
	e       *env
	kind    service.Kind
	name    string // as given
	size    int
	timeout time.Duration
	quiet   bool
	asJSON  bool
	stop    func() // ends the measuring
	failed  error  // writing did
}

func (s *pingShower) printf(format string, args ...any) {
	_, err := fmt.Fprintf(s.e.stdout, format, args...)
	s.check(err)
}

func (s *pingShower) encode(v any) { s.check(json.NewEncoder(s.e.stdout).Encode(v)) }

// check ends the measuring where writing failed: nobody would see what is measured.
func (s *pingShower) check(err error) {
	if err != nil && s.failed == nil {
		s.failed = err
		s.stop()
	}
}

func (s *pingShower) event(ev probe.Event) {
	switch {
	case s.asJSON && !s.quiet && ev.Kind != probe.Began:
		s.eventJSON(ev)
	case s.asJSON:
	case ev.Kind == probe.Began:
		s.printf("PING %s: %v, %s\n", s.who(ev.Server), s.kind, plural(s.size, "byte"))
	case !s.quiet:
		s.printf("%s\n", s.line(ev))
	}
}

// who is the server, by its name too if it was asked for by one.
func (s *pingShower) who(server netip.AddrPort) string {
	target, err := ask.ParseTarget(s.name)
	if err != nil {
		return server.String()
	}
	if _, err := netip.ParseAddr(target.Host); err == nil {
		return server.String()
	}
	return fmt.Sprintf("%s (%v)", target.Host, server)
}

// line is what a person reads of an event.
func (s *pingShower) line(ev probe.Event) string {
	switch ev.Kind {
	case probe.Kissed:
		return fmt.Sprintf("%s from %v: seq=%d kiss code %s: %s", plural(len(ev.Reply), "byte"), ev.Server, ev.Seq, ev.Code, ask.KissMeaning(ev.Code))
	case probe.Lost:
		return fmt.Sprintf("no reply: seq=%d within %v", ev.Seq, s.timeout)
	case probe.Refused:
		return fmt.Sprintf("%v:%s refused: nothing listens there", ev.Server, numbered(ev.Seq))
	case probe.Failed:
		if ev.Seq > 0 {
			return fmt.Sprintf("%v: seq=%d not sent: %v", ev.Server, ev.Seq, ev.Err)
		}
		return fmt.Sprintf("%v: %v", ev.Server, ev.Err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s from %v:%s", plural(len(ev.Reply), "byte"), ev.Server, numbered(ev.Seq))
	if ev.Kind == probe.Corrupted {
		b.WriteString(" corrupted: not what was sent")
		if s.kind != service.Echo {
			fmt.Fprintf(&b, ", nor a reply of %v", s.kind)
		}
		return b.String()
	}
	fmt.Fprintf(&b, " time=%s ms", milliseconds(ev.RoundTrip))
	if ev.Timed {
		fmt.Fprintf(&b, " offset=%s s", offsetOf(ev.Offset).Format(6))
	}
	switch ev.Kind {
	case probe.Late:
		b.WriteString(" (late)")
	case probe.Doubled:
		b.WriteString(" (duplicate)")
	}
	return b.String()
}

// numbered is which request an event is of, if that is known.
func numbered(seq uint64) string {
	if seq == 0 {
		return ""
	}
	return fmt.Sprintf(" seq=%d", seq)
}

// summary prints what ping has measured.
func (s *pingShower) summary(sum probe.Summary) {
	if s.asJSON {
		s.encode(s.summaryJSON(sum))
		return
	}
	s.printf("\n--- %s %v ping statistics ---\n", s.who(sum.Server), s.kind)
	parts := []string{
		fmt.Sprintf("%d sent", sum.Sent), fmt.Sprintf("%d received", sum.Received),
		fmt.Sprintf("%d lost (%s%%)", sum.Lost, percent(sum.Lost, sum.Sent)),
	}
	for _, n := range []struct {
		count  uint64
		what   string
		always bool
	}{
		{sum.Late, "late", false}, {sum.Pending, "pending", false}, {sum.Kissed, "kissed", false}, {sum.Duplicated, "duplicated", true},
		{sum.Reordered, "reordered", true}, {sum.Corrupted, "corrupted", true}, {sum.Refused, "refused", false}, {sum.Unsent, "not sent", false},
	} {
		if n.always || n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	s.printf("%s\n", strings.Join(parts, ", "))
	if sum.Overflow > 0 {
		s.printf("NOTE %s came but found this program's buffer full: lost on this machine, not on the way\n", plural(int(sum.Overflow), "datagram"))
	}
	if t := sum.RoundTrip; t.Count > 0 {
		s.printf("round trip min/median/p99/max = %s/%s/%s/%s ms, jitter %s ms, stamped by %s\n", milliseconds(t.Min),
			milliseconds(t.Median), milliseconds(t.P99), milliseconds(t.Max), milliseconds(sum.Jitter), stampedBy(sum))
	}
	if o := sum.Offset; o.Count > 0 {
		s.printf("offset %s s (of the shortest round trip), min/median/mean/max = %s/%s/%s/%s s, deviation %s ms\n", offsetOf(o.Best).Format(6),
			offsetOf(o.Min).Format(6), offsetOf(o.Median).Format(6), offsetOf(o.Mean).Format(6), offsetOf(o.Max).Format(6), milliseconds(o.Deviation))
	}
}

// stampedBy tells whose the times are.
func stampedBy(sum probe.Summary) string {
	switch {
	case sum.Kernel == sum.RoundTrip.Count:
		return "the kernel"
	case sum.Kernel == 0:
		return "this program"
	}
	return fmt.Sprintf("the kernel (%d by this program)", sum.RoundTrip.Count-sum.Kernel)
}

// A pingEvent and a pingSummary are JSON's.
type (
	pingEvent struct {
		Event     string      `json:"event"`
		Seq       uint64      `json:"seq,omitempty"`
		At        time.Time   `json:"at"`
		Server    string      `json:"server"`
		Bytes     *int        `json:"bytes,omitempty"`
		RoundTrip *float64    `json:"round_trip_us,omitempty"`
		Stamps    string      `json:"stamps,omitempty"`
		Offset    json.Number `json:"offset_seconds,omitempty"`
		Code      string      `json:"code,omitempty"`
		Error     string      `json:"error,omitempty"`
	}
	pingSummary struct {
		Event      string  `json:"event"`
		Service    string  `json:"service"`
		Server     string  `json:"server"`
		Sent       uint64  `json:"sent"`
		Received   uint64  `json:"received"`
		Late       uint64  `json:"late"`
		Lost       uint64  `json:"lost"`
		Pending    uint64  `json:"pending"`
		Kissed     uint64  `json:"kissed"`
		Duplicated uint64  `json:"duplicated"`
		Reordered  uint64  `json:"reordered"`
		Corrupted  uint64  `json:"corrupted"`
		Refused    uint64  `json:"refused"`
		Unsent     uint64  `json:"unsent"`
		Overflow   uint64  `json:"overflow"`
		LostRatio  float64 `json:"lost_ratio"`
		latencyJSON
		Jitter  float64     `json:"jitter_us"`
		Kernel  uint64      `json:"kernel_stamped"`
		Seconds float64     `json:"seconds"`
		Offset  *offsetJSON `json:"offset,omitempty"`
	}
	latencyJSON struct {
		Min    float64 `json:"min_us"`
		Median float64 `json:"median_us"`
		P90    float64 `json:"p90_us"`
		P99    float64 `json:"p99_us"`
		P999   float64 `json:"p999_us"`
		Max    float64 `json:"max_us"`
		Mean   float64 `json:"mean_us"`
	}
	offsetJSON struct {
		Best      json.Number `json:"best_seconds"`
		Min       json.Number `json:"min_seconds"`
		Median    json.Number `json:"median_seconds"`
		Mean      json.Number `json:"mean_seconds"`
		Max       json.Number `json:"max_seconds"`
		Deviation json.Number `json:"deviation_seconds"`
	}
)

var pingEvents = map[probe.EventKind]string{
	probe.Answered: "answered", probe.Late: "late", probe.Doubled: "doubled", probe.Corrupted: "corrupted", probe.Kissed: "kiss", probe.Lost: "lost",
	probe.Refused: "refused", probe.Failed: "failed",
}

func (s *pingShower) eventJSON(ev probe.Event) {
	v := pingEvent{Event: pingEvents[ev.Kind], Seq: ev.Seq, At: ev.At.UTC(), Server: ev.Server.String(), Code: ev.Code}
	switch ev.Kind {
	case probe.Answered, probe.Late, probe.Doubled:
		us := microseconds(ev.RoundTrip)
		v.RoundTrip = &us
		v.Stamps = "program"
		if ev.Kernel {
			v.Stamps = "kernel"
		}
		if ev.Timed {
			v.Offset = number(offsetOf(ev.Offset))
		}
		fallthrough
	case probe.Corrupted, probe.Kissed:
		n := len(ev.Reply)
		v.Bytes = &n
	case probe.Refused, probe.Failed:
		v.Error = ev.Err.Error()
	}
	s.encode(v)
}

func (s *pingShower) summaryJSON(sum probe.Summary) pingSummary {
	v := pingSummary{
		Event: "summary", Service: s.kind.String(), Server: sum.Server.String(), Sent: sum.Sent, Received: sum.Received, Late: sum.Late,
		Lost: sum.Lost, Pending: sum.Pending, Kissed: sum.Kissed, Duplicated: sum.Duplicated, Reordered: sum.Reordered, Corrupted: sum.Corrupted,
		Refused: sum.Refused, Unsent: sum.Unsent, Overflow: sum.Overflow, LostRatio: ratio(sum.Lost, sum.Sent), latencyJSON: latencies(sum.RoundTrip),
		Jitter: microseconds(sum.Jitter), Kernel: sum.Kernel, Seconds: sum.Took.Seconds(),
	}
	if o := sum.Offset; o.Count > 0 {
		v.Offset = &offsetJSON{
			number(offsetOf(o.Best)), number(offsetOf(o.Min)), number(offsetOf(o.Median)), number(offsetOf(o.Mean)), number(offsetOf(o.Max)),
			number(offsetOf(o.Deviation)),
		}
	}
	return v
}

func latencies(s probe.Spread) latencyJSON {
	return latencyJSON{
		microseconds(s.Min), microseconds(s.Median), microseconds(s.P90), microseconds(s.P99), microseconds(s.P99point9),
		microseconds(s.Max), microseconds(s.Mean),
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3f", float64(d)/float64(time.Millisecond))
}

// offsetOf is d as an offset.
func offsetOf(d time.Duration) ask.Offset {
	seconds, rest := d/time.Second, d%time.Second
	if rest < 0 {
		seconds, rest = seconds-1, rest+time.Second
	}
	return ask.Offset{Seconds: int64(seconds), Nanoseconds: int64(rest)}
}

func ratio(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// percent is how many of a hundred: "0", "0.1", "33.3", "100".
func percent(n, of uint64) string {
	text := fmt.Sprintf("%.3g", 100*ratio(n, of))
	if n > 0 && n < of && text == "100" {
		return "99.9"
	}
	return text
}
