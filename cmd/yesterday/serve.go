package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
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
	// First of all, and each with a channel of its own, which keeps a signal that comes while the file is read.
	counters, reloads := make(chan os.Signal, 1), make(chan os.Signal, 1)
	notifyCounters(counters)
	defer signal.Stop(counters)
	if c.Config != "" { // else SIGHUP, of a terminal that is closed, ends the program
		notifyReload(reloads)
		defer signal.Stop(reloads)
	}

	var l lab.Lab
	var first loaded
	select {
	case first = <-c.load(e, &l, nil):
	case <-e.ctx.Done():
		return nil
	}
	if first.err != nil {
		return first.err
	}
	plan := first.plan
	// A server outlives whoever reads its lines.
	ignoreBrokenPipe()
	out, errs := newPrinter(e.stdout), newPrinter(e.stderr)
	defer closePrinters(out, errs)
	lines := newReporter(out, errs, e, plan.JSON, plan.Quiet)
	srv := plan.Server
	srv.Watch = lines.watch
	srv.Lab = &l
	if err := srv.Listen(); err != nil {
		return bindError(err)
	}
	takeProcessors(srv.Threads())
	lines.listening(srv, plan, c.Config)
	served, running := plan.Lab, plan.Settings
	served.Clocks, served.Rules = nil, nil // there may be very many, and the Lab has them
	running.Clocks, running.Rules = nil, nil

	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(context.WithoutCancel(e.ctx)) }()
	wanted, reloaded := reloads, (<-chan loaded)(nil)
	for {
		var err error
		select {
		case <-counters:
			lines.counters(srv)
			continue
		case <-wanted:
			wanted = nil // reloads keeps what comes meanwhile: once more after this
			reloaded = c.load(e, &l, &served)
			continue
		case next := <-reloaded:
			wanted = reloads
			if next.err != nil {
				lines.notReloaded(next.err)
			} else {
				lines.reloaded(srv, next.plan, c.Config, next.plan.Settings.Changed(running))
			}
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

// takeProcessors sees to it that threads that are busy at once wait for the system's CPUs alone, as Server.Threads tells, unless
// whoever started the program has decided otherwise.
func takeProcessors(threads int) {
	const most = 16 // the collector's workers are more, the more processors there are
	threads = min(threads, most)
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) <= threads {
		runtime.GOMAXPROCS(threads + 1)
	}
}

// A loaded is what came of reading the settings: they are in force, or err says why not.
type loaded struct {
	plan *config.Plan
	err  error
}

// load reads the file, lays the flags over it, and sets l to the whole, which takes a while where the file is large or
// its disk far away: nobody has to wait. Whatever the settings say is served, what is served is what served says, if there
// is any yet.
func (c *serveCmd) load(e *env, l *lab.Lab, served *lab.Config) <-chan loaded {
	done := make(chan loaded, 1)
	go func() {
		flags := c.Settings
		for _, s := range c.Services {
			flags.Services = append(flags.Services, config.Text(s))
		}
		plan, file, err := loadPlan(e, c.Config, flags)
		if err == nil {
			if served != nil {
				plan.Lab.Services, plan.Lab.TCPOnly = served.Services, served.TCPOnly
			}
			err = l.Set(plan.Lab, e.now())
		}
		if _, refused := errors.AsType[*lab.ConfigError](err); refused { // in a good file, by the services of before
			err = file.Locate(config.LabError(err))
		}
		done <- loaded{plan, err}
	}()
	return done
}

// loadPlan reads the file, if there is one, and lays flags over it. Without a file, the File is nil.
func loadPlan(e *env, path string, flags config.Settings) (*config.Plan, *config.File, error) {
	var file *config.File
	var under config.Settings
	if path != "" {
		var err error
		if file, err = e.load(path); err != nil {
			return nil, nil, usageError{err}
		}
		under = file.Settings
	}
	all := flags.Over(under)
	plan, err := all.Plan()
	if err == nil {
		// What a file says of that is for its own services.
		if unused := all.Unused(); unused != nil && (flags.Has(unused.Key) || flags.Services == nil) {
			err = unused
		}
	}
	bad, ok := errors.AsType[*config.Error](err)
	switch {
	case err == nil:
		return plan, file, nil
	case !ok:
		return nil, nil, err
	case bad.Key == "services": // arguments, which have no name
		return nil, nil, usageError{bad.Err}
	case flags.Has(bad.Key):
		return nil, nil, usagef("--%w", bad)
	}
	// The file alone is good.
	return nil, nil, usagef("%s, with these flags: %w", path, bad)
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
