package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/guard"
	"github.com/yesterday-time/yesterday/internal/nearest"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// maxShards bounds what a mistyped number may open.
const maxShards = 1024

// A Plan is what Settings come to.
type Plan struct {
	Settings Settings          // with the defaults
	Server   *yesterday.Server // without its Lab
	Lab      lab.Config
	Quiet    bool
	JSON     bool // how lines are written
}

// Plan checks the settings. An error is an *Error.
func (s Settings) Plan() (*Plan, error) {
	s = s.Over(defaults())
	p := &Plan{Settings: s, Server: new(yesterday.Server), Quiet: *s.Quiet}
	srv := p.Server
	var err error
	switch *s.LogFormat {
	case "text":
	case "json":
		p.JSON = true
	default:
		return nil, wantWord("log-format", string(*s.LogFormat), "text", "json")
	}
	if srv.Allow, err = guard.ParseAllow(s.Allow.String()); err != nil {
		return nil, &Error{Key: "allow", Err: err}
	}
	if srv.Limit, err = parseLimit(*s.Limit); err != nil {
		return nil, err
	}
	srv.LimitLoopback = *s.LimitLoopback
	if srv.Shards, err = s.Shards.number("shards", 1, maxShards, fmt.Sprintf("want 1 to %d", maxShards)); err != nil {
		return nil, err
	}
	for _, word := range s.Transport.Words() {
		switch word {
		case "udp":
			srv.Transports |= yesterday.UDP
		case "tcp":
			srv.Transports |= yesterday.TCP
		default:
			return nil, wantWord("transport", word, "udp", "tcp")
		}
	}
	if srv.Transports == 0 {
		return nil, &Error{Key: "transport", Err: errors.New("none, want udp, tcp, or both")}
	}
	stratum, err := s.Stratum.number("stratum", 1, service.Unsynchronised, "want 1 to 15, or 16 for a server that is not synchronised")
	if err != nil {
		return nil, err
	}
	srv.NTP.Stratum = uint8(stratum)
	if s.RefID == nil && stratum < service.Unsynchronised {
		p.Settings.RefID = new(Text(service.DefaultReferenceID[:]))
	}
	if s.RefID != nil {
		if srv.NTP.ReferenceID, err = ntp.ParseReferenceID(string(*s.RefID)); err != nil {
			return nil, &Error{Key: "refid", Err: err}
		}
	}
	if srv.Seed, err = strconv.ParseUint(string(*s.Seed), 10, 64); err != nil {
		return nil, &Error{"seed", string(*s.Seed), errors.New("want a whole number from 0 to 18446744073709551615")}
	}
	if srv.Services, err = s.services(srv.Transports); err != nil {
		return nil, err
	}
	if p.Lab, err = s.lab(srv.Services, srv.Transports == yesterday.TCP); err != nil {
		return nil, err
	}
	return p, nil
}

// lab reads the clocks and the rules.
func (s Settings) lab(services []yesterday.Service, tcpOnly bool) (c lab.Config, err error) {
	c.TCPOnly = tcpOnly
	if c.Clock, err = s.Clock.recipe("clock"); err != nil {
		return c, err
	}
	if c.Faults, err = s.Faults.faults("faults"); err != nil {
		return c, err
	}
	if c.Remember, err = s.Remember.number("remember", 1, lab.MaxRemember, fmt.Sprintf("want 1 to %d clients", lab.MaxRemember)); err != nil {
		return c, err
	}
	for _, srv := range services {
		if !slices.Contains(c.Services, srv.Kind) {
			c.Services = append(c.Services, srv.Kind)
		}
	}
	c.Clocks = make(map[string]clock.Recipe)
	for _, name := range slices.Sorted(maps.Keys(s.Clocks)) {
		text := s.Clocks[name]
		if c.Clocks[name], err = text.recipe("clocks." + name); err != nil {
			return c, err
		}
	}
	for i, r := range s.Rules {
		rule, err := r.rule(fmt.Sprintf("rules[%d]", i))
		if err != nil {
			return c, err
		}
		c.Rules = append(c.Rules, rule)
	}
	if err := lab.Check(c); err != nil {
		return c, LabError(err)
	}
	return c, nil
}

// LabError names the setting that a lab.Lab refuses: where err is a *lab.ConfigError, it gives an *Error.
func LabError(err error) error {
	e, ok := errors.AsType[*lab.ConfigError](err)
	if !ok {
		return err
	}
	key := e.Field
	if e.Rule >= 0 {
		key = fmt.Sprintf("rules[%d].%s", e.Rule, e.Field)
	}
	return &Error{Key: key, Err: e.Err}
}

// rule reads one rule, which is called key.
func (r *Rule) rule(key string) (out lab.Rule, err error) {
	if r == nil || r.From == "" {
		return out, &Error{Key: key, Err: errors.New("want from: an address or a prefix, such as 10.0.3.0/24")}
	}
	if out.From, err = parsePrefix(string(r.From)); err != nil {
		return out, &Error{key + ".from", strconv.Quote(string(r.From)), err}
	}
	out.Clock = string(r.Clock)
	if r.Start != "" {
		if err := out.Start.UnmarshalText([]byte(r.Start)); err != nil {
			return out, &Error{Key: key + ".start", Err: err}
		}
	}
	out.Faults, err = r.Faults.faults(key + ".faults")
	return out, err
}

// parsePrefix reads a prefix, or an address, which is one of all its bits.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" { // a prefix has none, and would silently stand for every interface's
			return netip.Prefix{}, fmt.Errorf("want no interface: a rule for %v holds on all", addr.WithZone(""))
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, errors.New("want an address or a prefix, such as 10.0.4.7, 10.0.3.0/24 or fd00::/8")
	}
	return p, nil
}

func (t *Text) recipe(key string) (clock.Recipe, error) {
	recipe, err := clock.Parse(string(*t))
	if err != nil {
		return recipe, &Error{Key: key, Err: trimmed(err, "clock: ")}
	}
	return recipe, nil
}

// noFaults is the text of no faults, as the empty one is: a flag that undoes the file's, or a rule that has none of its own.
const noFaults = "none"

// faults reads a list of faults, nil if it is not set.
func (l List) faults(key string) ([]fault.Fault, error) {
	words := l.Words()
	if l == nil {
		return nil, nil
	}
	faults := make([]fault.Fault, 0, len(words)) // not nil: a rule that says that it has none
	if !slices.ContainsFunc(words, func(w string) bool { return w != "" }) || slices.Equal(words, []string{noFaults}) {
		return faults, nil
	}
	for i, word := range words {
		if word == noFaults {
			return nil, &Error{Key: fmt.Sprintf("%s[%d]", key, i), Err: errors.New("none among others, want it alone, or faults")}
		}
		f, err := fault.Parse(word)
		if err != nil {
			return nil, &Error{Key: fmt.Sprintf("%s[%d]", key, i), Err: trimmed(err, "fault: ")}
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// A trimmedError says what it wraps without the package's name: the setting's is enough.
type trimmedError struct {
	error
	prefix string
}

func trimmed(err error, prefix string) error { return trimmedError{err, prefix} }

func (e trimmedError) Error() string { return strings.TrimPrefix(e.error.Error(), e.prefix) }
func (e trimmedError) Unwrap() error { return e.error }

// number reads a whole number between two.
func (t *Text) number(key string, low, high int, want string) (int, error) {
	n, err := strconv.Atoi(string(*t))
	if err != nil || n < low || n > high {
		value := string(*t)
		if err != nil {
			value = strconv.Quote(value)
		}
		return 0, &Error{key, value, errors.New(want)}
	}
	return n, nil
}

func parseLimit(text Text) (int, error) {
	if text == "off" {
		return -1, nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return 0, &Error{"limit", strconv.Quote(string(text)), errors.New("want a whole number of replies a second, at least 1, or off")}
	}
	return n, nil
}

// wantWord says which words a setting has.
func wantWord(key, seen string, words ...string) error {
	return &Error{key, strconv.Quote(seen), fmt.Errorf("want %s%s", strings.Join(words, " or "), nearest.Hint(seen, words...))}
}

// Unanchored yields the names and texts of clocks that start when they are set, so that they differ between restarts and
// between replicas. Those that start at first requests alone are not among them.
func (p *Plan) Unanchored() func(yield func(key, text string) bool) {
	return func(yield func(key, text string) bool) {
		starts := func(r clock.Recipe) bool {
			if _, anchored := r.Anchor(); anchored {
				return false
			}
			_, needed := r.Start(time.Unix(0, 0)).Recipe().Anchor()
			return needed
		}
		if starts(p.Lab.Clock) && !yield("clock", p.Lab.Clock.String()) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(p.Lab.Clocks)) {
			r := p.Lab.Clocks[name]
			if starts(r) && !p.firstRequestsOnly(name) && !yield("clocks."+name, r.String()) {
				return
			}
		}
	}
}

// firstRequests tells whether a rule starts the clock of that name at first requests.
func (p *Plan) firstRequests(name string) bool {
	return slices.ContainsFunc(p.Lab.Rules, func(r lab.Rule) bool { return r.Clock == name && r.Start == lab.FirstRequest })
}

func (p *Plan) firstRequestsOnly(name string) bool {
	return p.firstRequests(name) && !slices.ContainsFunc(p.Lab.Rules, func(r lab.Rule) bool {
		return r.Clock == name && r.Start != lab.FirstRequest
	})
}
