package probe

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/service"
)

// Bounds of a Bench.
const (
	MaxRate     = 10_000_000
	MaxWindow   = 1 << 16
	MaxSockets  = 1024
	MaxDuration = time.Hour
	MaxTimeout  = 10 * time.Second
	MaxSize     = 8 << 10 // bytes
)

// A Bench puts a server under load, from one thread that does nothing else.
//
// With a Rate it is an open loop: request i is due i/Rate seconds after the start, leaves then, however the server fares,
// and its latency counts from then, so that what waits behind a stall is slow too. Without it is a closed loop: there are
// Window requests under way at any time, until each is answered or timed out, and latency counts from when a request was
// handed to the system. It ends where the kernel's stamp says that the reply came in, as far as there are stamps.
type Bench struct {
	Service service.Kind // echo, time or ntp
	Server  netip.AddrPort

	Rate     int // requests a second; 0: a closed loop
	Window   int // requests under way in the closed loop
	Duration time.Duration
	Timeout  time.Duration
	Size     int // bytes to send: of an echo at least MinEcho

	Sockets int          // source ports
	Sources []netip.Addr // source addresses, which must be this host's; none: the one that the system chooses

	Clock clock.Clock // what the server's replies of time must read; nil: they are not looked at

	// Process is the server's process id, on this host, 0 if it is not known. Its CPU time is read before and after.
	Process int

	// Progress is called about twice a second, from another goroutine, if it is not nil.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Elapsed        time.Duration
	Sent, Answered uint64 // so far
}

// A BenchReport is what a Bench has measured. Sent is Answered, Late, Lost and Pending together.
type BenchReport struct {
	Sent     uint64
	Answered uint64 // in time
	Late     uint64 // their first good reply took longer than the time-out
	Lost     uint64 // no good reply came
	Pending  uint64 // neither, when the run was cut short

	Doubled uint64 // further good replies
	Wrong   uint64 // replies that are not what they must be
	Stray   uint64 // datagrams from elsewhere, and replies to requests too long ago
	Shared  uint64 // replies matched by a guess: of time, while several requests of their lane were under way

	Refused     uint64 // how often the host said that nothing listens
	Unreachable uint64 // how often the network said that it cannot reach the host, or may not
	Unsent      uint64 // requests that never left
	Reason      error  // why the last of the Unsent did not, where the system said so

	Took      time.Duration // all of the run
	Sending   time.Duration // until the last request
	SendRate  float64       // Sent a second of Sending
	ReplyRate float64       // Answered a second, until the last reply
	Silence   time.Duration // the longest time without a good reply, from the start until the last request
	Latency   Spread        // of Answered and Late

	Lag      Spread  // of an open loop: how long after their due times requests were handed to the system
	Behind   uint64  // how many of them by more than a millisecond
	Busy     float64 // which share of the time the generator had something to do: 0 to 1
	Held     float64 // of a closed loop: which share of the round trips was spent in the generator's hands: 0 to 1
	Overflow uint64  // replies that came but found its socket full

	CPU       time.Duration // of the server's process; 0 where it is not known, or the process has ended
	PerCPU    float64       // Answered a second of CPU
	Generator time.Duration // CPU time of the generator's thread, as far as the system tells

	// Limits is why the figures are not quite the server's; none: they are.
	Limits []Limit
}

// A Limit is a way in which the generator was the bottleneck, or, for LimitShared, could not tell replies apart.
type Limit uint8

const (
	LimitBehind   Limit = iota // requests left late, or not at all
	LimitHeld                  // of a closed loop: requests and replies waited for it longer than for the server
	LimitOverflow              // it did not read replies in time
	LimitShared                // lanes had several requests under way while replies were lost or doubled: one stands in for another
)

// String returns "behind", "held", "overflow" or "shared".
func (l Limit) String() string {
	switch l {
	case LimitBehind:
		return "behind"
	case LimitHeld:
		return "held"
	case LimitOverflow:
		return "overflow"
	case LimitShared:
		return "shared"
	}
	return fmt.Sprintf("Limit(%d)", uint8(l))
}

func (b *Bench) sources() int { return max(len(b.Sources), 1) }

// check says what is wrong with a Bench.
func (b *Bench) check() error {
	switch {
	case b.Service != service.Echo && b.Service != service.Time && b.Service != service.NTP:
		return fmt.Errorf("probe: service is %v, want echo, time or ntp", b.Service)
	case !b.Server.IsValid():
		return fmt.Errorf("probe: no server")
	case b.Rate < 0 || b.Rate > MaxRate:
		return fmt.Errorf("probe: rate is %d, want at most %d", b.Rate, MaxRate)
	case b.Rate == 0 && (b.Window < 1 || b.Window > MaxWindow):
		return fmt.Errorf("probe: window is %d, want 1 to %d", b.Window, MaxWindow)
	case b.Duration <= 0 || b.Duration > MaxDuration:
		return fmt.Errorf("probe: duration is %v, want more than 0 and at most %v", b.Duration, MaxDuration)
	case b.Timeout <= 0 || b.Timeout > MaxTimeout:
		return fmt.Errorf("probe: time-out is %v, want more than 0 and at most %v", b.Timeout, MaxTimeout)
	case b.Sockets < 1 || b.Sockets > MaxSockets:
		return fmt.Errorf("probe: sockets are %d, want 1 to %d", b.Sockets, MaxSockets)
	case len(b.Sources) > MaxSources:
		return fmt.Errorf("probe: sources are %d, want at most %d", len(b.Sources), MaxSources)
	case b.Size < 0 || b.Size > MaxSize || b.Service == service.Echo && b.Size < MinEcho:
		return fmt.Errorf("probe: size is %d, want at most %d, and of an echo at least %d", b.Size, MaxSize, MinEcho)
	}
	for _, s := range b.Sources {
		if s.Is4() != b.Server.Addr().Unmap().Is4() {
			return fmt.Errorf("probe: source %v cannot reach %v: one is IPv4, the other IPv6", s, b.Server.Addr())
		}
	}
	return nil
}

// Ready tells what is not there that Run needs: its process, or an address of this host to ask from.
func (b *Bench) Ready() error {
	if b.Process != 0 {
		if _, err := processTime(b.Process); err != nil {
			return err
		}
	}
	for _, s := range b.Sources {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s, 0)))
		if err != nil {
			return fmt.Errorf("source %v is not an address of this host: %w", s, err)
		}
		conn.Close()
	}
	return nil
}

// Run puts the server under load for the Duration, and waits for the replies until the Timeout. When ctx is done it ends at once,
// with what it has. It returns an error where the load could not be made, or not to its end, with what it has by then.
func (b *Bench) Run(ctx context.Context) (BenchReport, error) {
	if err := b.check(); err != nil {
		return BenchReport{}, err
	}
	var before cpuTime
	var err error
	if b.Process != 0 {
		if before, err = processTime(b.Process); err != nil {
			return BenchReport{}, err
		}
	}
	l := newLoad(b)
	g, err := newGenerator(b, l)
	if err != nil {
		return BenchReport{}, err
	}
	defer g.close()
	l.epoch = time.Now()
	stopWatching := b.watch(l.epoch, g.counts)
	r, err := g.run(ctx)
	stopWatching()
	now := int64(time.Since(l.epoch))
	if err != nil {
		l.stop(now)
	}
	l.report(&r, now)
	r.Limits = b.limits(&r)
	if b.Process != 0 {
		after, ended := processTime(b.Process)
		if ended != nil {
			return r, cmp.Or(err, fmt.Errorf("the server's process has ended: %w", ended))
		}
		r.CPU = after.since(before)
		if r.CPU > 0 {
			r.PerCPU = float64(r.Answered) / r.CPU.Seconds()
		}
	}
	return r, err
}

// limits tells why the figures are not the server's.
func (b *Bench) limits(r *BenchReport) (limits []Limit) {
	const (
		fewBehind = 0.01 // of the requests
		hiccup    = 2    // requests behind: a machine's, in a short run
		fewUnsent = 0.01
		halfHeld  = 0.5 // of the round trips
		fewShared = 0.01
	)
	if b.Rate > 0 && (r.Behind > hiccup && float64(r.Behind) > fewBehind*float64(r.Sent) || float64(r.Unsent) > fewUnsent*float64(r.Sent)) {
		limits = append(limits, LimitBehind)
	}
	if b.Rate == 0 && r.Held >= halfHeld {
		limits = append(limits, LimitHeld)
	}
	if r.Overflow > 0 {
		limits = append(limits, LimitOverflow)
	}
	if r.Lost+r.Late+r.Doubled+r.Stray > 0 && float64(r.Shared) > fewShared*float64(r.Answered+r.Late) {
		limits = append(limits, LimitShared)
	}
	return limits
}

// watch calls Progress from now and then until the returned function is called, after which it is not called any more.
func (b *Bench) watch(begun time.Time, counts func() (sent, answered uint64)) (stop func()) {
	if b.Progress == nil {
		return func() {}
	}
	ticker := time.NewTicker(500 * time.Millisecond)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case now := <-ticker.C:
				sent, answered := counts()
				b.Progress(Progress{now.Sub(begun), sent, answered})
			case <-end:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(end)
		<-ended
	}
}
