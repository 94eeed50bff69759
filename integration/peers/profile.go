package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Parts is where the time of a server's core went while it was saturated and the core busy, as shares of it that add up to 1. The
// zero Parts were not measured.
type Parts struct {
	Sending    float64 // the kernel's: the calls that send
	Delivering float64 // the kernel's: from a link to a socket, on loopback the asker's and on a veth pair both sides'
	Receiving  float64 // the kernel's: the calls that receive
	Rest       float64 // the kernel's: waiting, waking up, switching, interrupts
	Own        float64 // outside the kernel
}

// ReadParts sorts the samples that perf-script(1) prints with `-F ip,sym`: stacks, the innermost frame first, with an empty line
// between.
func ReadParts(r io.Reader) (Parts, error) {
	var p Parts
	var samples float64
	var stack []string
	sort := func() {
		if part := p.of(stack); part != nil {
			*part++
			samples++
		}
		stack = stack[:0]
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			stack = append(stack, line)
			continue
		}
		sort()
	}
	sort()
	if err := lines.Err(); err != nil {
		return Parts{}, fmt.Errorf("perf script: %w", err)
	}
	if samples == 0 {
		return Parts{}, errors.New("perf script: no samples")
	}
	for _, part := range []*float64{&p.Sending, &p.Delivering, &p.Receiving, &p.Rest, &p.Own} {
		*part /= samples
	}
	return p, nil
}

// of is the part that a stack belongs to; nil where there is none, or the core had nothing to do.
func (p *Parts) of(stack []string) *float64 {
	if len(stack) == 0 {
		return nil
	}
	runs := func(function string) bool {
		for _, frame := range stack {
			if kernel(frame) && strings.Contains(frame, function) {
				return true
			}
		}
		return false
	}
	switch {
	case runs(" net_rx_action"): // also within a call that sends
		return &p.Delivering
	case runs("_sys_send"):
		return &p.Sending
	case runs("_sys_recv"):
		return &p.Receiving
	case runs(" do_idle") && !runs("softirq") && !runs("sysvec"): // no interrupt that found the core idle
		return nil
	case kernel(stack[0]):
		return &p.Rest
	}
	return &p.Own
}

// kernel tells whether a frame's address is in the kernel's half, which begins with the highest bit: 16 digits from 8 on.
func kernel(frame string) bool {
	address, _, _ := strings.Cut(frame, " ")
	return len(address) == 16 && address[0] >= '8'
}

// each gives the nanoseconds that a part of each reply takes.
func each(part func(Parts) float64) func(Sample) float64 {
	return func(s Sample) float64 {
		if s.PerCPU == 0 {
			return 0
		}
		return part(s.Parts) * 1e9 / s.PerCPU
	}
}

// parts are the columns of a profile.
var parts = []Measure{
	{"a reply takes", each(func(p Parts) float64 { return p.Sending + p.Delivering + p.Receiving + p.Rest + p.Own }), true, micros},
	{"sending", each(func(p Parts) float64 { return p.Sending }), true, micros},
	{"delivering", each(func(p Parts) float64 { return p.Delivering }), true, micros},
	{"receiving", each(func(p Parts) float64 { return p.Receiving }), true, micros},
	{"rest", each(func(p Parts) float64 { return p.Rest }), true, micros},
	{"own code", each(func(p Parts) float64 { return p.Own }), true, micros},
}

// bound is how many times better than a server ours would do if its own code took no time, and the kernel's part stayed.
func (r *Run) bound(path, service, server string) Spread {
	without := Measure{Of: func(s Sample) float64 {
		if s.Server == Ours {
			return each(func(p Parts) float64 { return p.Sending + p.Delivering + p.Receiving + p.Rest })(s)
		}
		return parts[0].Of(s)
	}, Lower: true}
	return r.ratio(path, service, server, without)
}

// part is a server's figures of one part, which may be 0, one a round that has a profile.
func (r *Run) part(path, service, server string, m Measure) Spread {
	var values []float64
	for s := range r.samples(path, service, server) {
		if s.Parts != (Parts{}) {
			values = append(values, m.Of(s))
		}
	}
	return SpreadOf(values)
}

// profiles writes where the time goes, if that was measured.
func (r *Run) profiles(b *strings.Builder) {
	var tables strings.Builder
	for _, path := range paths {
		for _, service := range services {
			if t := r.profile(path, service); t != "" {
				fmt.Fprintf(&tables, "%s over %s:\n\n%s\n", titles[service], titles[path], t)
			}
		}
	}
	if tables.Len() == 0 {
		return
	}
	fmt.Fprintf(b, `## Where the time goes

What the server's core does for one reply at saturation, by the samples that perf(1) took of it: medians of all rounds. *Sending* and
*receiving* are the kernel's part of those calls. *Delivering* is what it does between a link and a socket: over both paths for the reply,
on the sender's core, so that the server pays for the asker's work, and over the veth pair for the request too. *Rest* is the kernel's
going to sleep, waking up and interrupts. *Without own code* is how many times better ours would be if its own code took no time and the
kernel did for it what it does now: making that code quicker gains no more. A sample is taken when the core next lets an interrupt in.
Over the veth pair, where each request comes with an interrupt from the other core, some of a server's own code so counts as the kernel's:
read the columns by tenths of a microsecond.

%s`, tables.String())
}

// profile is the table of where the time of the servers of one service over one path goes; empty where nothing was measured.
func (r *Run) profile(path, service string) string {
	head := []string{"server"}
	for _, m := range parts {
		head = append(head, m.Name)
	}
	rows := [][]string{append(head, "without own code")}
	for _, name := range r.measured(path, service) {
		if r.of(path, service, name, parts[0]).N == 0 {
			continue
		}
		row := []string{name}
		for _, m := range parts {
			row = append(row, r.part(path, service, name, m).median(m.Format))
		}
		bound := "–"
		if name != Ours {
			bound = r.bound(path, service, name).times()
		}
		rows = append(rows, append(row, bound))
	}
	if len(rows) == 1 {
		return ""
	}
	return table(rows)
}
