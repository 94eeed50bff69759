package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/guard"
	"github.com/yesterday-time/yesterday/internal/config"
	"github.com/yesterday-time/yesterday/internal/probe"
	"github.com/yesterday-time/yesterday/service"
)

type benchCmd struct {
	Server   string         `arg:"" optional:"" name:"host[:port|:service]" help:"Whom to load, as with yesterday ask (default: localhost, on the port that yesterday serve has: 12315 for echo)."`
	Service  string         `placeholder:"NAME" help:"echo, time or ntp (default: what :SERVICE names, or echo)."`
	Duration *time.Duration `placeholder:"TIME" help:"How long requests are sent, at most 1h; with --search in each run (default: 10s, with --search 2s)."`
	Rate     *int           `placeholder:"N" help:"Requests a second, each at its due time; with --search where to begin (default: 1000)."`
	Max      bool           `help:"Instead of a rate: as many as are answered, with --window requests under way at any time."`
	Window   *int           `placeholder:"N" help:"Requests under way with --max (default: 64)."`
	Search   bool           `help:"Look for the highest rate at which at most 0.1 % are lost or late: double it, then halve the interval. It takes some minutes at most."`
	Sockets  int            `default:"1" placeholder:"N" help:"Source ports (default: 1)."`
	Sources  string         `placeholder:"LIST" help:"Source addresses of this host: a prefix, all of which is used (127.1.0.0/22), a range (10.0.0.1-10.0.0.200), addresses separated by commas, or a number of them on loopback, from 127.1.0.1 on (default: what the system chooses)."`
	Size     *int           `placeholder:"N" help:"Bytes to send: of an echo 16 to 8192 (default: echo 56, time 0; ntp's are 48)."`
	Timeout  time.Duration  `default:"1s" placeholder:"TIME" help:"How long a reply may take, at most 10s; one that takes longer is late (default: 1s)."`
	Clock    *config.Text   `type:"clocktext" env:"-" placeholder:"TEXT" help:"Check the replies of time against this clock, as serve prints it (default: any 4 bytes will do). On another host it may be a second off."`
	PID      *int           `name:"pid" placeholder:"N" help:"The server's process on this host: replies per second of its CPU time (Linux)."`
	Allowed  bool           `name:"i-may-load-this-host" env:"-" help:"Load a host with a public address."`
	JSON     bool           `name:"json" help:"Print one JSON object."`
}

// Help is what --help says below the usage.
func (*benchCmd) Help() string {
	return `Examples:
  yesterday bench --rate 50000 --service ntp       yesterday serve on this machine
  yesterday bench --max --window 1 --duration 5s   one request under way: how quick is an answer?
  yesterday bench --search --sources 127.1.0.0/22 --pid $(pidof yesterday)

A request of a --rate is due at its time and leaves then, however the server fares; its latency counts from the due time, so
that what waits behind a stall is slow too. With --max it counts from when the request was handed to the system. It ends
at the kernel's stamp on the reply, where there is one. One thread does all, in batches; where it, and not the server, was
the bottleneck, the report says so (limits): behind (of the requests 1 % left more than 1ms late, or never), held (with --max:
requests and replies spent at least half of their round trips in its hands), overflow (replies found its socket full).

Each reply is matched to its request and checked: an echo by a sequence number in it and by all of its bytes, ntp by its
origin (its times cannot be checked; a kiss code RATE, DENY or RSTR is a wrong reply). A request to which only a wrong reply came
counts as lost. A reply of time says nothing of its
request, so replies are matched in their order on each lane, a pair of a source port and a source address. That is exact
while no lane has two requests under way; else a loss shifts the latencies behind it, and a doubled reply stands in for a lost one.
Where that happened to more than 1 % of the replies the report says so (shared, among limits), and --search calls no such run good:
let there be more lanes (--sockets times --sources) than requests under way, which lost ones are until their time-out.

A run of --search sends at least 3,000 requests, for which it may take up to 10s if --duration is less. One that is not good is
repeated once, and counts as what it is then. It tries at most 24 rates, and none below 1,000 where this machine cannot send even that in time: with the default --duration that is about a minute
as a rule, and at most 5 minutes where even a few requests a second are lost.

The server is asked once beforehand, and for 6 seconds at least if it is silent: there is no load on what does not answer. How
long it was silent under load, from one good reply to the next, stands beside the answered ones. With --pid the report has the
replies for a second of its CPU time, which is what it can do only while its core is busy.

Exit code: 0 if replies came and none was wrong, and a --search found a good rate; 1 if not, or if the output could not be
written; 2 for bad use.

The object that --json prints; ratios are from 0 to 1:

  service, server, sockets, sources, size, timeout_seconds
                           what was asked for
  loop                     open, with a rate, or closed, with a window
  rate, window             as asked for; 0 for the other loop's
  sent                     requests: answered, late, lost and pending together
  answered                 a good reply came in time
  late                     one came, but after the time-out
  lost                     none came
  pending                  none had come when the run was cut short
  doubled                  further good replies
  wrong                    replies that are not what they must be
  shared                   replies of time matched by a guess, since their lane
                           had several requests under way
  stray                    datagrams from elsewhere, or far too old
  refused                  times the host said that nothing listens
  unreachable              times the network said that it can't reach the host
  unsent, unsent_reason    requests that never left, and why the last did not,
                           where the system said so
  lost_ratio               lost and late by sent
  seconds                  of the whole run
  sending_seconds          until the last request
  sent_per_second, answered_per_second
  silence_seconds          the longest time without a good reply
  latency                  of answered and late: min_us, median_us, p90_us,
                           p99_us, p999_us, max_us, mean_us
  send_lag                 how long after the due times requests left: the same
  sent_behind              requests that left more than 1ms after them
  generator_busy           ratio of the time in which it had something to do
  generator_held           of a closed loop: ratio of the round trips that was
                           spent in its hands
  generator_cpu_seconds    CPU time of its thread
  generator_overflow       replies that found its socket full
  limits                   behind, held, overflow, shared; none: the figures are
                           the server's
  server_cpu_seconds, answered_per_cpu_second
                           with --pid
  search_rate              with --search: the result; 0: no run was good. All
                           the above is of its run, or without one of the first
  search_limits            why the runs above it failed, if for the generator
  runs                     those that were not cut short: rate, good, sent,
                           lost_ratio, answered_per_second, limits`
}

// Run loads the server and prints what it bore.
func (c *benchCmd) Run(e *env) error {
	b, err := c.bench(e)
	if err != nil {
		return err
	}
	if err := c.find(e, b); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	s := benchShower{e: e, bench: b, asJSON: c.JSON, stop: stop}
	s.begin(c.Search)
	if s.failed != nil {
		return s.failed
	}
	b.Progress = s.progress()
	var report probe.BenchReport
	var search *probe.SearchReport
	if c.Search {
		report, search, err = highest(ctx, b, s.trial)
	} else {
		report, err = b.Run(ctx)
	}
	if err != nil && report.Sent == 0 {
		return err
	}
	if s.failed == nil {
		s.end(report, search)
	}
	switch {
	case s.failed != nil:
		return s.failed
	case err != nil:
		return err
	}
	return benchFailure(b, e.ctx.Err() != nil, report, search)
}

// highest searches, and returns the report to show: of the best run, whose rate becomes the Bench's; without one that of the
// first, which tells what it was like where it began.
func highest(ctx context.Context, b *probe.Bench, after func(probe.Trial)) (probe.BenchReport, *probe.SearchReport, error) {
	found, err := b.Search(ctx, after)
	if ctx.Err() != nil {
		err = nil // what was found by then is what there is to tell
	}
	best, ok := found.Best()
	switch {
	case ok:
		b.Rate = found.Rate
	case len(found.Trials) > 0:
		best = found.Trials[0].Report
	case found.Cut != nil:
		best = *found.Cut
	}
	return best, &found, err
}

// benchFailure is why what was measured is no success.
func benchFailure(b *probe.Bench, interrupted bool, report probe.BenchReport, search *probe.SearchReport) error {
	switch {
	case report.Wrong > 0:
		return fmt.Errorf("wrong replies from %v: %s", b.Server, thousands(report.Wrong))
	case search != nil && search.Rate == 0 && interrupted:
		return errors.New("interrupted before a good rate was found")
	case report.Answered+report.Late == 0:
		return fmt.Errorf("no good reply for %v/udp from %v", b.Service, b.Server)
	case search == nil || search.Rate > 0:
		return nil
	case len(search.Limits) > 0:
		return fmt.Errorf("no rate was found that the generator holds: %s; begin lower with --rate", limitNames(search.Limits))
	}
	return fmt.Errorf("more than %g %% were lost or late at each rate, from %s on down; begin lower with --rate", 100*probe.MaxLost,
		thousands(uint64(b.Rate)))
}

// bench makes the Bench that the flags describe, but for its server.
func (c *benchCmd) bench(e *env) (*probe.Bench, error) {
	kind, err := serviceOf(c.Server, c.Service, service.Echo, service.Echo, service.Time, service.NTP)
	if err != nil {
		return nil, err
	}
	b := &probe.Bench{
		Service: kind, Rate: given(c.Rate, 1000), Window: given(c.Window, 64), Duration: given(c.Duration, 10*time.Second),
		Timeout: c.Timeout, Sockets: c.Sockets, Process: given(c.PID, 0),
	}
	if b.Size, err = sizeFor(kind, c.Size, probe.MaxSize); err != nil {
		return nil, err
	}
	if c.Search {
		b.Duration = given(c.Duration, 2*time.Second)
	}
	switch {
	case c.Max && c.Search:
		return nil, usagef("--max and --search: want one of them")
	case c.Max && c.Rate != nil:
		return nil, usagef("--max and --rate %d: want one of them", *c.Rate)
	case b.Rate < 1 || b.Rate > probe.MaxRate:
		return nil, usagef("--rate %d: want 1 to %d requests a second", b.Rate, probe.MaxRate)
	case c.Window != nil && !c.Max:
		return nil, usagef("--window %d: it goes with --max", b.Window)
	case b.Window < 1 || b.Window > probe.MaxWindow:
		return nil, usagef("--window %d: want 1 to %d", b.Window, probe.MaxWindow)
	case b.Duration <= 0 || b.Duration > probe.MaxDuration:
		return nil, usagef("--duration %v: want more than 0 and at most %v", b.Duration, probe.MaxDuration)
	case c.Timeout <= 0 || c.Timeout > probe.MaxTimeout:
		return nil, usagef("--timeout %v: want more than 0 and at most %v", c.Timeout, probe.MaxTimeout)
	case c.Sockets < 1 || c.Sockets > probe.MaxSockets:
		return nil, usagef("--sockets %d: want 1 to %d", c.Sockets, probe.MaxSockets)
	case c.PID != nil && *c.PID <= 0:
		return nil, usagef("--pid %d: want a process of this host", *c.PID)
	case c.PID != nil && runtime.GOOS != "linux":
		return nil, usagef("--pid %d: the CPU time of a process can be read on Linux alone", *c.PID)
	}
	if c.Max {
		b.Rate = 0
	}
	if c.Sources != "" {
		if b.Sources, err = probe.ParseSources(c.Sources); err != nil {
			return nil, usagef("--sources: %w", err)
		}
	}
	if c.Clock != nil {
		recipe, err := clock.Parse(string(*c.Clock))
		if err != nil {
			return nil, usagef("--clock: %s", strings.TrimPrefix(err.Error(), "clock: "))
		}
		if kind != service.Time {
			return nil, usagef("--clock: only time's replies are checked against a clock, and %v is asked for", kind)
		}
		started := recipe.Start(e.now())
		if _, anchored := recipe.Anchor(); !anchored && strings.Contains(started.String(), " at ") {
			return nil, usagef("--clock: what that clock reads depends on when the server started: want it with its at, as serve prints it, such as %q",
				started.String())
		}
		b.Clock = started
	}
	return b, nil
}

// given is what a flag says, or what holds without it.
func given[T any](flag *T, otherwise T) T {
	if flag == nil {
		return otherwise
	}
	return *flag
}

// find finds the server, and asks it once.
func (c *benchCmd) find(e *env, b *probe.Bench) error {
	servers, err := resolve(e.ctx, c.Server, b.Service)
	if err != nil {
		return err
	}
	if len(b.Sources) > 0 {
		servers = ofFamily(servers, b.Sources[0].Is4())
		if len(servers) == 0 {
			return usagef("--sources %s: not of the same family as the server's addresses", c.Sources)
		}
		for _, s := range b.Sources {
			if s.Is4() != b.Sources[0].Is4() {
				return usagef("--sources %s: IPv4 and IPv6, want one of them", c.Sources)
			}
		}
	}
	if !c.Allowed {
		if err := mayLoad(servers); err != nil {
			return err
		}
	}
	if err := b.Ready(); err != nil {
		return usageError{err}
	}
	for i, server := range servers {
		if err = answers(e.ctx, b.Service, server, b.Timeout); err == nil {
			b.Server = server
			return nil
		}
		if i == len(servers)-1 || e.ctx.Err() != nil {
			break
		}
	}
	return targetError(err)
}

// ofFamily keeps the servers of IPv4, or of IPv6.
func ofFamily(servers []netip.AddrPort, v4 bool) (kept []netip.AddrPort) {
	for _, s := range servers {
		if s.Addr().Is4() == v4 {
			kept = append(kept, s)
		}
	}
	return kept
}

// mayLoad refuses public addresses: whoever loads a stranger's host by a slip of the finger attacks it.
func mayLoad(servers []netip.AddrPort) error {
	private, err := guard.ParseAllow("private")
	if err != nil {
		return err
	}
	host := new(guard.Host)
	if err := host.Refresh(); err != nil {
		return err
	}
	for _, s := range servers {
		if s.Addr().IsUnspecified() {
			return usagef("%v stands for all addresses of a host: want one of them, such as that of localhost", s.Addr())
		}
		if !private.Has(s.Addr(), host) {
			return usagef("%v is a public address: a bench is an attack on a host that did not ask for it; if you may, say --i-may-load-this-host", s.Addr())
		}
	}
	return nil
}

// firstWait is how long the first question to a server waits for its reply; each further one waits twice as long.
const firstWait = 200 * time.Millisecond

// questions is how often a server is asked that is silent: 5 times, which takes 6 seconds, and until one has waited as long as a
// reply may take.
func questions(timeout time.Duration) int {
	n := 5
	for firstWait<<(n-1) < timeout {
		n++
	}
	return n
}

// answers asks a server once, or some times where nothing comes.
func answers(ctx context.Context, kind service.Kind, server netip.AddrPort, timeout time.Duration) (err error) {
	client := ask.Client{Timeout: firstWait, Tries: questions(timeout)}
	switch kind {
	case service.Echo:
		_, err = client.Echo(ctx, server.String(), []byte("is anybody there?"))
	case service.NTP:
		_, err = client.NTP(ctx, server.String())
	default:
		_, err = client.Time(ctx, server.String())
	}
	if bad, ok := errors.AsType[*ask.BadReplyError](err); ok {
		return fmt.Errorf("%w: that is no server of %v", bad, kind)
	}
	return err
}
