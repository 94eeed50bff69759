package config

import (
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/lab"
)

// Show writes the plan's settings as a file that would set all of them, with the clocks anchored: they are started at
// the real time at. A clock that a rule starts at first requests stays as it is, for there is no one start of it, also where
// other rules have it start when it is set.
func (p *Plan) Show(at time.Time) ([]byte, error) {
	s := p.Settings
	s.Services = nil
	for _, srv := range p.Server.Services {
		s.Services = append(s.Services, Text(srv.Kind.String()+"="+srv.Addr.String()))
	}
	s.Listen, s.PortOffset = nil, nil // the services say them
	text := func(name string, r clock.Recipe) Text {
		if p.firstRequests(name) {
			return Text(r.String())
		}
		return Text(r.Start(at).String())
	}
	s.Clock = new(text("", p.Lab.Clock))
	s.Clocks = make(Clocks)
	for name, recipe := range p.Lab.Clocks {
		s.Clocks[name] = text(name, recipe)
	}
	s.Faults = nil
	if len(p.Lab.Faults) > 0 {
		s.Faults = faultTexts(p.Lab.Faults)
	}
	s.Rules = nil
	for _, r := range p.Lab.Rules {
		rule := &Rule{From: Text(r.From.String()), Clock: Text(r.Clock)}
		if r.Start != lab.WhenSet {
			rule.Start = Text(r.Start.String())
		}
		rule.Faults = faultTexts(r.Faults)
		s.Rules = append(s.Rules, rule)
	}
	return yaml.Marshal(s)
}

// faultTexts writes faults as a list, which is nil where they are.
func faultTexts(faults []fault.Fault) List {
	if faults == nil {
		return nil
	}
	if len(faults) == 0 {
		return List{noFaults}
	}
	var l List
	for _, f := range faults {
		l = append(l, Text(f.String()))
	}
	return l
}

// MarshalYAML writes numbers without quotes.
func (t Text) MarshalYAML() (any, error) {
	if n, err := strconv.ParseUint(string(t), 10, 64); err == nil && strconv.FormatUint(n, 10) == string(t) {
		return n, nil
	}
	return string(t), nil
}
