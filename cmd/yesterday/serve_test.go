package main

import (
	"reflect"
	"runtime"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/internal/config"
)

// parsed reads a command line of serve.
func parsed(t *testing.T, args ...string) config.Settings {
	t.Helper()
	var line commandLine
	parser, err := kong.New(&line, kong.Vars{"version": ""}, kong.NamedMapper("clocktext", kong.MapperFunc(decodeClockText)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return line.Serve.Settings
}

// Without flags nothing is set, and the server answers private addresses, within a limit.
func TestServeDefaults(t *testing.T) {
	flags := parsed(t)
	if !reflect.DeepEqual(flags, config.Settings{}) {
		t.Errorf("without flags %+v is set", flags)
	}
	plan, err := flags.Plan()
	if err != nil {
		t.Fatal(err)
	}
	srv := plan.Server
	if srv.Limit != yesterday.DefaultLimit || srv.Shards != 1 || srv.Transports != yesterday.UDP|yesterday.TCP || len(srv.Services) != 4 {
		t.Errorf("by default %+v", srv)
	}
	if got := plan.Settings.Allow.String(); got != "private" {
		t.Errorf("by default %q are allowed", got)
	}
	if got := plan.Lab.Clock.String(); got != "yesterday" {
		t.Errorf("the default clock is %q", got)
	}
}

func TestServeFlags(t *testing.T) {
	flags := parsed(t, "--clock", "-1h", "--quiet", "--shards=2", "--faults", "loss 10%, delay 5ms", "--listen", "127.0.0.1,::1")
	if *flags.Clock != "-1h" || !*flags.Quiet || *flags.Shards != "2" || flags.Faults.String() != "loss 10%,delay 5ms" {
		t.Errorf("flags %+v", flags)
	}
	if got := flags.Listen.Words(); len(got) != 2 || got[1] != "::1" {
		t.Errorf("listen %q", got)
	}
}

// Each thread has a processor, and the rest of the program one more; a number from outside stays.
func TestTakeProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	for _, c := range []struct {
		outside string
		threads int
		want    int
	}{{"2", 8, 2}, {"", 1, 2}, {"", 2, 3}, {"", 8, 9}, {"", 4, 9}, {"", 1000, 17}} {
		t.Setenv("GOMAXPROCS", c.outside)
		takeProcessors(c.threads)
		if got := runtime.GOMAXPROCS(0); got != c.want {
			t.Errorf("GOMAXPROCS=%q, %d threads: %d processors, want %d", c.outside, c.threads, got, c.want)
		}
	}
}
