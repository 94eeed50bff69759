package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/yesterday-time/yesterday/internal/probe"
)

// A benchShower prints what bench measures.
type benchShower struct {
	e      *env
	bench  *probe.Bench
	asJSON bool
	wrote  bool           // a progress line stands at the terminal
	last   probe.Progress // of this run, as far as it was shown
	stop   func()         // ends the measuring
	failed error          // writing did
}

// printf is called by one goroutine at a time.
func (s *benchShower) printf(format string, args ...any) {
	_, err := fmt.Fprintf(s.e.stdout, format, args...)
	s.check(err)
}

// check ends the measuring where writing failed: nobody would see what is measured.
func (s *benchShower) check(err error) {
	if err != nil && s.failed == nil {
		s.failed = err
		s.stop()
	}
}

// begin tells what is about to be done.
func (s *benchShower) begin(search bool) {
	if s.asJSON {
		return
	}
	b := s.bench
	what, long := fmt.Sprintf("%s a second", thousands(uint64(b.Rate))), b.Duration.String()
	switch {
	case search:
		what, long = fmt.Sprintf("looking for the highest rate at which at most %g %% are lost or late,", 100*probe.MaxLost), long+" or longer a run"
	case b.Rate == 0:
		what = fmt.Sprintf("as many as are answered, %s under way,", thousands(uint64(b.Window)))
	}
	from := plural(b.Sockets, "port")
	if n := len(b.Sources); n > 1 {
		from += fmt.Sprintf(" of each of %s addresses", thousands(uint64(n)))
	}
	s.printf("BENCH %v %v: %s for %s, %s, from %s\n", b.Service, b.Server, what, long, plural(b.Size, "byte"), from)
}

// progress is what draws the progress line, nil where nobody would see it.
func (s *benchShower) progress() func(probe.Progress) {
	if s.asJSON || !s.e.tty {
		return nil
	}
	return func(p probe.Progress) {
		seconds := (p.Elapsed - s.last.Elapsed).Seconds()
		s.printf("\r%5.1fs   %s sent   %s answered   %s a second \x1b[K", p.Elapsed.Seconds(), thousands(p.Sent), thousands(p.Answered),
			thousands(uint64(float64(p.Answered-s.last.Answered)/seconds)))
		s.wrote, s.last = true, p
	}
}

// clear takes the progress line away.
func (s *benchShower) clear() {
	if s.wrote {
		s.printf("\r\x1b[K")
		s.wrote = false
	}
}

// trial tells of one run of a search.
func (s *benchShower) trial(t probe.Trial) {
	if s.asJSON {
		return
	}
	s.clear()
	s.last = probe.Progress{} // the next is of another run
	verdict := "good"
	if !t.Good {
		verdict = "too much"
	}
	r := t.Report
	if !t.Good && len(t.Limits) > 0 {
		verdict = "too much for the generator: " + limitNames(t.Limits)
	}
	s.printf("%12s a second   %s %% lost or late   p99 %s   %s\n", thousands(uint64(t.Rate)), percent(r.Lost+r.Late, r.Sent),
		roundTrip(r.Latency.P99), verdict)
}

// end prints the report.
func (s *benchShower) end(r probe.BenchReport, search *probe.SearchReport) {
	s.clear()
	if s.asJSON {
		s.check(json.NewEncoder(s.e.stdout).Encode(s.json(r, search)))
		return
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	switch {
	case search == nil:
	case search.Rate > 0:
		line("found", "%s a second in %s", thousands(uint64(search.Rate)), plural(len(search.Trials), "run"))
	case len(search.Trials) > 0:
		line("found", "none in %s; the first, of %s a second:", plural(len(search.Trials), "run"), thousands(uint64(search.Trials[0].Rate)))
	default:
		line("found", "none; the first run, of %s a second, was cut short:", thousands(uint64(s.bench.Rate)))
	}
	line("sent", "%s, %s a second", thousands(r.Sent), thousands(uint64(r.SendRate)))
	silent := ""
	if r.Answered+r.Late > 0 {
		silent = ", longest silence " + roundTrip(r.Silence)
	}
	line("answered", "%s, %s a second%s", thousands(r.Answered), thousands(uint64(r.ReplyRate)), silent)
	line("lost", "%s (%s %%)", thousands(r.Lost), percent(r.Lost, r.Sent))
	line("late", "%s, doubled %s, wrong %s", thousands(r.Late), thousands(r.Doubled), thousands(r.Wrong))
	for _, n := range []struct {
		name  string
		count uint64
	}{{"pending", r.Pending}, {"refused", r.Refused}, {"unreached", r.Unreachable}, {"not sent", r.Unsent}, {"stray", r.Stray}} {
		switch {
		case n.count == 0:
		case n.name == "not sent" && r.Reason != nil:
			line(n.name, "%s: %v", thousands(n.count), r.Reason)
		default:
			line(n.name, "%s", thousands(n.count))
		}
	}
	if l := r.Latency; l.Count > 0 {
		since := "due"
		if s.bench.Rate == 0 {
			since = "sent"
		}
		line("latency", "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s, from when it was %s", roundTrip(l.Median), roundTrip(l.P90), roundTrip(l.P99),
			roundTrip(l.P99point9), roundTrip(l.Max), since)
	}
	generator := fmt.Sprintf("busy %.0f %%", 100*r.Busy)
	if r.Lag.Count > 0 {
		generator += fmt.Sprintf(", sent p50 %s  p99 %s  max %s after the due time", roundTrip(r.Lag.Median), roundTrip(r.Lag.P99), roundTrip(r.Lag.Max))
	}
	if s.bench.Rate == 0 {
		generator += fmt.Sprintf(", held requests and replies for %.0f %% of their way", 100*r.Held)
	}
	line("generator", "%s", generator)
	switch {
	case s.bench.Process == 0:
	case r.CPU == 0:
		line("server", "how much CPU time it took is not known")
	default:
		line("server", "%s replies a second of its CPU time, of which it took %.0f %% of a core", thousands(uint64(r.PerCPU)),
			100*r.CPU.Seconds()/r.Took.Seconds())
	}
	limits := slices.DeleteFunc(slices.Clone(r.Limits), func(l probe.Limit) bool { return l == probe.LimitShared }) // has a line of its own
	if search != nil {
		limits = search.Limits
	}
	if names := limitNames(limits); names != "" {
		line("NOTE", "the generator was a bottleneck, so these are not quite the figures of the server: %s", names)
	}
	if slices.Contains(r.Limits, probe.LimitShared) {
		line("NOTE", "replies of %v do not say whose they are: some were lost, late or doubled where a port and address had several "+
			"requests under way, so that latencies are shifted and a doubled reply stands in for a lost one; a lost one is under way until its time-out: want --sockets times --sources above the rate times --timeout", s.bench.Service)
	}
	s.printf("%s", b.String())
}

// limitNames tells in what way the generator was the bottleneck, if it was.
func limitNames(limits []probe.Limit) string {
	texts := map[probe.Limit]string{
		probe.LimitBehind: "it sent behind the due times", probe.LimitHeld: "requests and replies waited for it more than for the server",
		probe.LimitOverflow: "replies found its socket full", probe.LimitShared: "it could not tell whose replies were lost",
	}
	var names []string
	for _, l := range limits {
		if text := texts[l]; text != "" {
			names = append(names, text)
		}
	}
	return strings.Join(names, ", ")
}

// A benchJSON is what --json prints; benchCmd.Help tells what each key means.
type benchJSON struct {
	Service        string      `json:"service"`
	Server         string      `json:"server"`
	Loop           string      `json:"loop"`
	Rate           int         `json:"rate"`
	Window         int         `json:"window"`
	Sockets        int         `json:"sockets"`
	Sources        int         `json:"sources"`
	Size           int         `json:"size"`
	Timeout        float64     `json:"timeout_seconds"`
	Sent           uint64      `json:"sent"`
	Answered       uint64      `json:"answered"`
	Late           uint64      `json:"late"`
	Lost           uint64      `json:"lost"`
	Pending        uint64      `json:"pending"`
	Doubled        uint64      `json:"doubled"`
	Wrong          uint64      `json:"wrong"`
	Shared         uint64      `json:"shared"`
	Stray          uint64      `json:"stray"`
	Refused        uint64      `json:"refused"`
	Unreachable    uint64      `json:"unreachable"`
	Unsent         uint64      `json:"unsent"`
	UnsentReason   string      `json:"unsent_reason,omitempty"`
	LostRatio      float64     `json:"lost_ratio"`
	Seconds        float64     `json:"seconds"`
	SendingSeconds float64     `json:"sending_seconds"`
	SentPerSecond  float64     `json:"sent_per_second"`
	AnsweredPer    float64     `json:"answered_per_second"`
	Silence        float64     `json:"silence_seconds"`
	Latency        latencyJSON `json:"latency"`
	SendLag        latencyJSON `json:"send_lag"`
	SentBehind     uint64      `json:"sent_behind"`
	GeneratorBusy  float64     `json:"generator_busy"`
	GeneratorHeld  float64     `json:"generator_held"`
	GeneratorCPU   float64     `json:"generator_cpu_seconds"`
	Overflow       uint64      `json:"generator_overflow"`
	Limits         []string    `json:"limits"`
	ServerCPU      *float64    `json:"server_cpu_seconds,omitempty"`
	AnsweredPerCPU *float64    `json:"answered_per_cpu_second,omitempty"`
	SearchRate     *int        `json:"search_rate,omitempty"`
	SearchLimits   []string    `json:"search_limits,omitzero"`
	Runs           []runJSON   `json:"runs,omitzero"`
}

// A runJSON is one run of a search.
type runJSON struct {
	Rate        int      `json:"rate"`
	Good        bool     `json:"good"`
	Sent        uint64   `json:"sent"`
	LostRatio   float64  `json:"lost_ratio"`
	AnsweredPer float64  `json:"answered_per_second"`
	Limits      []string `json:"limits"`
}

func (s *benchShower) json(r probe.BenchReport, search *probe.SearchReport) benchJSON {
	b := s.bench
	v := benchJSON{
		Service: b.Service.String(), Server: b.Server.String(), Loop: "open", Rate: b.Rate, Sockets: b.Sockets,
		Sources: max(len(b.Sources), 1), Size: b.Size, Timeout: b.Timeout.Seconds(), Sent: r.Sent, Answered: r.Answered, Late: r.Late,
		Lost: r.Lost, Pending: r.Pending, Doubled: r.Doubled, Wrong: r.Wrong, Shared: r.Shared, Stray: r.Stray, Refused: r.Refused, Unreachable: r.Unreachable, Unsent: r.Unsent,
		LostRatio: ratio(r.Lost+r.Late, r.Sent), Seconds: r.Took.Seconds(), SendingSeconds: r.Sending.Seconds(),
		SentPerSecond: r.SendRate, AnsweredPer: r.ReplyRate, Silence: r.Silence.Seconds(), Latency: latencies(r.Latency), SendLag: latencies(r.Lag),
		SentBehind: r.Behind, GeneratorBusy: r.Busy, GeneratorHeld: r.Held, GeneratorCPU: r.Generator.Seconds(), Overflow: r.Overflow, Limits: limitWords(r.Limits),
	}
	if b.Rate == 0 && search == nil {
		v.Loop, v.Window = "closed", b.Window
	}
	if r.Reason != nil {
		v.UnsentReason = r.Reason.Error()
	}
	if r.CPU > 0 {
		cpu := r.CPU.Seconds()
		v.ServerCPU, v.AnsweredPerCPU = &cpu, &r.PerCPU
	}
	if search != nil {
		v.SearchRate, v.SearchLimits, v.Runs = &search.Rate, limitWords(search.Limits), []runJSON{}
		for _, t := range search.Trials {
			v.Runs = append(v.Runs, runJSON{
				t.Rate, t.Good, t.Report.Sent, ratio(t.Report.Lost+t.Report.Late, t.Report.Sent), t.Report.ReplyRate, limitWords(t.Report.Limits),
			})
		}
	}
	return v
}

func limitWords(limits []probe.Limit) []string {
	words := []string{}
	for _, l := range limits {
		words = append(words, l.String())
	}
	return words
}
