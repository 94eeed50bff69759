package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/service"
)

func TestCheck(t *testing.T) {
	clocks := recipes(map[string]string{"lab": "leap-second", "slow": "now x0.5", "late": "y2k at 2026-11-22T10:00:00Z", "plain": "-1h at 2026-11-22"})
	rules := func(r ...Rule) Config { return Config{Clocks: clocks, Rules: r} }
	from := func(s string) Config { return rules(Rule{From: prefix(s)}) }
	ten, net := prefix("10.0.0.0/8"), prefix("192.0.2.0/24")
	for _, test := range []struct {
		name  string
		c     Config
		rule  int
		field string // empty: no error
		want  string // in the error, pieces separated by |
	}{
		{name: "zero"},
		{name: "default rules replaced", c: rules(Rule{From: prefix("0.0.0.0/0")}, Rule{From: prefix("::/0")})},
		{name: "first request of an offset with at", c: rules(Rule{From: ten, Clock: "plain", Start: FirstRequest})},
		{name: "most remembered", c: Config{Remember: MaxRemember}},
		{name: "long name", c: Config{Clocks: recipes(map[string]string{"0" + strings.Repeat("a-_.Z9", 10) + "abc": "now"})}},
		{name: "NTP's faults where one service is NTP", c: Config{Faults: faults("stratum 3"), Services: []service.Kind{service.Echo, service.NTP}}},

		{"remember", Config{Remember: MaxRemember + 1}, -1, "remember", "16777217|want 1 to 16777216|0 for 65536"},
		{"remember", Config{Remember: -1}, -1, "remember", "-1|want 1 to"},

		{"name", Config{Clocks: recipes(map[string]string{"": "now"})}, -1, "clocks.", `name ""`},
		{"name", Config{Clocks: recipes(map[string]string{"-a": "now"})}, -1, "clocks.-a", `name "-a"|a letter or digit`},
		{"name", Config{Clocks: recipes(map[string]string{"a b": "now", "a": "now"})}, -1, "clocks.a b", `name "a b"`},
		{"name", Config{Clocks: recipes(map[string]string{"ü": "now"})}, -1, "clocks.ü", `name "ü"`},
		{"name", Config{Clocks: recipes(map[string]string{strings.Repeat("a", 65): "now"})}, -1, "clocks." + strings.Repeat("a", 65), "64 at most"},

		{"prefix", rules(Rule{From: ten}, Rule{}), 1, "from", "no prefix|10.0.3.0/24"},
		{"prefix", from("10.0.3.5/24"), 0, "from", "10.0.3.5/24 has bits|want 10.0.3.0/24|10.0.3.5/32"},
		{"prefix", from("2001:db8::1/64"), 0, "from", "want 2001:db8::/64|2001:db8::1/128"},
		{"prefix", from("::ffff:10.0.3.0/120"), 0, "from", "IPv4|want it as 10.0.3.0/24"},
		{"prefix", from("::ffff:10.0.3.5/120"), 0, "from", "want it as 10.0.3.0/24"},
		{"prefix", from("::ffff:0.0.0.0/96"), 0, "from", "want it as 0.0.0.0/0"},
		{"prefix", from("::ffff:0.0.0.0/90"), 0, "from", "want it as 0.0.0.0/0"},
		{"doubled", rules(Rule{From: net}, Rule{From: ten}, Rule{From: net}), 2, "from", "192.0.2.0/24 is the prefix of rules[0] already"},

		{"unknown", rules(Rule{From: ten, Clock: "lba"}), 0, "clock", `no clock is named "lba"|want lab, late, plain, slow|did you mean "lab"?`},
		{"unknown", rules(Rule{From: ten, Clock: "yesterday x2"}), 0, "clock", `"yesterday x2"|it is a clock text: give it a name under clocks`},
		{"unknown", Config{Rules: []Rule{{From: ten, Clock: "x"}}}, 0, "clock", `no clock is named "x", and no clock has a name`},

		{"start", rules(Rule{From: ten, Clock: "late", Start: FirstRequest}), 0, "start", `"at 2026-11-22T10:00:00Z"|want either that or first-request`},
		{"start", Config{Clock: clocks["late"], Rules: []Rule{{From: ten, Start: FirstRequest}}}, 0, "start", "2026-11-22T10:00:00Z"},
		{"start", rules(Rule{From: ten, Start: 7}), 0, "start", "Start(7)"},

		{"faults", Config{Faults: faults("loss", "kiss RATE"), Services: []service.Kind{service.Time, service.Echo}}, -1, "faults[1]",
			`fault "kiss RATE" makes sense for ntp, and what is served is time, echo`},
		{"faults", Config{Rules: []Rule{{From: ten, Faults: faults("leap none")}}, Services: []service.Kind{service.Echo}}, 0, "faults[0]", "leap none"},
		{"faults", Config{Faults: make([]fault.Fault, 1)}, -1, "faults[0]", "zero fault"},
		{"faults", Config{Faults: faults("duplicate"), TCPOnly: true}, -1, "faults[0]", `fault "duplicate" makes no sense over TCP, and nothing is served over UDP`},
		{"faults", Config{Faults: faults("corrupt"), TCPOnly: true, Services: []service.Kind{service.Echo}}, -1, "faults[0]",
			`fault "corrupt" makes sense for daytime, time, and what is served is echo`},
		{"faults", Config{Faults: faults("mode 3"), TCPOnly: true, Services: []service.Kind{service.Time}}, -1, "faults[0]", `makes sense for ntp|time, over TCP alone`},
		{"", Config{Faults: faults("duplicate", "corrupt"), Services: []service.Kind{service.Echo}}, -1, "", ""},
		{"", Config{Faults: faults("delay 1ms", "loss 10%", "corrupt"), TCPOnly: true}, -1, "", ""},
	} {
		err := Check(test.c)
		if test.field == "" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		e, ok := errors.AsType[*ConfigError](err)
		if !ok || e.Rule != test.rule || e.Field != test.field {
			t.Errorf("%s: %#v, want rule %d, field %s", test.name, err, test.rule, test.field)
			continue
		}
		where := "lab: " + test.field
		if test.rule >= 0 {
			where = fmt.Sprintf("lab: rules[%d].%s: ", test.rule, test.field)
		}
		if !strings.HasPrefix(err.Error(), where) {
			t.Errorf("%s: %v, want %s", test.name, err, where)
		}
		for piece := range strings.SplitSeq(test.want, "|") {
			if !strings.Contains(err.Error(), piece) {
				t.Errorf("%s: %v, want in it %s", test.name, err, piece)
			}
		}
		if got := new(Lab).Set(test.c, noon); got == nil || got.Error() != err.Error() {
			t.Errorf("%s: Set says %v, Check %v", test.name, got, err)
		}
	}
}

// A name that is long or strange makes an error of one line that a terminal can stand.
func TestErrorsAreOneLine(t *testing.T) {
	many := make(map[string]string)
	for i := range 100 {
		many[fmt.Sprintf("clock%d", i)] = "now"
	}
	for _, name := range []string{strings.Repeat("ä", 5000), "a\nb\x1b[2J", "\xff\xfe"} {
		for _, c := range []Config{
			{Clocks: recipes(many), Rules: []Rule{{From: netip.MustParsePrefix("::/0"), Clock: name}}},
			{Clocks: recipes(map[string]string{name: "now"})},
		} {
			err := Check(c)
			if err == nil || len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\n\x1b") || !utf8.ValidString(err.Error()) {
				t.Errorf("%.20q: %v", name, err)
			}
		}
	}
}

func TestStartText(t *testing.T) {
	var s Start
	if err := s.UnmarshalText([]byte("first-request")); err != nil || s != FirstRequest || s.String() != "first-request" {
		t.Errorf("%v, %v", s, err)
	}
	for text, hint := range map[string]string{"": `start ""`, "first-requst": `did you mean "first-request"?`, "when-set": "or nothing"} {
		if err := s.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, want in it %s", text, err, hint)
		}
	}
	if s != FirstRequest || WhenSet.String() != "when-set" || Start(9).String() != "Start(9)" {
		t.Errorf("%v, %v, %v", s, WhenSet, Start(9))
	}
}
