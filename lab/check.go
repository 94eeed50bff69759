package lab

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/internal/nearest"
	"github.com/yesterday-time/yesterday/service"
)

// A ConfigError tells what of a Config is wrong.
type ConfigError struct {
	Rule  int    // its index in Config.Rules, from 0; -1: it is of no rule
	Field string // "from", "clock", "start", "faults[1]" of a rule; "faults[1]", "clocks.NAME", "remember" of no rule
	Err   error  // what was seen and what was wanted
}

// Error gives one line, as in `lab: rules[2].from: 10.0.3.5/24 has …`.
func (e *ConfigError) Error() string {
	field := e.Field
	if safe := quoted(field); safe != `"`+field+`"` { // the name of a clock can be anything
		field = safe
	}
	if e.Rule >= 0 {
		field = fmt.Sprintf("rules[%d].%s", e.Rule, field)
	}
	return fmt.Sprintf("lab: %s: %v", field, e.Err)
}

func (e *ConfigError) Unwrap() error { return e.Err }

// Check tells what of c is wrong, and nil if a Lab can be set to it. Its error is a *ConfigError, of what is found first
// in the order Remember, Clocks by their names, Faults, Rules.
func Check(c Config) error {
	if c.Remember < 0 || c.Remember > MaxRemember {
		return &ConfigError{-1, "remember", fmt.Errorf("%d clients, want 1 to %d, or 0 for %d", c.Remember, MaxRemember, DefaultRemember)}
	}
	for _, name := range c.names() {
		if !isName(name) {
			return &ConfigError{-1, "clocks." + name, fmt.Errorf("name %s, want a letter or digit and then letters, digits, hyphens, underscores and dots, 64 at most", quoted(name))}
		}
	}
	if err := c.checkFaults(-1, c.Faults); err != nil {
		return err
	}
	seen := make(map[netip.Prefix]int, len(c.Rules))
	for i := range c.Rules {
		r := &c.Rules[i]
		if err := checkPrefix(r.From); err != nil {
			return &ConfigError{i, "from", err}
		}
		if other, doubled := seen[r.From]; doubled {
			return &ConfigError{i, "from", fmt.Errorf("%v is the prefix of rules[%d] already, want one rule a prefix", r.From, other)}
		}
		seen[r.From] = i
		recipe, ok := c.recipe(r.Clock)
		if !ok {
			return &ConfigError{i, "clock", c.unknown(r.Clock)}
		}
		if err := checkStart(r.Start, recipe); err != nil {
			return &ConfigError{i, "start", err}
		}
		if err := c.checkFaults(i, r.Faults); err != nil {
			return err
		}
	}
	return nil
}

// names returns the clocks' names in order.
func (c *Config) names() []string { return slices.Sorted(maps.Keys(c.Clocks)) }

// recipe finds a clock by the name that a rule gives.
func (c *Config) recipe(name string) (r clock.Recipe, ok bool) {
	if name == "" {
		return c.Clock, true
	}
	r, ok = c.Clocks[name]
	return r, ok
}

// unknown tells what somebody may have meant by a name that is none.
func (c *Config) unknown(name string) error {
	want := "and no clock has a name"
	if names := c.names(); len(names) > 0 {
		const most = 8
		if len(names) > most {
			names = append(names[:most:most], "…")
		}
		want = "want " + strings.Join(names, ", ")
	}
	hint := ""
	if _, err := clock.Parse(name); err == nil {
		hint = "; it is a clock text: give it a name under clocks, and say the name here"
	}
	if len(c.Clocks) > 1 { // a single one was said already
		hint += nearest.Hint(name, c.names()...)
	}
	return fmt.Errorf("no clock is named %s, %s%s", quoted(name), want, hint)
}

func (c *Config) checkFaults(rule int, faults []fault.Fault) error {
	for i, f := range faults {
		if !slices.ContainsFunc(c.services(), func(k service.Kind) bool { return c.applies(f, k) }) {
			return &ConfigError{rule, fmt.Sprintf("faults[%d]", i), c.pointless(f)}
		}
	}
	return nil
}

// services returns what is served.
func (c *Config) services() []service.Kind {
	if len(c.Services) == 0 {
		return service.Kinds()
	}
	return c.Services
}

// applies tells whether f makes sense for a service as it is served.
func (c *Config) applies(f fault.Fault, k service.Kind) bool {
	return !c.TCPOnly && f.Applies(k, false) || f.Applies(k, true)
}

// pointless tells why f makes sense for nothing that is served.
func (c *Config) pointless(f fault.Fault) error {
	if f == (fault.Fault{}) {
		return errors.New("the zero fault, want one that fault.Parse gives")
	}
	kinds := slices.DeleteFunc(service.Kinds(), func(k service.Kind) bool { return !c.applies(f, k) })
	switch {
	case len(kinds) > 0:
		return fmt.Errorf("fault %s makes sense for %s, and what is served is %s", quoted(f.String()), words(kinds), words(c.services()))
	case f.Applies(service.NTP, false) && !f.Applies(service.Time, false):
		return fmt.Errorf("fault %s makes sense for ntp, and what is served is %s, over TCP alone", quoted(f.String()), words(c.services()))
	}
	return fmt.Errorf("fault %s makes no sense over TCP, and nothing is served over UDP", quoted(f.String()))
}

func words(kinds []service.Kind) string {
	texts := make([]string, len(kinds))
	for i, k := range kinds {
		texts[i] = k.String()
	}
	return strings.Join(texts, ", ")
}

func checkPrefix(p netip.Prefix) error {
	switch addr := p.Addr(); {
	case !p.IsValid():
		return errors.New("no prefix, want one such as 10.0.3.0/24 or 2001:db8::/32")
	case addr.Is4In6():
		want := "0.0.0.0/0"
		if bits := p.Bits() - 96; bits > 0 {
			want = netip.PrefixFrom(addr.Unmap(), bits).Masked().String()
		}
		return fmt.Errorf("%v is an IPv4 address in IPv6 dress, want it as %s", p, want)
	case p != p.Masked():
		return fmt.Errorf("%v has bits set behind its length, want %v, or %v/%d for the one address", p, p.Masked(), addr, addr.BitLen())
	}
	return nil
}

func checkStart(s Start, r clock.Recipe) error {
	if s >= numStarts {
		return fmt.Errorf("%v, want WhenSet or FirstRequest", s)
	}
	if at, anchored := r.Anchor(); anchored && s == FirstRequest {
		return fmt.Errorf(`the clock says itself that it starts "at %s", want either that or first-request`, at.Format(time.RFC3339Nano))
	}
	return nil
}

// isName tells whether a clock may have the name.
func isName(s string) bool {
	const most = 64
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		b := s[i]
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case i > 0 && (b == '-' || b == '_' || b == '.'):
		default:
			return false
		}
	}
	return true
}

// quoted gives s in quotes, safe for a terminal, cut to a length that fits a line.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.Quote(s)
}
