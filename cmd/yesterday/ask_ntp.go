package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
)

// maxSamples is how many samples may be asked for: no server is to be asked for ever.
const maxSamples = 1000

// suits refuses the flags that mean nothing to the service.
func (c *askCmd) suits(kind service.Kind) error {
	switch {
	case c.Samples < 1 || c.Samples > maxSamples:
		return usagef("--samples %d: want 1 to %d", c.Samples, maxSamples)
	case c.Every < 0:
		return usagef("--every %v: want more than 0, such as 500ms or 2s", c.Every)
	case kind != service.NTP && c.Samples > 1:
		return usagef("--samples %d: only ntp takes samples, and %v is asked for", c.Samples, kind)
	case kind != service.NTP && c.Every > 0:
		return usagef("--every %v: only ntp takes samples, and %v is asked for", c.Every, kind)
	case kind == service.NTP && c.TCP:
		return usagef("--tcp: ntp is asked over UDP alone, NTP over TCP is no standard; leave --tcp out")
	case kind == service.NTP && c.Send != "":
		return usagef("--send %q: ntp's question is a packet of its own; leave --send out, or ask for echo, time or daytime", string(c.Send))
	}
	return nil
}

// runNTP asks by NTP and prints the answer. A check that fails, or a kiss code, is an error.
func (c *askCmd) runNTP(e *env, client *ask.Client) error {
	a, err := client.NTP(e.ctx, c.Server)
	if err != nil {
		return c.explain(err, service.NTP)
	}
	if year := a.Served.Year(); a.Timed && (year < 1 || year > 9999) {
		return fmt.Errorf("era %s puts the transmit time %016x into the year %d, want 1 to 9999", c.Era, uint64(a.Header.Transmit), year)
	}
	s := ntpShower{shower: shower{e: e, utc: c.UTC}, wanted: c.Samples}
	switch {
	case c.JSON:
		err = s.json(a)
	case e.tty:
		err = s.terminal(a)
	default:
		err = s.pipe(a)
	}
	if err != nil {
		return err
	}
	return verdict(a)
}

// verdict is the error that an answer is which a client must not believe.
func verdict(a ask.NTPAnswer) error {
	if kiss := a.KissCode(); kiss != "" {
		return fmt.Errorf("%v says %s: %s", a.Server, kiss, ask.KissMeaning(kiss))
	}
	var names []string
	for _, s := range a.Samples {
		for _, f := range s.Failed {
			if name := f.Check.String(); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("bad answer for ntp/udp from %v: it fails on %s", a.Server, strings.Join(names, ", "))
}
