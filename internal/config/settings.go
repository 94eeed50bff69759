// Package config turns what a user has set, by flags or in a file, into a checked Server and Lab.
//
// A [Settings] holds what was set as it was written, by one name for each setting, in the file and as a flag. [Load]
// reads a file, [Settings.Over] lays flags over it, [Settings.Plan] checks the whole and fills in what was not set.
package config

import (
	"reflect"
	"strconv"
	"strings"
)

// A Text is one value as it was written: a word, a number, a clock text.
type Text string

// A List is some values as they were written, each of which may hold several, separated by commas.
type List []Text

// Words returns the values one by one, without the spaces around them.
func (l List) Words() []string {
	var words []string
	for _, text := range l {
		for word := range strings.SplitSeq(string(text), ",") {
			words = append(words, strings.TrimSpace(word))
		}
	}
	return words
}

// String returns the words with commas between.
func (l List) String() string { return strings.Join(l.Words(), ",") }

// Settings are all that serve can be told. What was not set is nil. The tags are the command line's help.
type Settings struct {
	Services      List    `kong:"-" yaml:"services,flow,omitempty"`
	Clock         *Text   `type:"clocktext" placeholder:"TEXT" help:"The clock to serve: yesterday, -1h30m, 2036-02-07T06:28:06Z, 'now x60', unix-rollover … (default: yesterday). Try one with: yesterday clock TEXT" yaml:"clock,omitempty"`
	Faults        List    `sep:"none" placeholder:"LIST" help:"Failures on purpose: 'loss 10%', 'delay 50ms..90ms', 'duplicate 5%', 'kiss RATE' …, separated by commas; none undoes a file's (default: none). Rules with faults of their own keep those. All of them: yesterday config --help" yaml:"faults,flow,omitempty"`
	Seed          *Text   `placeholder:"N" help:"Chooses the faults' random numbers; the same requests meet the same faults again (default: 1)." yaml:"seed,omitempty"`
	Listen        List    `placeholder:"ADDR" help:"Addresses to listen on, without a port, separated by commas (default: all)." yaml:"listen,flow,omitempty"`
	PortOffset    *Text   `placeholder:"N" help:"Added to the well-known ports 7, 13, 37 and 123; 0 gives those themselves (default: 12308)." yaml:"port-offset,omitempty"`
	Transport     List    `sep:"none" placeholder:"LIST" help:"udp, tcp, or both (default: udp,tcp); NTP has udp alone." yaml:"transport,flow,omitempty"`
	Allow         List    `sep:"none" placeholder:"LIST" help:"Who is answered: private (this host, its networks, private addresses), any, none, or prefixes such as 192.0.2.0/24, separated by commas (default: private). Behind NAT or a container's proxy everybody has the gateway's address." yaml:"allow,flow,omitempty"`
	Limit         *Text   `placeholder:"N" help:"Replies a second to one address (of IPv6: to one /64) from each port, transport and shard, or off. Loopback has no limit (default: 1000)." yaml:"limit,omitempty"`
	LimitLoopback *bool   `help:"Loopback addresses have that limit too, as behind a proxy on this host." yaml:"limit-loopback,omitempty"`
	Shards        *Text   `placeholder:"N" help:"Sockets and threads for each UDP port, of IPv6 and IPv4 each (default: 1; more pay only with cores to run on)." yaml:"shards,omitempty"`
	Stratum       *Text   `placeholder:"N" help:"NTP: how far from the source of the time, 1 to 15, or 16: not synchronised (default: 1)." yaml:"stratum,omitempty"`
	RefID         *Text   `name:"refid" placeholder:"ID" help:"NTP: the source's name, up to 4 characters; those that begin with X are for experiments (default: XDAY, or INIT at stratum 16)." yaml:"refid,omitempty"`
	Remember      *Text   `placeholder:"N" help:"Clients whose first requests are remembered, for rules that start a clock then (default: 65536)." yaml:"remember,omitempty"`
	Quiet         *bool   `short:"q" help:"No request lines." yaml:"quiet,omitempty"`
	LogFormat     *Text   `placeholder:"FORMAT" help:"text or json (default: text)." yaml:"log-format,omitempty"`
	Clocks        Clocks  `kong:"-" yaml:"clocks,omitempty"`
	Rules         []*Rule `kong:"-" yaml:"rules,omitempty"`
}

// Clocks are clock texts by name.
type Clocks map[string]Text

// A Rule says by which clock some clients live, and which faults they meet.
type Rule struct {
	From   Text `yaml:"from"`                  // an address, or a prefix
	Clock  Text `yaml:"clock,omitempty"`       // a name in Clocks; none: that of the setting Clock
	Start  Text `yaml:"start,omitempty"`       // first-request, or none
	Faults List `yaml:"faults,flow,omitempty"` // nil: those of the setting Faults
}

// defaults are what stands for settings that are not set. What is missing here has its default elsewhere.
func defaults() Settings {
	text := func(s Text) *Text { return &s }
	return Settings{
		Clock:         text("yesterday"),
		Seed:          text("1"),
		PortOffset:    text("12308"),
		Transport:     List{"udp", "tcp"},
		Allow:         List{"private"},
		Limit:         text("1000"),
		LimitLoopback: new(bool),
		Shards:        text("1"),
		Stratum:       text("1"),
		Remember:      text("65536"),
		Quiet:         new(bool),
		LogFormat:     text("text"),
	}
}

// Over returns s where it is set, and under elsewhere.
func (s Settings) Over(under Settings) Settings {
	above, out := reflect.ValueOf(s), reflect.ValueOf(&under).Elem()
	for i := range above.NumField() {
		if f := above.Field(i); !f.IsZero() {
			out.Field(i).Set(f)
		}
	}
	return under
}

// Has tells whether the setting of that name is set.
func (s Settings) Has(key string) bool {
	key, _, _ = strings.Cut(key, "[")
	v := reflect.ValueOf(s)
	for i, name := range keys(v.Type()) {
		if name == key {
			return !v.Field(i).IsZero()
		}
	}
	return false
}

// Changed returns the names of the settings that differ, but for those that a Lab is set to.
func (s Settings) Changed(since Settings) []string {
	var names []string
	a, b := reflect.ValueOf(s), reflect.ValueOf(since)
	for i, name := range keys(a.Type()) {
		switch name {
		case "clock", "faults", "clocks", "rules", "remember":
			continue
		}
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

// keys returns the names that a struct's fields have in a file, in their order.
func keys(t reflect.Type) []string {
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		names = append(names, name)
	}
	return names
}

// An Error says what is wrong with one setting.
type Error struct {
	Key   string // the setting, as in "shards", "clocks.lab" or "rules[1].from"
	Value string // as it was written; empty where Err says it
	Err   error  // what was wanted
}

// Error is as "shards 0: want 1 to 1024".
func (e *Error) Error() string {
	key := shown(e.Key)
	if e.Value == "" {
		return key + ": " + e.Err.Error()
	}
	return key + " " + clip(e.Value) + ": " + e.Err.Error()
}

// shown is a setting's name as errors say it: a strange clock's in quotes, and without which of the faults, which they
// quote, so that it is as a flag's.
func shown(key string) string {
	if name, ok := strings.CutPrefix(key, "clocks."); ok {
		if quoted := strconv.Quote(clip(name)); name == "" || quoted != `"`+name+`"` || strings.Contains(name, " ") {
			return "clocks." + quoted
		}
		return key
	}
	if i := strings.LastIndexByte(key, '['); i >= 0 && strings.HasSuffix(key[:i], "faults") {
		return key[:i]
	}
	return clip(key)
}

func (e *Error) Unwrap() error { return e.Err }
