package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"

	"github.com/yesterday-time/yesterday/internal/config"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check a file as serve would, without serving."`
	Show  configShowCmd  `cmd:"" help:"Print the settings in force, as a file would set all of them: defaults, the file, the environment, flags."`
}

// Help is what --help says below the usage.
func (*configCmd) Help() string {
	return `A file sets what the flags of serve do, by the same names, and gives some clients a clock and faults of their own:

  services: [time, ntp, echo]
  clock: yesterday                     # for whoever no rule is for
  clocks:
    lab: leap-second
    slow: yesterday x0.5
  rules:                               # the longest prefix wins
    - {from: 10.0.3.0/24, clock: lab, start: first-request}
    - {from: 10.0.4.7, clock: slow, faults: [loss 10%, delay 50ms..90ms]}

With start: first-request each client lives the clock from its beginning, from its first request on; otherwise a clock
starts when it is set. A rule without a clock, or without faults, has everybody's; faults: [] is a rule without any.
The faults, also of serve --faults, each with a probability if it is not to be always:

  loss 10%, silence            a tenth of the answers is not sent; none is
  delay 50ms, delay 50ms..90ms is held back on its way out
  duplicate 5%                 is sent twice
  corrupt 1%                   has one random bit flipped
  length 20                    is cut, or filled up, to 20 bytes
  kiss RATE                    NTP: a kiss-o'-death, or DENY or RSTR
  stratum 16, mode 3, version 2, leap none|insert|delete|unknown
                               NTP: that field is as given
  wrong-origin, zero-transmit  NTP: those timestamps are wrong
  unsynchronised               NTP: as from a server without the time
  none                         no faults, alone: --faults none undoes a file's

serve --config FILE reads it, and again at SIGHUP: clock, clocks, rules, faults and remember change, the rest takes a
restart. A clock whose text did not change goes on, and a bad file changes nothing.`
}

type configCheckCmd struct {
	File string `arg:"" help:"The file to check."`
}

// Run checks the file.
func (c *configCheckCmd) Run(e *env) error {
	file, err := e.load(c.File)
	if err != nil {
		return usageError{err}
	}
	plan, err := file.Settings.Plan()
	if err != nil {
		return usageError{file.Locate(err)}
	}
	for key, text := range plan.Unanchored() {
		where := c.File
		if line := file.Line(key); line > 0 {
			where = fmt.Sprintf("%s:%d", c.File, line)
		}
		fmt.Fprintf(e.stderr, "yesterday: %s: %s %q starts when the server does, so restarts and replicas differ: \"%s at INSTANT\" starts at one moment for all\n", where, key, text, text)
	}
	fmt.Fprintf(e.stdout, "%s is good: %s\n", c.File, inventory(plan))
	return nil
}

// inventory says how much a plan has.
func inventory(p *config.Plan) string {
	return count(len(p.Lab.Services), "service") + ", " + count(len(p.Lab.Clocks), "named clock") + ", " + count(len(p.Lab.Rules), "rule")
}

type configShowCmd struct {
	File string `arg:"" optional:"" env:"YESTERDAY_CONFIG" help:"The file (default: none)."`
	config.Settings
}

// Help is what --help says below the usage.
func (*configShowCmd) Help() string {
	return `The services are those of the file, or all: serve's arguments, which win over the file, cannot be given here.

Clocks are printed with the moment they start, so that another server that is given the output serves the same times,
but for those that a rule starts at first requests.`
}

// Run prints the settings.
func (c *configShowCmd) Run(e *env) error {
	plan, _, err := loadPlan(e, c.File, c.Settings)
	if err != nil {
		return err
	}
	out, err := plan.Show(e.now())
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(out)
	return err
}

// decodeClockText takes the next word for a clock text, whatever it looks like: it may begin with a minus.
func decodeClockText(ctx *kong.DecodeContext, target reflect.Value) error {
	token := ctx.Scan.Pop()
	if token.IsEOL() {
		return errors.New("want a clock text, such as yesterday or -1h30m")
	}
	target.Set(reflect.ValueOf(new(config.Text(token.String()))))
	return nil
}
