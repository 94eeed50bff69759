package fault

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// An Injector makes the faults of one service on one endpoint. It draws random numbers, so it belongs to one goroutine at
// a time: each shard has its own. The zero Injector is ready: that of the time service over datagrams, with seed 0, shard 0.
type Injector struct {
	Service service.Kind // whose replies they are
	Stream  bool         // they go out on connections: TCP

	rand *rand.Rand
}

// NewInjector returns an Injector for k, over connections or not. With the same seed and shard, the same requests, replies
// and faults in the same order meet the same fate. The shard, below 2^32, tells it from other Injectors with its seed for the
// same service and transport: those that have all in common fail alike.
func NewInjector(k service.Kind, stream bool, seed, shard uint64) *Injector {
	shard |= uint64(k) << 40
	if stream {
		shard |= 1 << 32
	}
	return &Injector{Service: k, Stream: stream, rand: rand.New(rand.NewPCG(seed, shard))}
}

// Inject makes the faults in p, the Reply of a service whose Verdict on r was [exchange.Answer], and notes in p.Notes
// each that was made. It gives Answer, and p is to be sent; or [exchange.Fault], and p holds one note alone, of the fault
// that kept it back.
//
// It changes p.Data in place, or appends to it, and so allocates only where the capacity is too small for a length. It
// never writes to r, and keeps neither of them.
func (in *Injector) Inject(faults []Fault, p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	if len(faults) == 0 {
		return exchange.Answer
	}
	if in.rand == nil {
		*in = *NewInjector(in.Service, in.Stream, 0, 0)
	}
	var due [numStages]bool // the stages that have something to do
	for i := range faults {
		if faults[i].Applies(in.Service, in.Stream) {
			due[forms[faults[i].kind].stage] = true
		}
	}
	if due[unanswered] && in.keepBack(faults, p) {
		return exchange.Fault
	}
	if due[header] && len(p.Data) >= ntp.HeaderSize {
		in.rewrite(faults, p, r)
	}
	if due[cut] {
		in.cut(faults, p)
	}
	if due[flip] {
		in.flip(faults, p)
	}
	if due[wayOut] {
		in.send(faults, p)
	}
	return exchange.Answer
}

// keepBack makes the first loss or silence that happens.
func (in *Injector) keepBack(faults []Fault, p *exchange.Reply) bool {
	for i := range faults {
		f := &faults[i]
		if forms[f.kind].stage == unanswered && f.chance.hits(in.rand) {
			*p = exchange.Reply{Data: p.Data[:0], Notes: f.Note()}
			return true
		}
	}
	return false
}

// cut makes replies shorter or longer.
func (in *Injector) cut(faults []Fault, p *exchange.Reply) {
	said := in.said(p)
	for i := range faults {
		f := &faults[i]
		n, have := int(f.number), len(p.Data)
		if f.kind != length || n == have || !f.chance.hits(in.rand) {
			continue
		}
		if n < have {
			p.Data = p.Data[:n]
		} else {
			p.Data = slices.Grow(p.Data, n-have)[:n]
			clear(p.Data[have:]) // the buffer may hold what somebody else was told
		}
		if n < said {
			p.Told = time.Time{}
		}
		p.Notes |= f.Note()
	}
}

// said returns how many bytes it takes to read the time in p: its first ones.
func (in *Injector) said(p *exchange.Reply) int {
	switch in.Service {
	case service.Time:
		return rfc868.Size
	case service.Daytime:
		return len(p.Data) - len("\r\n")
	case service.NTP:
		return ntp.HeaderSize
	}
	return 0
}

// flip turns random bits over.
func (in *Injector) flip(faults []Fault, p *exchange.Reply) {
	for i := range faults {
		f := &faults[i]
		if f.kind != corrupt || len(p.Data) == 0 || !f.chance.hits(in.rand) {
			continue
		}
		bit := in.rand.IntN(8 * len(p.Data))
		p.Data[bit/8] ^= 1 << (bit % 8)
		p.Notes |= f.Note()
	}
}

// send says when and how often the reply goes out.
func (in *Injector) send(faults []Fault, p *exchange.Reply) {
	for i := range faults {
		f := &faults[i]
		switch {
		case f.kind == delay && f.chance.hits(in.rand):
			d := f.from
			if f.to > f.from {
				d += time.Duration(in.rand.Int64N(int64(f.to-f.from) + 1))
			}
			p.Delay = min(p.Delay+d, MaxDelay)
		case f.kind == duplicate && !in.Stream && f.chance.hits(in.rand):
			p.Copies++
		default:
			continue
		}
		p.Notes |= f.Note()
	}
}
