package config

import (
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/yesterday-time/yesterday/lab"
)

// Show writes the plan's settings as a file that would set all of them, with the clocks anchored: they are started at
// the real time at. A clock that a rule starts at first requests stays as it is, for there is no one start of it.
func (p *Plan) Show(at time.Time) ([]byte, error) {
	s := p.Settings
	s.Services = nil
	for _, srv := range p.Server.Services {
		s.Services = append(s.Services, Text(srv.Kind.String()+"="+srv.Addr.String()))
	}
	s.Listen, s.PortOffset = nil, nil // the services say them
	anchored := Text(p.Lab.Clock.Start(at).String())
	s.Clock = &anchored
	s.Clocks = make(Clocks)
	for name, recipe := range p.Lab.Clocks {
		if p.firstRequests(name) {
			s.Clocks[name] = Text(recipe.String())
		} else {
			s.Clocks[name] = Text(recipe.Start(at).String())
		}
	}
	s.Faults = nil
	for _, f := range p.Lab.Faults {
		s.Faults = append(s.Faults, Text(f.String()))
	}
	s.Rules = nil
	for _, r := range p.Lab.Rules {
		rule := &Rule{From: Text(r.From.String()), Clock: Text(r.Clock)}
		if r.Start != lab.WhenSet {
			rule.Start = Text(r.Start.String())
		}
		for _, f := range r.Faults {
			rule.Faults = append(rule.Faults, Text(f.String()))
		}
		s.Rules = append(s.Rules, rule)
	}
	return yaml.Marshal(s)
}

// MarshalYAML writes numbers without quotes.
func (t Text) MarshalYAML() (any, error) {
	if n, err := strconv.ParseUint(string(t), 10, 64); err == nil && strconv.FormatUint(n, 10) == string(t) {
		return n, nil
	}
	return string(t), nil
}
