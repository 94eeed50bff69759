package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/internal/config"
	"github.com/yesterday-time/yesterday/lab"
)

// stopWithin is how long the server takes to stop at the most. With flushWithin, which whoever does not read its output
// may add, it stays under a second.
const stopWithin = 500 * time.Millisecond

type serveCmd struct {
	Services []string `arg:"" optional:"" name:"service[=addr]" help:"What to serve: echo, daytime, time, ntp (default: all), each on its default port, or where ADDR says: :37, 127.0.0.1, 127.0.0.1:7, [::1]:7. Port 0 is one that is free."`
	Config   string   `placeholder:"FILE" help:"Settings from a file, in YAML: these flags by their names, and clocks and rules for some clients. Flags win. SIGHUP reads it anew. See: yesterday config --help"`
	config.Settings
}

// Help is what --help says below the usage.
func (*serveCmd) Help() string {
	return `Examples:
  yesterday serve                                  all services, 24 hours behind
  yesterday serve time --clock 'ntp-rollover'      the last ten seconds before 2036 rolls over
  yesterday serve time=:37 echo=127.0.0.1:7        ports of your own
  yesterday serve --port-offset 0                  the well-known ports (needs the right to)
  yesterday serve --faults 'loss 10%, delay 50ms'  a bad network
  yesterday serve --config lab.yaml                a clock and faults for each client

SIGUSR1 prints the counters, SIGHUP reads the file anew, SIGINT and SIGTERM stop the server. Each flag can also be set
by an environment variable: YESTERDAY_CLOCK, YESTERDAY_PORT_OFFSET, …`
}

// Run serves until the env's context is done.
func (c *serveCmd) Run(e *env) error {
	flags := c.Settings
	for _, s := range c.Services {
		flags.Services = append(flags.Services, config.Text(s))
	}
	plan, err := loadPlan(c.Config, flags)
	if err != nil {
		return err
	}
	// A server outlives whoever reads its lines.
	ignoreBrokenPipe()
	out, errs := newPrinter(e.stdout), newPrinter(e.stderr)
	defer closePrinters(out, errs)
	lines := newReporter(out, errs, e, plan.JSON, plan.Quiet)
	srv := plan.Server
	srv.Watch = lines.watch
	srv.Lab = new(lab.Lab)
	if err := srv.Lab.Set(plan.Lab, e.now()); err != nil {
		return err
	}

	signals := make(chan os.Signal, 1)
	notifySignals(signals)
	defer signal.Stop(signals)

	if err := srv.Listen(); err != nil {
		return bindError(err)
	}
	lines.listening(srv, plan, c.Config)

	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.WithoutCancel(e.ctx)) }()
	for {
		select {
		case sig := <-signals:
			if !isReload(sig) {
				lines.counters(srv)
				continue
			}
			if c.Config == "" {
				lines.notReloaded(errors.New("SIGHUP reads --config's file anew, and there is none"))
				continue
			}
			next, err := loadPlan(c.Config, flags)
			if err == nil {
				err = srv.Lab.Set(next.Lab, e.now())
			}
			if err != nil {
				lines.notReloaded(err)
				continue
			}
			lines.reloaded(next, c.Config, next.Settings.Changed(plan.Settings))
			continue
		case err = <-ended: // a socket broke
		case <-e.ctx.Done():
			ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
			if err = srv.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
				err = nil // somebody was cut off; the counts say what was answered
			}
			cancel()
		}
		lines.stopped(srv)
		return err
	}
}

// loadPlan reads the file, if there is one, and lays flags over it.
func loadPlan(path string, flags config.Settings) (*config.Plan, error) {
	var under config.Settings
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usageError{err}
		}
		file, err := config.Parse(path, data)
		if err != nil {
			return nil, usageError{err}
		}
		under = file.Settings
	}
	plan, err := flags.Over(under).Plan()
	e, ok := errors.AsType[*config.Error](err)
	switch {
	case err == nil:
		return plan, nil
	case !ok:
		return nil, err
	case e.Key == "services": // arguments, which have no name
		return nil, usageError{e.Err}
	case flags.Has(e.Key):
		return nil, usagef("--%w", e)
	}
	// The file alone is good.
	return nil, usagef("%s, with these flags: %w", path, e)
}

// bindError says what to do about an address that could not be bound.
func bindError(err error) error {
	l, ok := errors.AsType[*yesterday.ListenError](err)
	if !ok {
		return err
	}
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = fmt.Sprintf("; another program has that port: end it, or choose a port with %v=:PORT or --port-offset", l.Kind)
	case errors.Is(err, syscall.EACCES):
		advice = "; ports below 1024 need root or CAP_NET_BIND_SERVICE (setcap cap_net_bind_service+ep PROGRAM), --port-offset 12308 needs neither"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "; no interface of this host has that address"
	}
	return fmt.Errorf("%w%s", err, advice)
}
