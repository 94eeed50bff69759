package main

import (
	"context"
	"fmt"
	"time"

	"github.com/yesterday-time/yesterday/internal/probe"
	"github.com/yesterday-time/yesterday/service"
)

// maxEcho is how many bytes a datagram holds at the most, over IPv4.
const maxEcho = 65507

type pingCmd struct {
	Server   string        `arg:"" optional:"" name:"host[:port|:service]" help:"Whom to ask, as with yesterday ask (default: localhost, on the port that yesterday serve has: 12315 for echo)."`
	Service  string        `placeholder:"NAME" help:"What to ask for: echo, time, daytime or ntp (default: what :SERVICE names, or echo)."`
	Count    *int          `short:"c" placeholder:"N" help:"Stop after so many requests (default: at Ctrl-C)."`
	Interval time.Duration `default:"1s" placeholder:"TIME" help:"How long from one request to the next, at least 1ms (default: 1s)."`
	Timeout  time.Duration `default:"1s" placeholder:"TIME" help:"How long a reply may take; one that takes longer is late (default: 1s)."`
	Size     *int          `placeholder:"N" help:"How many bytes to send: of an echo 16 to 65507 (default: echo 56, time and daytime 0; ntp's are 48)."`
	Quiet    bool          `short:"q" help:"No line for each reply."`
	JSON     bool          `name:"json" help:"Print a JSON object for each reply, then one for the summary."`
}

// Help is what --help says below the usage.
func (*pingCmd) Help() string {
	return `Examples:
  yesterday ping                                   yesterday serve on this machine, by echo
  yesterday ping -c 1000 --interval 1ms :echo      the well-known port 7
  yesterday ping time.example.org:ntp              round trips, and how far that clock is from this one's

A round trip is timed where the kernel hands the request to the network and where it takes the reply from there, so that
this machine's scheduling is no part of it; where there are no such stamps, by this program, and the summary says so.

Each request ends as received, late (the first good reply took longer than --timeout), lost (none came, or the host said that
nothing listens there), pending (cut short), or kissed (a server of ntp declined to tell the time, by the kiss code RATE, DENY
or RSTR; ping then asks no more). Beside these are counted further replies (duplicated), requests answered after a later one was
(reordered), and replies that are not what was sent (corrupted). Echo carries a random number, a sequence number and a pattern,
all of which must come back; NTP's replies are known by their origin; each request of time or daytime has a source port of its
own, since nothing in the reply tells, and what comes four time-outs later may not be heard any more. Jitter is RFC 3550's (section
6.4.1), of round trips.

An offset is how far the server's clock is from this one's, negative if it is behind. The times in an NTP reply cannot be
checked: where they are damaged on the way nobody can tell. One such reply spoils the mean, the extremes and the deviation of
the offsets; the median hardly moves.

Exit code: 0 if any good reply came, 1 if none did, if the server declined by a kiss, or if the output could not be written;
2 for bad use.

The object that --json prints for each event:

  event                    answered, late, doubled, corrupted, kiss, lost,
                           refused or failed
  seq                      which request, from 1; left out where not known
  at                       real time
  server
  bytes                    of the reply
  round_trip_us
  stamps                   whose round_trip_us is: kernel, program
  offset_seconds           of ntp
  code                     of a kiss
  error                    of refused and failed

and at the end:

  event                    summary
  service, server
  sent                     requests: received, late, lost, pending and kissed
                           together
  duplicated, reordered, corrupted, refused
  unsent                   requests that never left
  overflow                 replies that found this program's buffer full: they
                           were lost on this machine, not on the way
  lost_ratio               lost by sent, from 0 to 1
  min_us, median_us, p90_us, p99_us, p999_us, max_us, mean_us, jitter_us
                           of round trips; all 0 without a reply
  kernel_stamped           how many of them the kernel stamped
  seconds                  it all took
  offset                   of ntp: best_seconds (of the shortest round trip),
                           min_seconds, median_seconds, mean_seconds,
                           max_seconds, deviation_seconds`
}

// Run pings until the count is reached, the env's context is done, or the output fails.
func (c *pingCmd) Run(e *env) error {
	kind, err := serviceOf(c.Server, c.Service, service.Echo, service.Kinds()...)
	if err != nil {
		return err
	}
	size, err := c.size(kind)
	if err != nil {
		return err
	}
	if err := c.check(kind); err != nil {
		return err
	}
	servers, err := resolve(e.ctx, c.Server, kind)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	s := pingShower{e: e, kind: kind, name: c.Server, size: size, timeout: c.Timeout, quiet: c.Quiet, asJSON: c.JSON, stop: stop}
	p := probe.Ping{
		Service: kind, Servers: servers, Count: given(c.Count, 0), Interval: c.Interval, Timeout: c.Timeout, Size: size, Each: s.event,
	}
	sum, err := p.Run(ctx)
	if sum.Server.IsValid() && s.failed == nil {
		s.summary(sum)
	}
	switch {
	case s.failed != nil:
		return s.failed
	case err != nil:
		return err
	case sum.Received+sum.Late == 0:
		return fmt.Errorf("no good reply for %v/udp from %v: %s", kind, sum.Server, instead(sum))
	}
	return nil
}

// instead is what came where no good reply did.
func instead(sum probe.Summary) string {
	text := plural(int(sum.Sent), "datagram") + " sent"
	if sum.Corrupted > 0 {
		text += ", " + plural(int(sum.Corrupted), "corrupted datagram") + " came back"
	}
	if sum.Refused > 0 {
		text += ", nothing listens there"
	}
	return text
}

// check refuses what cannot be measured.
func (c *pingCmd) check(kind service.Kind) error {
	switch {
	case c.Count != nil && *c.Count < 1:
		return usagef("--count %d: want 1 or more; without it ping goes on until Ctrl-C", *c.Count)
	case c.Interval < time.Millisecond || c.Interval > time.Hour:
		return usagef("--interval %v: want 1ms to 1h", c.Interval)
	case c.Timeout <= 0 || c.Timeout > time.Hour:
		return usagef("--timeout %v: want more than 0 and at most 1h, such as 500ms or 2s", c.Timeout)
	case c.Timeout/c.Interval > probe.MaxPorts && (kind == service.Time || kind == service.Daytime):
		return usagef("--timeout %v with --interval %v: %v needs a port for each request under way, want a --timeout of at most %v",
			c.Timeout, c.Interval, kind, probe.MaxPorts*c.Interval)
	case c.Timeout/c.Interval > 1<<20:
		return usagef("--timeout %v with --interval %v: more than a million requests would be under way, want a --timeout of at most %v",
			c.Timeout, c.Interval, min(c.Interval<<20, time.Hour))
	}
	return nil
}

// size is how many bytes to send.
func (c *pingCmd) size(kind service.Kind) (int, error) { return sizeFor(kind, c.Size, maxEcho) }

// sizeFor is how many bytes of a service's request to send.
func sizeFor(kind service.Kind, size *int, most int) (int, error) {
	least := 0
	switch {
	case kind == service.NTP && size != nil:
		return 0, usagef("--size %d: ntp's question is a packet of 48 bytes; leave --size out, or ask for another service", *size)
	case kind == service.NTP:
		return 48, nil
	case kind == service.Echo && size == nil:
		return 56, nil
	case kind == service.Echo:
		least = probe.MinEcho
	case size == nil:
		return 0, nil
	}
	if *size < least || *size > most {
		return 0, usagef("--size %d: want %d to %d bytes for %v", *size, least, most, kind)
	}
	return *size, nil
}
