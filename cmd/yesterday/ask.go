package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/internal/nearest"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// The eras of RFC 868 that the years 1 to 9999 lie in.
const firstEra, lastEra = -14, 59

// maxLine is how long the line may be that --send - reads, in bytes.
const maxLine = 1 << 20

type askCmd struct {
	Server  string        `arg:"" optional:"" name:"host[:port|:service]" help:"Whom to ask: a name or an address, and a port or a service's name: localhost:time, 192.0.2.1:37, [fe80::1%eth0]:37, :37 (default: localhost, on the port that yesterday serve has: 12345 for time)."`
	TCP     bool          `name:"tcp" help:"Ask over TCP (default: UDP)."`
	Service string        `placeholder:"NAME" help:"What to ask for: time, daytime, echo or ntp (default: what :SERVICE names, or time)."`
	Send    dashed        `placeholder:"TEXT" help:"What to send (default: nothing, an empty datagram); - is one line from standard input."`
	Timeout time.Duration `default:"1s" placeholder:"TIME" help:"How long to wait for the first reply; each try waits twice as long as the one before (default: 1s)."`
	Tries   int           `default:"3" placeholder:"N" help:"How often to ask each address (default: 3)."`
	Samples int           `default:"1" placeholder:"N" help:"NTP: how often to ask; the sample with the least delay counts (default: 1)."`
	Every   time.Duration `placeholder:"TIME" help:"NTP: how long to wait between two samples (default: 100ms in private networks, 2s elsewhere)."`
	UTC     bool          `name:"utc" help:"Show the time in UTC; take a daytime line for UTC (default: this machine's zone)."`
	Era     dashed        `default:"auto" placeholder:"N" help:"Which era of 2^32 seconds the time is in: 0 begins in 1900, 1 in 2036; auto is the one nearest to now (default: auto)."`
	JSON    bool          `name:"json" help:"Print one JSON object."`
}

// Help is what --help says below the usage.
func (*askCmd) Help() string {
	return `Examples:
  yesterday ask                                    yesterday serve on this machine
  yesterday ask time.example.org:time              port 37
  yesterday ask --tcp [fe80::1%eth0]:daytime       port 13, a daytime line, over TCP
  yesterday ask --service echo --send hello        the same bytes back
  yesterday ask --samples 4 time.example.org:ntp   port 123: offset, delay, and whether a client may believe it
  yesterday ask --json | jq .offset_seconds

At a terminal it shows how far the server is from this machine's clock, the round trip, and who answered; into a pipe
the time alone, or the line, or the echo.

NTP's answers are held to all that a client must check: any failure, and any kiss code, makes the exit code 1. Into a
pipe it writes a name and a value a line, as in: offset_seconds -86399.999987.

The object that --json prints:

  service, transport, server
  attempts                 datagrams sent, or connections begun
  sent, received           real time
  round_trip_us
  served                   what the server told; left out where nothing was read
  offset_seconds           served less real
  era                      of time and ntp: of 2^32 seconds, from 1900 on
  line                     of daytime
  raw                      the reply, in hexadecimal

and of ntp besides:

  arrived                  served time when the question was there
  delay_seconds            of the way there and back
  root_distance_seconds    how far the offset may be from the truth
  reference, reference_age_seconds, stratum, reference_id, leap, version, mode,
  poll, precision, root_delay_seconds, root_dispersion_seconds
                           what the header says
  extension_fields, mac_bytes
                           what came behind it
  kiss                     the kiss code, where it is one
  samples_taken, ended     how many, and why there are no more
  good, failed             whether it passed all checks, and which it did not:
                           check, text
  samples                  of each: offset_seconds, delay_seconds, failed`
}

// A dashed is a flag's value that may begin with a minus.
type dashed string

// Decode takes the next word, whatever it looks like.
func (d *dashed) Decode(ctx *kong.DecodeContext) error {
	token := ctx.Scan.Pop()
	if token.IsEOL() {
		return errors.New("want a value")
	}
	*d = dashed(token.String())
	return nil
}

// Run asks, and prints the answer.
func (c *askCmd) Run(e *env) error {
	client, kind, err := c.client(e)
	if err != nil {
		return err
	}
	if kind == service.NTP {
		return c.runNTP(e, client)
	}
	send := []byte(c.Send)
	if c.Send == "-" {
		if send, err = readLine(e); err != nil {
			return err
		}
	}
	var answer ask.Answer
	switch client.Send = send; kind {
	case service.Echo:
		answer, err = client.Echo(e.ctx, c.Server, send)
	case service.Daytime:
		answer, err = client.Daytime(e.ctx, c.Server)
	default:
		answer, err = client.Time(e.ctx, c.Server)
	}
	if err != nil {
		return c.explain(err, kind)
	}
	if year := answer.Served.Year(); !answer.Served.IsZero() && (year < 1 || year > 9999) {
		return fmt.Errorf("era %s puts the reply % x into the year %d, want 1 to 9999", c.Era, answer.Raw, year)
	}
	s := shower{e: e, utc: c.UTC}
	if c.JSON {
		return s.json(answer)
	}
	return s.text(answer)
}

// client makes of the flags who asks, and for what.
func (c *askCmd) client(e *env) (*ask.Client, service.Kind, error) {
	kind, err := c.kind()
	if err != nil {
		return nil, 0, err
	}
	if err := c.suits(kind); err != nil {
		return nil, 0, err
	}
	client := &ask.Client{Timeout: c.Timeout, Tries: c.Tries, Samples: c.Samples, Interval: c.Every, Now: e.now}
	if c.TCP {
		client.Transport = ask.TCP
	}
	if c.UTC {
		client.Zone = time.UTC
	}
	if c.Timeout <= 0 {
		return nil, 0, usagef("--timeout %v: want more than 0, such as 500ms or 2s", c.Timeout)
	}
	if c.Tries < 1 {
		return nil, 0, usagef("--tries %d: want 1 or more", c.Tries)
	}
	if c.Era == "auto" || c.Era == "" {
		return client, kind, nil
	}
	era, err := strconv.Atoi(string(c.Era))
	if err != nil || era < firstEra || era > lastEra {
		return nil, 0, usagef("--era %q: want auto or a number from %d to %d (0 begins in 1900, 1 in 2036)%s", c.Era,
			firstEra, lastEra, nearest.Hint(string(c.Era), "auto"))
	}
	if kind != service.Time && kind != service.NTP {
		return nil, 0, usagef("--era %d: only time and ntp have eras, and %v is asked for", era, kind)
	}
	client.Pivot = rfc868.Time(1 << 31).In(era) // the era's middle: each of its seconds is nearest to it there
	return client, kind, nil
}

// kind is the service asked for: what --service says, or what the target's port names.
func (c *askCmd) kind() (service.Kind, error) {
	return serviceOf(c.Server, c.Service, service.Time, service.Kinds()...)
}

// explain tells bad use from failure, and adds what to do.
func (c *askCmd) explain(err error, kind service.Kind) error {
	text := strings.TrimPrefix(err.Error(), "ask: ")
	if _, ok := errors.AsType[*ask.TargetError](err); ok {
		return usageError{errors.New(text)}
	}
	if _, ok := errors.AsType[*ask.TooLongError](err); ok {
		return usageError{errors.New("--send: " + text + "; TCP (--tcp) does")}
	}
	if target, err := ask.ParseTarget(c.Server); err != nil || target.Port != "" {
		return errors.New(text)
	}
	another := fmt.Sprintf("HOST:%v asks another's on port %d", kind, kind.WellKnownPort())
	if _, ok := errors.AsType[*ask.RefusedError](err); ok {
		text += `; "yesterday serve" starts a server there, and ` + another
	} else if e, ok := errors.AsType[*ask.NoReplyError](err); ok && e.Err == nil {
		text += fmt.Sprintf("; that is the port of yesterday serve, and %s", another)
	}
	return errors.New(text)
}

// readLine reads one line from standard input, without its end; at a terminal it asks for it.
func readLine(e *env) ([]byte, error) {
	if e.stdinTTY {
		fmt.Fprint(e.stderr, "Text to send: ")
	}
	type result struct {
		line []byte
		err  error
	}
	read := make(chan result, 1)
	go func() { // a terminal's line comes when it comes
		line, err := bufio.NewReader(io.LimitReader(e.stdin, maxLine+2)).ReadBytes('\n')
		read <- result{line, err}
	}()
	select {
	case <-e.ctx.Done():
		return nil, context.Cause(e.ctx)
	case r := <-read:
		if r.err != nil && r.err != io.EOF {
			return nil, fmt.Errorf("--send -: %w", r.err)
		}
		line := bytes.TrimSuffix(bytes.TrimSuffix(r.line, []byte("\n")), []byte("\r"))
		if len(line) > maxLine {
			return nil, usagef("--send -: the line has more than %d bytes", maxLine)
		}
		return line, nil
	}
}
