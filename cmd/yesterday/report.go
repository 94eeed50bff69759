package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/internal/config"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/rfc867"
)

const (
	// maxLines is how many request lines a second are printed; the rest is counted in one more.
	maxLines = 20

	// refusalEvery is how often a cause of refusals is told of.
	refusalEvery = time.Minute
)

// A reporter tells a person, or a program that reads JSON, what serve does: what was bound, a line for each request,
// who was refused, and the counts.
type reporter struct {
	out, err *printer
	log      *slog.Logger // nil: text
	warn     *slog.Logger
	quiet    bool
	tty      bool
	color    bool

	mu      sync.Mutex
	width   int       // of the widest address so far, for a terminal's columns
	second  time.Time // when the second began that printed counts
	printed int
	skipped uint64 // in this second
	flush   *time.Timer
	refused [exchange.NumVerdicts]refusal
}

// A refusal is when a cause was last told of, and how many there were since.
type refusal struct {
	told  time.Time
	since uint64
}

func newReporter(out, err *printer, e *env, asJSON, quiet bool) *reporter {
	r := &reporter{out: out, err: err, quiet: quiet, tty: e.tty, color: e.color}
	if asJSON {
		r.log = slog.New(slog.NewJSONHandler(out, nil))
		r.warn = slog.New(slog.NewJSONHandler(err, nil))
	}
	return r
}

// listening tells what was bound, a line for each service and address, and what is served to whom.
func (r *reporter) listening(srv *yesterday.Server, plan *config.Plan, file string) {
	endpoints := srv.Endpoints()
	for len(endpoints) > 0 {
		first := endpoints[0]
		n := slices.IndexFunc(endpoints, func(e yesterday.Endpoint) bool { return e.Kind != first.Kind || e.Addr != first.Addr })
		if n < 0 {
			n = len(endpoints)
		}
		var transports yesterday.Transports
		for _, e := range endpoints[:n] {
			transports |= e.Transport
		}
		if r.log != nil {
			r.log.Info("listening", "service", first.Kind.String(), "transport", transports.String(), "addr", first.Addr.String())
		} else {
			fmt.Fprintf(r.out, "%-7s  %-7s  %v\n", first.Kind, transports, first.Addr)
		}
		endpoints = endpoints[n:]
	}
	ntp := slices.ContainsFunc(srv.Endpoints(), func(e yesterday.Endpoint) bool { return e.Kind == service.NTP })
	allow, text := plan.Settings.Allow.String(), defaultClock(srv)
	if r.log != nil {
		r.log.Info("serving", "clock", text, "allow", allow, "synchronised", srv.Synchronised(),
			"faults", faultTexts(plan.Lab.Faults), "config", file, "clocks", len(plan.Lab.Clocks), "rules", len(plan.Lab.Rules))
		return
	}
	if ntp && !srv.Synchronised() {
		fmt.Fprintln(r.out, "this host's clock is not synchronised: ntp announces a dispersion of 1 ms, as clients refuse more")
	}
	if len(plan.Lab.Rules) > 0 {
		fmt.Fprintf(r.out, "rules of %s: %s\n", file, inventory(plan))
	}
	fmt.Fprintf(r.out, "serving the clock %q to %s%s\n", text, audience(allow), failing(plan.Lab.Faults))
}

// defaultClock is the text of the clock for whoever no rule is for.
func defaultClock(srv *yesterday.Server) string {
	c, ok := srv.Lab.Clock("")
	if !ok {
		return ""
	}
	return c.String()
}

// failing says in words which faults everybody meets.
func failing(faults []fault.Fault) string {
	if len(faults) == 0 {
		return ""
	}
	return ", with faults: " + strings.Join(faultTexts(faults), ", ")
}

func faultTexts(faults []fault.Fault) []string {
	texts := []string{} // an empty list in JSON, not null
	for _, f := range faults {
		texts = append(texts, f.String())
	}
	return texts
}

// reloaded tells what of the file is in force now, and which settings it changed in vain.
func (r *reporter) reloaded(srv *yesterday.Server, plan *config.Plan, file string, vain []string) {
	text := defaultClock(srv)
	if r.log != nil {
		r.log.Info("reloaded", "config", file, "clock", text, "faults", faultTexts(plan.Lab.Faults),
			"clocks", len(plan.Lab.Clocks), "rules", len(plan.Lab.Rules), "restart", append([]string{}, vain...)) // a list in JSON, not null
		return
	}
	fmt.Fprintf(r.out, "reloaded %s: %s, the clock %q%s\n", file, inventory(plan), text, failing(plan.Lab.Faults))
	if len(vain) > 0 {
		fmt.Fprintf(r.err, "yesterday: %s changed %s, which takes a restart\n", file, strings.Join(vain, ", "))
	}
}

// notReloaded tells why the clocks and rules are those of before.
func (r *reporter) notReloaded(err error) {
	if r.warn != nil {
		r.warn.Warn("not reloaded", "error", err.Error())
		return
	}
	fmt.Fprintf(r.err, "yesterday: not reloaded, the clocks and rules stay as they were: %v\n", err)
}

// audience says in words who is answered.
func audience(allow string) string {
	switch allow {
	case "private":
		return "private addresses (--allow)"
	case "any":
		return "everybody"
	case "none":
		return "nobody (--allow none)"
	}
	return allow
}

// watch is told of the exchanges.
func (r *reporter) watch(batch []exchange.Record, lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for i := range batch {
		d := &batch[i]
		switch {
		case d.Verdict != exchange.Answer && d.Verdict != exchange.Fault:
			r.refuse(d, now)
		case r.quiet:
		case r.room(now):
			r.request(d)
		default:
			r.skip(1, now)
		}
	}
	if !r.quiet && lost > 0 {
		r.skip(lost, now)
	}
}

// room tells whether one more line may be printed in this second, and counts it.
func (r *reporter) room(now time.Time) bool {
	r.begin(now)
	if r.printed == maxLines {
		return false
	}
	r.printed++
	return true
}

// begin begins a new second if the last is over.
func (r *reporter) begin(now time.Time) {
	if now.Sub(r.second) >= time.Second {
		r.tellSkipped()
		r.second, r.printed = now, 0
	}
}

// skip counts n requests without a line.
func (r *reporter) skip(n uint64, now time.Time) {
	r.begin(now)
	r.skipped += n
	if r.flush != nil {
		return
	}
	// The count is due at the second's end, whether or not another request comes.
	r.flush = time.AfterFunc(r.second.Add(time.Second).Sub(now), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tellSkipped()
	})
}

// tellSkipped prints how many requests had no line of their own.
func (r *reporter) tellSkipped() {
	if r.flush != nil {
		r.flush.Stop()
		r.flush = nil
	}
	if r.skipped == 0 {
		return
	}
	if r.log != nil {
		r.log.Info("more answered", "count", r.skipped)
	} else {
		fmt.Fprintf(r.out, "… and %s more in that second\n", thousands(r.skipped))
	}
	r.skipped = 0
}

// request prints the line of one request that was answered, or was not on purpose.
func (r *reporter) request(d *exchange.Record) {
	if r.log != nil {
		attrs := []any{
			"received", d.Received, "from", d.From.String(), "to", d.To.String(), "service", d.Service, "transport", d.Transport,
			"asked", d.Asked, "answered", d.Answered,
		}
		if !d.Told.IsZero() {
			attrs = append(attrs, "told", d.Told)
		}
		if name := clockName(d); name != "" {
			attrs = append(attrs, "clock", name)
		}
		if d.Notes != 0 {
			attrs = append(attrs, "notes", strings.Split(d.Notes.String(), ", "))
		}
		r.log.Info(d.Verdict.String(), attrs...)
		return
	}
	told := fmt.Sprintf("%d bytes", d.Answered)
	switch {
	case d.Verdict == exchange.Fault:
		told = "nothing"
	case !d.Told.IsZero():
		told = string(rfc867.AppendCtime(nil, d.Told.Local()))
	case d.Answered == 1:
		told = "1 byte"
	}
	at, from, what := d.Received.Local().Format("15:04:05.000"), d.From.String(), d.Service+"/"+d.Transport
	if r.tty {
		r.width = max(r.width, len(from))
		from, what = fmt.Sprintf("%-*s", r.width, from), fmt.Sprintf("%-11s", what)
	}
	if r.color {
		at, told = "\x1b[2m"+at+"\x1b[0m", "\x1b[1m"+told+"\x1b[0m"
	}
	aside := strings.Join(slices.DeleteFunc([]string{clockName(d), d.Notes.String()}, func(s string) bool { return s == "" }), ", ")
	if aside != "" {
		aside = " (" + aside + ")"
	}
	fmt.Fprintf(r.out, "%s %s %s ← %s%s\n", at, from, what, told, aside)
}

// clockName returns the name of the clock that a rule gave, if it has one.
func clockName(d *exchange.Record) string {
	if c, ok := d.Clock.(*lab.Clock); ok {
		return c.Name
	}
	return ""
}

// refuse tells of a request that was not answered, at most once a minute for each cause.
func (r *reporter) refuse(d *exchange.Record, now time.Time) {
	f := &r.refused[d.Verdict]
	f.since++
	if !f.told.IsZero() && now.Sub(f.told) < refusalEvery {
		return
	}
	what := d.Service + "/" + d.Transport
	if r.warn != nil {
		r.warn.Warn("not answered", "cause", d.Verdict.String(), "from", d.From.String(), "service", d.Service,
			"transport", d.Transport, "count", f.since)
	} else {
		more := ""
		if f.since > 1 {
			more = fmt.Sprintf(" (with %s more since the last such line)", thousands(f.since-1))
		}
		fmt.Fprintf(r.err, "yesterday: %s: %v asked %s and got no answer%s%s\n", d.Verdict, d.From, what, more, advice[d.Verdict])
	}
	f.told, f.since = now, 0
}

// advice is what to do about a cause, where there is something.
var advice = map[exchange.Verdict]string{
	exchange.NotAllowed: "; --allow says who does",
	exchange.Limit:      "; --limit says how many a second do",
	exchange.Loop:       "; an answer to that port could come back for ever",
}
