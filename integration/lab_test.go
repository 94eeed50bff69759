//go:build linux

package integration

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

const (
	// exact is how well an NTP client on the same host must read a clock.
	exact = 5 * time.Millisecond

	// era is how often the seconds of NTP and RFC 868 begin anew.
	era = time.Duration(1<<32) * time.Second
)

// A lab is a server of time and NTP that tells what it told whom. It has all addresses of 127/8, so that each client can be
// given one of its own, by which the exchanges of several at once are told apart.
//
// Where root runs the test it is in a namespace, on the well-known ports, as some clients know no others; else on free ports
// of the host.
type lab struct {
	*server
	ns    *netns
	clock clock.Clock
}

func newLab(t *testing.T, text string, more ...string) *lab {
	t.Helper()
	l := &lab{ns: host()}
	port := map[string]string{"ntp": "0", "time": "0"}
	if os.Geteuid() == 0 {
		l.ns = newNetns(t)
		port["ntp"], port["time"] = "123", "37"
	}
	l.server = serve(t, l.ns, append(more, "--clock", text, "--log-format", "json", "--allow", "127.0.0.0/8", "ntp=0.0.0.0:"+port["ntp"], "time=0.0.0.0:"+port["time"])...)
	l.clock = l.clockOf()
	return l
}

// An observation is what a client said, and what it had been told.
type observation struct {
	reading
	refusal   error // why the client accepts no answer
	exchanges []exchange
	took      time.Duration // from before the client started until after it had ended
}

// own is the address of the i-th client's own in a lab.
func own(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}) }

// observe asks by a client at an address of the server. No other may be asked there at the same time.
func (l *lab) observe(ctx context.Context, c *realClient, addr netip.Addr) (observation, error) {
	to := netip.AddrPortFrom(addr, l.bound[c.service].Port())
	start := time.Now()
	var o observation
	o.reading, o.refusal = c.ask(ctx, l.ns, addr.String(), strconv.Itoa(int(to.Port())))
	o.took = time.Since(start)
	want := max(c.asks, 1)
	if o.refusal != nil {
		want = 1
	}
	var ok bool
	if o.exchanges, ok = l.awaitExchanges(to, start, want); !ok {
		return o, fmt.Errorf("%s: the server tells of %d requests, want %d or more (%v)", c.name, len(o.exchanges), want, o.refusal)
	}
	return o, nil
}

// A verdict is how a client took what it was told: the cell of a table. It is not sure where the client itself was held up
// so long that it could not do better.
type verdict struct {
	text string
	sure bool
}

const reads = "✓" // the client reads what the clock says

// judge holds what a client said against what the clock says at the instants at which the server received its requests.
func (l *lab) judge(c *realClient, o observation) (verdict, error) {
	switch {
	case o.refusal != nil:
		return verdict{text: "refuses"}, nil
	case !o.date.IsZero():
		for _, e := range o.exchanges {
			if v := o.date.Sub(e.Told.Truncate(time.Second)); v%era == 0 {
				return verdict{years(v), true}, nil
			}
		}
		return verdict{}, fmt.Errorf("%s says %v, was told %v", c.name, o.date, o.exchanges)
	case o.beyond != 0:
		return verdict{fmt.Sprintf("%.0f billion y off", math.Abs(o.beyond)/(365.2425*86400*1e9)), true}, nil
	}
	// Of several exchanges a client takes the best, or the mean.
	least, most, rate := time.Duration(math.MaxInt64), time.Duration(math.MinInt64), 1.0
	for _, e := range o.exchanges {
		want, s := offset(l.clock, e.Received), l.clock.Segment(e.Received)
		least, most, rate = min(least, want), max(most, want), max(rate, s.Rate.Float64())
		late := e.Told.Sub(s.At(e.Received))
		if (s.Until.IsZero() || s.Until.Sub(e.Received) > o.took) && (late < 0 || late > time.Duration(s.Rate.Float64()*float64(o.took))) {
			return verdict{}, fmt.Errorf("%s was told %v at %v, when the clock read %v", c.name, e.Told, e.Received, s.At(e.Received))
		}
	}
	off := min(o.offset-least, 0) + max(o.offset-most, 0) // how far it is beyond them
	eras := (off - off%era).Round(era)
	if rest := off % era; rest > era/2 {
		eras += era
	} else if rest < -era/2 {
		eras -= era
	}
	switch wrong := (off - eras).Abs(); {
	case wrong <= exact:
		return verdict{years(eras), true}, nil
	case float64(wrong) <= 2*rate*float64(o.took): // twice: toybox adds its first round trip to what it finds by the second
		return verdict{fmt.Sprintf("%v wrong", off-eras), false}, nil
	}
	return verdict{}, fmt.Errorf("%s says %v, want %v to %v: %v off\n%+v", c.name, o.offset, least, most, off, o.exchanges)
}

// years says how many eras a client is off.
func years(off time.Duration) string {
	n := int(math.Round(off.Hours() / 24 / 365.2425))
	switch {
	case n < 0:
		return fmt.Sprintf("%d y early", -n)
	case n > 0:
		return fmt.Sprintf("%d y late", n)
	}
	return reads
}

// read asks by a client until it is sure how the client takes it, which a refusal is when it comes twice.
func (l *lab) read(ctx context.Context, c *realClient, addr netip.Addr) (verdict, observation, error) {
	var last verdict
	for range 10 {
		l.awaitRoom(ctx, 8)
		o, err := l.observe(ctx, c, addr)
		if err != nil {
			return verdict{}, o, err
		}
		v, err := l.judge(c, o)
		if err != nil {
			return verdict{}, o, err
		}
		if v.sure || v.text == "refuses" && last == v {
			return v, o, nil
		}
		last = v
	}
	return last, observation{}, heldUpError{fmt.Sprintf("%s: %s at the last of ten tries", c.name, last.text)}
}

// A heldUpError says that a client never ran smoothly enough to be judged: the machine was busy with other things.
type heldUpError struct{ text string }

func (e heldUpError) Error() string { return e.text }

// leapShown checks the leap indicator that a client shows.
func (l *lab) leapShown(c *realClient, o observation) error {
	if !c.leap || o.refusal != nil {
		return nil
	}
	for _, e := range o.exchanges {
		if o.leap == l.clock.Segment(e.Received).Leap.String() {
			return nil
		}
	}
	return fmt.Errorf("%s shows the leap indicator %q, was told %+v", c.name, o.leap, o.exchanges)
}
