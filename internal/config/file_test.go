package config

import (
	"errors"
	"fmt"
	"reflect"
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
	for _, data := range []string{"", "\n", "# nothing\n", "---\n", "\ufeff", "\ufeff# nothing\n", "%YAML 1.2\n---\n"} {
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
		{"clock: now\nclock: yesterday\n", 2, "clock is set already, on line 1", ""},
		{"clocks:\n  a: now\n  b: now\n  a: now\n", 4, "clocks.a is set already, on line 2", ""},
		{"clock:\n", 1, "clock has no value", ""},
		{"clocks:\n  a:\n", 2, "clocks.a has no value", ""},
		{"rules:\n", 1, "rules has no value", ""},
		{"clock: [now]\n", 1, "clock: a list, want one value", ""},
		{"clock: {a: b}\n", 1, "clock: a mapping, want one value", ""},
		{"services: {a: b}\n", 1, "services: a mapping, want a value, or a list of values", ""},
		{"rules: x\n", 1, "rules: a value, want a list of rules", "from: 10.0.4.7"},
		{"quiet: maybe\n", 1, `quiet "maybe": want true or false`, ""},
		{"- a\n", 1, "a list, want settings, such as clock: yesterday", ""},
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
		{"faults: los 10%\n", 1, "faults: ", `"loss"`},
		{"faults:\n- loss 10%\n- kiss FOO\n", 3, "faults: ", "RATE"},
		{"rules:\n- {clock: lab}\n", 2, "rules[0]: want from", ""},
		{"rules:\n- from: 10.0.0.300\n", 2, `rules[0].from "10.0.0.300": want an address or a prefix`, ""},
		{"rules:\n- from: fe80::1%eth0\n", 2, `rules[0].from "fe80::1%eth0": want no interface`, "fe80::1 holds on all"},
		{"rules:\n- from: '::ffff:10.0.3.0/120'\n", 2, "rules[0].from: ", "10.0.3.0/24"},
		{"rules:\n- from: 10.0.3.5/24\n", 2, "rules[0].from: ", "10.0.3.0/24"},
		{"rules:\n- from: 10.0.3.0/24\n- from: 10.0.3.0/24\n", 3, "rules[1].from: ", "10.0.3.0/24"},
		{"clocks: {slow: now x0.5}\nrules:\n- from: 10.0.3.1\n  clock: slwo\n", 4, "rules[0].clock: ", `no clock is named "slwo", want slow`},
		{"rules:\n- from: 10.0.3.1\n  start: first\n", 3, "rules[0].start: ", "first-request"},
		{"clocks: {a: 'epoch at 2026-01-01'}\nrules:\n- {from: 10.0.3.1, clock: a, start: first-request}\n", 3, "rules[0].start: ", "at"},
		{"services: echo\nrules:\n- {from: 10.0.3.1, faults: [delay 5ms, kiss RATE]}\n", 3, "rules[0].faults", "kiss"},
		{"clocks: {'a b': now}\n", 1, `clocks."a b": `, ""},
		{"clocks: {'': now}\n", 1, `clocks."": name ""`, ""},
		{"clocks: {\"a\\nb\": now}\n", 1, `clocks."a\nb": name "a\nb"`, ""},
		{"clocks: [a]\n", 1, "clocks: a list, want names with clock texts", ""},
		{"clocks: now\n", 1, "clocks: a value, want names with clock texts", ""},
		{"clocks: {0x1F: now}\nrules:\n- {from: 10.0.0.1, clock: 0x1G}\n", 3, "rules[0].clock: ", "want 0x1F"},
		{"rules: [x]\n", 1, "rules[0]: a value, want a rule", "from"},
		{"rules: [{from: 10.0.0.1, from: 10.0.0.2}]\n", 1, "rules[0].from is set already, on line 1", ""},
		{"rules:\n-\n", 2, "rules[0] has no value", "from"},
		{"clock: !!binary x\n", 1, "clock: tag !!binary, want none, or !!str", ""},
		{"clock: *x\n", 1, "clock: *x stands for nothing, want an anchor &x before it", ""},
		{"rules: [&r {<<: *r}]\n", 1, "merges within merges", "itself"},
		{"services: [time,,ntp]\n", 1, `"," where a value is to be`, ""},
		{"transport: []\n", 1, "transport: none, want udp, tcp, or both", ""},
		{"clock: !!str\n", 1, "clock has no value", ""},
		{"services:\n- time\n-\n- ntp\n", 3, "services: a value of the list is missing", ""},
		{"services: []\n", 1, "services: none, want some of echo", ""},
		{"services: ''\n", 1, "services: a service is missing", ""},
		{"services: [time]\nlisten: [127.0.0.1, '::', '::1']\n", 2, `listen "::": cannot be had with 127.0.0.1`, ""},
		{"services: [time]\nlisten: ['::', 127.0.0.1]\n", 2, `listen "127.0.0.1": cannot be had with ::`, ""},
		{"services: [time]\nlisten: ['::1', '::1']\n", 2, `listen "::1": cannot be had with ::1`, ""},
		{"port-offset: 65499\nservices: time\n", 1, "port-offset 65499: time would be on port 65536", "want 1 to 65535"},
		{"port-offset: -38\nservices: time\n", 1, "port-offset -38: time would be on port -1", "want 1 to 65535"},
		{"port-offset: -37\nservices: time\n", 1, "port-offset -37: time would be on port 0", "want 1 to 65535"},
		{"faults: [loss 10%, none]\n", 1, "faults: none among others", "alone"},
		{"rules: [{from: 10.0.0.1, faults: [loss, '']}]\n", 1, "rules[0].faults: ", "loss"},
		{"\ufeffclok: now\n", 1, `unknown setting "clok"`, "clock"},
		{"%YAML 1.2\n---\nclock: now\n---\nclock: now\n", 4, "a second document", ""},
		{"clock: [[[[[[[[[now]]]]]]]]]\n", 1, "nested more than 8 deep", ""},
		{"- - - - - - - - - now\n", 1, "nested more than 8 deep", ""},
		{strings.Repeat("k", 101) + ": now\n", 1, "a name of 101 bytes, want at most 100", ""},
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
		if line := strings.Split(strings.TrimPrefix(test.data, "\ufeff"), "\n")[test.line-1]; e.Source != line || !strings.HasSuffix(e.Error(), "| "+line) {
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

// All but what a Lab is set to takes a new server.
func TestChangedAll(t *testing.T) {
	f, err := Parse("lab.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(keys(reflect.TypeFor[Settings]()), func(key string) bool {
		return slices.Contains([]string{"clock", "faults", "remember", "clocks", "rules", "port-offset"}, key) // port-offset: not in the file
	})
	if got := f.Settings.Changed(Settings{}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
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

// A clock that some rule starts at first requests is shown as it is, the default one too: with an "at" the rule would be refused.
func TestShowFirstRequests(t *testing.T) {
	for _, test := range []struct{ data, want string }{
		{"clock: leap-second\nrules: [{from: 10.0.0.0/8, start: first-request}]\n", "clock: leap-second\n"},
		{"clock: leap-second\nrules: [{from: 10.0.0.0/8}]\n", "clock: leap-second at 2026-11-22T10:00:00Z\n"},
		{"clocks: {a: leap-second}\nrules: [{from: 10.0.0.0/8, clock: a, start: first-request}, {from: 10.0.0.1, clock: a}]\n", "a: leap-second\n"},
		{"clock: epoch\nclocks: {a: leap-second}\nrules: [{from: 10.0.0.0/8, clock: a, start: first-request}]\n", "clock: epoch at 2026-11-22T10:00:00Z\n"},
	} {
		shown := show(t, test.data)
		if !strings.Contains(shown, test.want) {
			t.Errorf("%s\ngave\n%s\nwant in it %s", test.data, shown, test.want)
		}
		if again := show(t, shown); again != shown {
			t.Errorf("shown again:\n%s\nwant\n%s", again, shown)
		}
	}
}

// A rule without faults has everybody's, one with none says so, and Show keeps them apart.
func TestFaultsOfRules(t *testing.T) {
	const data = `faults: silence
rules:
- {from: 10.0.0.1}
- {from: 10.0.0.2, faults: []}
- {from: 10.0.0.3, faults: none}
- {from: 10.0.0.4, faults: ''}
- {from: 10.0.0.5, faults: loss 10%}
- &six {from: 10.0.0.6, faults: [loss 10%, duplicate]}
- {<<: *six, from: 10.0.0.7}
- {<<: [{faults: none}, *six], from: 10.0.0.8}
`
	for _, text := range []string{data, show(t, data)} {
		f, err := Parse("lab.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := f.Settings.Plan()
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"<nil>", "[]", "[]", "[]", "[loss 10%]", "[loss 10% duplicate]", "[loss 10% duplicate]", "[]"} {
			r := plan.Lab.Rules[i]
			got := fmt.Sprint(r.Faults)
			if r.Faults == nil {
				got = "<nil>"
			}
			if got != want || r.From.String() != fmt.Sprintf("10.0.0.%d/32", i+1) {
				t.Errorf("rule %d: %v %s, want %s", i, r.From, got, want)
			}
		}
	}
}

// The empty text and none, alone, are no faults; as a flag they undo a file's.
func TestNoFaults(t *testing.T) {
	for _, none := range []List{{"none"}, {""}, {}, {" none "}} {
		plan, err := Settings{Faults: none}.Over(Settings{Faults: List{"silence"}}).Plan()
		if err != nil || len(plan.Lab.Faults) != 0 {
			t.Errorf("%q: %v, %v", none, plan, err)
		}
	}
}

// Names are as they were written, as values are.
func TestNames(t *testing.T) {
	for _, name := range []string{"0x1F", "1.0", "007", "1_000", "null", "true", "1e3", ".inf"} {
		f, err := Parse("lab.yaml", fmt.Appendf(nil, "clocks: {%s: epoch}\nrules: [{from: 10.0.0.1, clock: '%s'}]\n", name, name))
		if name == ".inf" {
			if err == nil || !strings.Contains(err.Error(), `name ".inf"`) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || f.Settings.Clocks[name] != "epoch" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func show(t *testing.T, data string) string {
	t.Helper()
	f, err := Parse("lab.yaml", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := f.Settings.Plan()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := plan.Show(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return string(shown)
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
