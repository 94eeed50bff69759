package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/lab"
)

const whole = `# a lab
services: [time, ntp=127.0.0.1:0, echo]
clock: 2036-02-07
faults: corrupt 1%
seed: 7
listen: [127.0.0.1, '::1']
transport: udp
allow: [private, 192.0.2.0/24]
limit: off
limit-loopback: true
shards: 2
stratum: 3
refid: XLAB
remember: 100
quiet: true
log-format: json
clocks:
  lab: leap-second
  slow.1: yesterday x0.5
rules:
  - {from: 10.0.3.0/24, clock: lab, start: first-request}
  - from: 10.0.4.7
    clock: slow.1
    faults: [loss 10%, delay 50ms..90ms]
  - {from: 'fd00::/8', faults: silence}
`

func TestFile(t *testing.T) {
	f, err := Parse("lab.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Settings.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Server.Services) != 5 || p.Server.Limit >= 0 || p.Server.Shards != 2 || p.Server.Seed != 7 || p.Server.NTP.Stratum != 3 || !p.JSON || !p.Quiet || !p.Server.LimitLoopback {
		t.Errorf("%+v", p.Server)
	}
	c := p.Lab
	if c.Clock.String() != "2036-02-07T00:00:00Z" && c.Clock.String() != "2036-02-07" {
		t.Errorf("clock %q", c.Clock)
	}
	if c.Remember != 100 || len(c.Faults) != 1 || len(c.Clocks) != 2 || len(c.Rules) != 3 || len(c.Services) != 3 {
		t.Errorf("lab %+v", c)
	}
	if r := c.Rules[0]; r.From.String() != "10.0.3.0/24" || r.Clock != "lab" || r.Start != lab.FirstRequest {
		t.Errorf("rule %+v", r)
	}
	if r := c.Rules[1]; r.From.String() != "10.0.4.7/32" || r.Clock != "slow.1" || len(r.Faults) != 2 || r.Faults[1].String() != "delay 50ms..90ms" {
		t.Errorf("rule %+v", r)
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, data := range []string{"", "\n", "# nothing\n", "---\n"} {
		if _, err := Parse("lab.yaml", []byte(data)); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// What is wrong is told with its place, the line and what was wanted.
func TestFileErrors(t *testing.T) {
	for _, test := range []struct {
		data string
		line int
		want string // begins what Err says
		hint string
	}{
		{"clok: now\n", 1, `unknown setting "clok"`, `did you mean "clock"?`},
		{"\nwhatsoever: now\n", 2, `unknown setting "whatsoever"`, "want one of services, clock, "},
		{"rules:\n  - {from: 10.0.0.1, clok: x}\n", 2, `unknown setting "clok"`, `did you mean "clock"?`},
		{"1: a\n", 1, `unknown setting "1"`, ""},
		{"clock: now\nclock: yesterday\n", 2, `mapping key "clock" already defined`, ""},
		{"clocks:\n  a: now\n  b: now\n  a: now\n", 4, `mapping key "a" already defined`, ""},
		{"clock:\n", 1, "clock has no value", ""},
		{"clocks:\n  a:\n", 2, "a has no value", ""},
		{"rules:\n", 1, "rules has no value", ""},
		{"clock: [now]\n", 1, "sequence, want one value", ""},
		{"clock: {a: b}\n", 1, "mapping, want one value", ""},
		{"services: {a: b}\n", 1, "mapping, want a value, or a list of values", ""},
		{"rules: x\n", 1, "string was used where sequence is expected", ""},
		{"quiet: maybe\n", 1, `"maybe": want bool`, ""},
		{"- a\n", 1, "want settings, such as clock: yesterday", ""},
		{"clock: now\n---\nclock: now\n", 2, "a second document", ""},
		{"clock: \"now\n", 1, "could not find end character", ""},
		{"clock: yesturday\n", 1, "clock: \"yesturday\": ", `did you mean "yesterday"?`},
		{"clocks:\n  lab: now x\n", 2, "clocks.lab: ", ""},
		{"shards: 1.5\n", 1, `shards "1.5": want 1 to 1024`, ""},
		{"shards: 010\nlimit: 08x\n", 2, `limit "08x": want a whole number`, ""},
		{"seed: -1\n", 1, "seed -1: want a whole number from 0", ""},
		{"remember: 0\n", 1, "remember 0: want 1 to ", ""},
		{"transport: [udp, tpc]\n", 1, `transport "tpc": want udp or tcp`, `did you mean "tcp"?`},
		{"log-format: yaml\n", 1, `log-format "yaml": want text or json`, ""},
		{"services: [time, nto]\n", 1, `services: unknown service "nto"`, `did you mean "ntp"?`},
		{"faults: los 10%\n", 1, "faults[0]: ", `"loss"`},
		{"faults:\n- loss 10%\n- kiss FOO\n", 3, "faults[1]: ", "RATE"},
		{"rules:\n- {clock: lab}\n", 2, "rules[0]: want from", ""},
		{"rules:\n- from: 10.0.0.300\n", 2, `rules[0].from "10.0.0.300": want an address or a prefix`, ""},
		{"rules:\n- from: fe80::1%eth0\n", 2, `rules[0].from "fe80::1%eth0": want no interface`, "fe80::1 holds on all"},
		{"rules:\n- from: '::ffff:10.0.3.0/120'\n", 2, "rules[0].from: ", "10.0.3.0/24"},
		{"rules:\n- from: 10.0.3.5/24\n", 2, "rules[0].from: ", "10.0.3.0/24"},
		{"rules:\n- from: 10.0.3.0/24\n- from: 10.0.3.0/24\n", 3, "rules[1].from: ", "10.0.3.0/24"},
		{"clocks: {slow: now x0.5}\nrules:\n- from: 10.0.3.1\n  clock: slwo\n", 4, "rules[0].clock: ", `"slow"`},
		{"rules:\n- from: 10.0.3.1\n  start: first\n", 3, "rules[0].start: ", "first-request"},
		{"clocks: {a: 'epoch at 2026-01-01'}\nrules:\n- {from: 10.0.3.1, clock: a, start: first-request}\n", 3, "rules[0].start: ", "at"},
		{"services: echo\nrules:\n- {from: 10.0.3.1, faults: [delay 5ms, kiss RATE]}\n", 3, "rules[0].faults", "kiss"},
		{"clocks: {'a b': now}\n", 1, "clocks.a b: ", ""},
	} {
		f, err := Parse("lab.yaml", []byte(test.data))
		e, ok := errors.AsType[*FileError](err)
		if !ok {
			t.Errorf("%q: %v, %v, want a FileError", test.data, f, err)
			continue
		}
		if e.File != "lab.yaml" || e.Line != test.line || !strings.HasPrefix(e.Err.Error(), test.want) || !strings.Contains(e.Err.Error(), test.hint) {
			t.Errorf("%q: line %d: %v\nwant line %d: %s … %s", test.data, e.Line, e.Err, test.line, test.want, test.hint)
		}
		if line := strings.Split(test.data, "\n")[test.line-1]; e.Source != line || !strings.HasSuffix(e.Error(), "| "+line) {
			t.Errorf("%q: quotes %q, want %q", test.data, e.Source, line)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("rules:\n-\n"))
	f.Add([]byte("<<: {clock: now}\n? a\n: !!binary x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("x", data)
		if err == nil {
			if _, err := file.Settings.Plan(); err != nil {
				t.Errorf("a good file has no plan: %v", err)
			}
		} else if _, ok := errors.AsType[*FileError](err); !ok {
			t.Errorf("%T: %v", err, err)
		}
	})
}

func TestOver(t *testing.T) {
	file := Settings{Clock: text("now"), Limit: text("5"), Quiet: new(true), Allow: List{"any"}}
	flags := Settings{Clock: text("-1h"), Quiet: new(false), Listen: List{"::1"}}
	got := flags.Over(file)
	if *got.Clock != "-1h" || *got.Limit != "5" || *got.Quiet || got.Allow.String() != "any" || got.Listen.String() != "::1" {
		t.Errorf("%+v", got)
	}
	if *file.Clock != "now" {
		t.Error("the file's settings were changed")
	}
	if !flags.Has("clock") || flags.Has("limit") || !flags.Has("listen[0]") {
		t.Error("Has is wrong")
	}
}

func TestChanged(t *testing.T) {
	a := Settings{Clock: text("now"), Limit: text("5"), Rules: []*Rule{{From: "10.0.0.1"}}}
	b := Settings{Clock: text("epoch"), Limit: text("6"), Shards: text("2")}
	if got := a.Changed(b); !slices.Equal(got, []string{"limit", "shards"}) {
		t.Errorf("%q", got)
	}
}

// What Show writes is a file that comes to the same, and started at another time gives the same clocks.
func TestShow(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f, err := Parse("lab.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := f.Settings.Plan()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := plan.Show(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"clock: 2036-02-07 at 2026-11-22T10:00:00Z\n", "lab: leap-second\n", "slow.1: yesterday x0.5 at 2026-11-22T10:00:00Z\n",
		"faults: [corrupt 1%]\n", "limit: \"off\"\n", "shards: 2\n", "from: 10.0.4.7/32\n"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	again, err := Parse("shown", shown)
	if err != nil {
		t.Fatal(err)
	}
	plan2, err := again.Settings.Plan()
	if err != nil {
		t.Fatal(err)
	}
	shown2, err := plan2.Show(at.Add(time.Hour))
	if err != nil || string(shown2) != string(shown) {
		t.Errorf("shown again:\n%s\nwant\n%s", shown2, shown)
	}
	if !slices.Equal(plan2.Server.Services, plan.Server.Services) || plan2.Server.Seed != plan.Server.Seed {
		t.Errorf("%+v, want %+v", plan2.Server, plan.Server)
	}
}

func TestUnanchored(t *testing.T) {
	f, err := Parse("lab.yaml", []byte(`clock: yesterday
clocks: {a: epoch, b: epoch at 2026-01-01, c: +5m, d: leap-second, e: now x2}
rules:
- {from: 10.0.0.1, clock: d, start: first-request}
- {from: 10.0.0.2, clock: e, start: first-request}
- {from: 10.0.0.3, clock: e}
`))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := f.Settings.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for key := range plan.Unanchored() {
		got = append(got, key)
		if f.Line(key) != 2 {
			t.Errorf("%s is on line %d", key, f.Line(key))
		}
	}
	if !slices.Equal(got, []string{"clocks.a", "clocks.e"}) {
		t.Errorf("%q", got)
	}
}
