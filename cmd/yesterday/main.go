// Command yesterday serves and asks for any time but now: Time (RFC 868), Daytime (RFC 867), Echo (RFC 862) and NTP
// (RFC 5905) by a clock of one's choice.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/yesterday-time/yesterday/internal/config"
)

// Exit codes of every command.
const (
	exitGood   = 0
	exitFailed = 1 // failed, no answer or a bad one
	exitUsage  = 2
)

// A commandLine is what can be said to the program; each command is a file of its own.
type commandLine struct {
	Serve   serveCmd         `cmd:"" help:"Serve time, daytime, echo and NTP by a clock of your choice (default: yesterday's)."`
	Ask     askCmd           `cmd:"" help:"Ask a server what time it is there."`
	Ping    pingCmd          `cmd:"" help:"Measure round trips to a server, one by one."`
	Bench   benchCmd         `cmd:"" help:"Measure what a server does under load."`
	Clock   clockCmd         `cmd:"" help:"Show what a clock text reads, now and later, without any server."`
	Config  configCmd        `cmd:"" help:"Check a configuration file, or show the settings in force."`
	Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
}

// An env is what a command sees of the world. Tests give their own.
type env struct {
	ctx            context.Context // done at SIGINT or SIGTERM
	stdin          io.Reader
	stdout, stderr io.Writer
	stdinTTY       bool // stdin is a terminal
	tty            bool // stdout is a terminal
	color          bool // stdout wants colour: a terminal, and NO_COLOR is not set
	now            func() time.Time
	load           func(path string) (*config.File, error) // reads a configuration file
}

// A usageError is bad use: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	tty := term.IsTerminal(int(os.Stdout.Fd()))
	code := run(os.Args[1:], &env{
		ctx:      ctx,
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		stdinTTY: term.IsTerminal(int(os.Stdin.Fd())),
		tty:      tty,
		color:    tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		now:      time.Now,
		load:     config.Load,
	})
	os.Exit(code)
}

// run does what args say and returns the exit code.
func run(args []string, e *env) int {
	var line commandLine
	exit := -1
	parser, err := kong.New(&line,
		kong.Name("yesterday"),
		kong.Description("A time server for any time but now.\n\nStart with: yesterday serve, and in a second terminal: yesterday ask"),
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(func(code int) { exit = code; panic(exiting{}) }),
		kong.DefaultEnvars("YESTERDAY"),
		kong.NamedMapper("clocktext", kong.MapperFunc(decodeClockText)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"version": version()},
	)
	if err != nil {
		panic(err) // the tags above are wrong, whatever the user said
	}
	var command *kong.Context // nil where args could not be parsed
	code, err := func() (code int, err error) {
		defer func() {
			if v := recover(); v != nil {
				if _, ok := v.(exiting); !ok {
					panic(v)
				}
				code = exit
			}
		}()
		if len(args) == 0 {
			args = []string{"--help"}
		}
		if command, err = parser.Parse(signedWords(args)); err != nil {
			return exitUsage, usageError{err}
		}
		return exitGood, command.Run(e)
	}()
	if err == nil {
		return code
	}
	message := err.Error()
	if _, quotes := errors.AsType[*config.FileError](err); !quotes {
		message = strings.ReplaceAll(message, "\n", " ")
	}
	exit = exitFailed
	if _, ok := errors.AsType[usageError](err); ok {
		exit = exitUsage
		if command != nil {
			message = fromEnvironment(command, message)
		}
	}
	fmt.Fprintln(e.stderr, "yesterday: "+message)
	return exit
}

// exiting unwinds from kong's --help and --version, which would end the process.
type exiting struct{}
