//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

// An exchange is what the server says of one request that it answered, or that a fault left without an answer.
type exchange struct {
	Received time.Time // real, by the kernel
	Told     time.Time // served; zero where the answer says no time
	From, To netip.AddrPort
	Service  string
	Msg      string // the verdict: answered, or fault
	Clock    string // its name; empty for the default clock
	Notes    []string
}

// A jsonLine is a line of `yesterday serve --log-format json`.
type jsonLine struct {
	Addr      netip.AddrPort
	Transport string
	exchange
}

// listeningJSON is listening for --log-format json.
func (s *server) listeningJSON(line string) bool {
	var l jsonLine
	if json.Unmarshal([]byte(line), &l) != nil {
		return false
	}
	switch l.Msg {
	case "listening":
		for transport := range strings.SplitSeq(l.Transport, ",") {
			s.bound[l.Service+"/"+transport] = l.Addr
		}
	case "serving":
		s.clock = l.Clock
		return true
	}
	return false
}

// maxTold is how many exchanges a second a server tells of; it counts the others.
const maxTold = 20

// exchanges returns those that the server has told of, of requests that it received since a real instant at this address
// of its own, or where that is zero at any. It must have been started with --log-format json.
func (s *server) exchanges(to netip.AddrPort, since time.Time) []exchange {
	s.t.Helper()
	var all []exchange
	for line := range strings.Lines(s.stdout.String()) {
		var l jsonLine
		if !strings.HasSuffix(line, "\n") || !strings.Contains(line, `"received"`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Errorf("%v in %q", err, line)
		}
		if (l.Msg == "answered" || l.Msg == "fault") && (l.To == to || to == netip.AddrPort{}) && !l.Received.Before(since) {
			all = append(all, l.exchange)
		}
	}
	return all
}

// awaitExchanges waits until the server has told of so many, and returns them all; false where they do not come.
func (s *server) awaitExchanges(to netip.AddrPort, since time.Time, want int) ([]exchange, bool) {
	s.t.Helper()
	_, ok := s.stdout.await(func(string) bool { return len(s.exchanges(to, since)) >= want }, s.ended)
	return s.exchanges(to, since), ok
}

// awaitRoom waits until the server may be asked so often that it tells of all.
func (s *server) awaitRoom(ctx context.Context, asks int) {
	s.t.Helper()
	for len(s.exchanges(netip.AddrPort{}, time.Now().Add(-time.Second))) > maxTold-asks && wait(ctx, time.Now().Add(50*time.Millisecond)) {
	}
}

// clockOf starts the clock that the server says it serves: what it prints must be enough for that.
func (s *server) clockOf() clock.Clock {
	s.t.Helper()
	recipe, err := clock.Parse(s.clock)
	if err != nil {
		s.t.Fatalf("the server serves the clock %q: %v", s.clock, err)
	}
	return recipe.Start(time.Unix(0, 0)) // its "at" wins, where the start matters
}

// offset is how far a clock is from real time at a real instant, within 292 years.
func offset(c clock.Clock, real time.Time) time.Duration {
	return clock.Read(c, real).Sub(real.Round(0))
}
