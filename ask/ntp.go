package ask

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/yesterday-time/yesterday/service"
)

// An NTPAnswer is what an NTP server said: the best of the samples taken.
type NTPAnswer struct {
	// Sample is the best one: of those that pass all checks, or where none does of all, the one with the least delay.
	Sample

	// Samples are all of them in their order, Sample among them.
	Samples []Sample

	// Ended is why there are fewer samples than wanted: a NoReplyError or its like after the last of them, or the context's
	// end. It is nil where all were taken, and where a kiss code ended the sampling.
	Ended error
}

// Good tells whether each sample passes all checks.
func (a NTPAnswer) Good() bool {
	return !slices.ContainsFunc(a.Samples, func(s Sample) bool { return !s.Good() })
}

// KissCode returns the kiss code that ended the sampling, or nothing.
func (a NTPAnswer) KissCode() string {
	if len(a.Samples) == 0 {
		return ""
	}
	return a.Samples[len(a.Samples)-1].Kiss
}

// NTP asks the server at addr for the time by NTP, version 4, over UDP (RFC 5905). Its default port is 12431.
//
// Each sample is one exchange from a source port and with a cookie of its own. A reply that is to no question of ours is
// passed over while a better one may come. NTP returns an error where nothing came at all, also when ctx is done by then: any other reply is an answer,
// and what is wrong with it is in its Failed. A kiss code is obeyed: it ends the sampling, and no further datagram is sent.
// All samples are of one server, the first that answered.
func (c *Client) NTP(ctx context.Context, addr string) (NTPAnswer, error) {
	q := question{service: service.NTP}
	if err := c.begin(ctx, &q, addr); err != nil {
		return NTPAnswer{}, err
	}
	var a NTPAnswer
	for range max(c.Samples, 1) {
		if len(a.Samples) > 0 {
			if a.Ended = c.pause(ctx, q.servers[0].Addr()); a.Ended != nil {
				break
			}
		}
		one := q
		raw, err := one.udp(ctx)
		if err != nil && len(a.Samples) == 0 {
			return NTPAnswer{}, err
		}
		if err != nil {
			a.Ended = err
			break
		}
		s := sampleOf(raw, one.cookie, c.Pivot)
		a.Samples = append(a.Samples, s)
		if s.Kiss != "" {
			break
		}
		q.servers = []netip.AddrPort{s.Server}
	}
	a.Sample = slices.MinFunc(a.Samples, func(x, y Sample) int {
		return cmp.Or(cmp.Compare(x.rank(), y.rank()), cmp.Compare(x.Delay, y.Delay))
	})
	return a, nil
}

// NTP asks the server at addr for the time by NTP with a zero [Client].
func NTP(ctx context.Context, addr string) (NTPAnswer, error) { return new(Client).NTP(ctx, addr) }

// rank is the lower the more a sample is worth, whatever its delay.
func (s Sample) rank() int {
	switch {
	case s.Good():
		return 0
	case s.Timed:
		return 1
	}
	return 2
}

// pause waits between two samples.
func (c *Client) pause(ctx context.Context, server netip.Addr) error {
	timer := time.NewTimer(c.interval(server))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ask: %w", context.Cause(ctx))
	}
}

// interval is how long to wait between two samples of a server.
func (c *Client) interval(server netip.Addr) time.Duration {
	switch {
	case c.Interval > 0:
		return c.Interval
	case server.IsLoopback() || server.IsPrivate() || server.IsLinkLocalUnicast():
		return 100 * time.Millisecond
	}
	return 2 * time.Second
}
