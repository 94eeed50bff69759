package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/lab"
)

// counters prints what became of the requests so far, a line for each endpoint, and one for the first requests if there
// were any.
func (r *reporter) counters(srv *yesterday.Server) {
	counts := srv.Counts()
	for i, e := range srv.Endpoints() {
		what := fmt.Sprintf("%v/%v", e.Kind, e.Transport)
		if r.log != nil {
			r.log.Info("counters", append([]any{"service", e.Kind.String(), "transport", e.Transport.String(), "addr", e.Addr.String()}, attributes(counts[i])...)...)
			continue
		}
		fmt.Fprintf(r.out, "%-11s  %v  %s\n", what, e.Addr, sentence(counts[i]))
	}
	firsts := srv.Lab.Counts()
	switch {
	case firsts == (lab.Counts{}):
	case r.log != nil:
		r.log.Info("first requests", "remembered", firsts.Remembered, "forgotten", firsts.Forgotten)
	default:
		fmt.Fprintln(r.out, memory(firsts))
	}
}

// stopped prints the counts of all endpoints together.
func (r *reporter) stopped(srv *yesterday.Server) {
	r.mu.Lock()
	r.tellSkipped()
	r.mu.Unlock()
	var total exchange.Counts
	for _, c := range srv.Counts() {
		total.Add(c)
	}
	total.Untold += r.out.lost.Load() + r.err.lost.Load()
	firsts := srv.Lab.Counts()
	if r.log != nil {
		r.log.Info("stopped", append(attributes(total), "remembered", firsts.Remembered, "forgotten", firsts.Forgotten)...)
		return
	}
	more := ""
	if firsts != (lab.Counts{}) {
		more = ", " + memory(firsts)
	}
	fmt.Fprintf(r.out, "stopped: %s%s\n", sentence(total), more)
}

// memory is as "1,234 first requests remembered, 56 forgotten (--remember)".
func memory(c lab.Counts) string {
	s := count(c.Remembered, "first request") + " remembered"
	if c.Forgotten > 0 {
		s += ", " + thousands(c.Forgotten) + " forgotten (--remember)"
	}
	return s
}

func attributes(c exchange.Counts) []any {
	causes := []any{}
	for cause, n := range c.Causes() {
		causes = append(causes, slog.Uint64(cause, n))
	}
	notes := []any{}
	for note, n := range c.Noted() {
		notes = append(notes, slog.Uint64(note.String(), n))
	}
	return []any{"answered", c.Answered(), "dropped", c.Dropped(), slog.Group("causes", causes...), slog.Group("notes", notes...), "errors", c.Errors, "untold", c.Untold, "uncopied", c.Uncopied}
}

// sentence is as "1,234 answered, 56 dropped (50 not allowed, 6 loop)".
func sentence(c exchange.Counts) string {
	var causes []string
	for cause, n := range c.Causes() {
		causes = append(causes, thousands(n)+" "+cause)
	}
	dropped := thousands(c.Dropped()) + " dropped"
	if len(causes) > 0 {
		dropped += " (" + strings.Join(causes, ", ") + ")"
	}
	parts := []string{thousands(c.Answered()) + " answered", dropped}
	for note, n := range c.Noted() {
		parts = append(parts, thousands(n)+" "+note.String())
	}
	if c.Errors > 0 {
		parts = append(parts, thousands(c.Errors)+" failed receives")
	}
	if c.Untold > 0 {
		parts = append(parts, thousands(c.Untold)+" not shown")
	}
	if c.Uncopied > 0 {
		parts = append(parts, thousands(c.Uncopied)+" without room for their duplicates")
	}
	return strings.Join(parts, ", ")
}

// thousands is n with a comma between its groups of three digits.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is as "1 rule" or "1,234 rules".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(uint64(n)) + " " + what + "s"
}
