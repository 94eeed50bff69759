package fault

import (
	"encoding/binary"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// notYetSet is the kiss code of a server that is not synchronised yet (RFC 5905, section 7.4).
var notYetSet = ntp.ReferenceID{'I', 'N', 'I', 'T'}

// rewrite makes the faults in NTP's header. p has one.
func (in *Injector) rewrite(faults []Fault, p *exchange.Reply, r *exchange.Request) {
	now, err := ntp.Parse(p.Data[:ntp.HeaderSize])
	if err != nil {
		return
	}
	for i := range faults {
		f := &faults[i]
		if forms[f.kind].stage != header {
			continue
		}
		next := f.rewritten(now)
		if next == now && f.kind != wrongOrigin || !f.chance.hits(in.rand) {
			continue
		}
		switch f.kind {
		case wrongOrigin:
			next.Origin = in.wrongOrigin(r)
		case zeroTransmit:
			p.Told = time.Time{}
		}
		now = next
		p.Notes |= f.Note()
	}
	now.Append(p.Data[:0]) // in place: what is behind the header stays
}

// rewritten returns the header that f makes of h, but for what is random in it (RFC 5905, section 7.3).
func (f *Fault) rewritten(h ntp.Header) ntp.Header {
	switch f.kind {
	case kiss:
		h.Leap, h.Stratum, h.ReferenceID = ntp.LeapUnknown, 0, f.code
	case unsynchronised:
		h.Leap, h.Stratum, h.ReferenceID = ntp.LeapUnknown, 0, notYetSet
	case stratum:
		h.Stratum = uint8(f.number)
	case leap:
		h.Leap = ntp.Leap(f.number)
	case mode:
		h.Mode = ntp.Mode(f.number)
	case version:
		h.Version = uint8(f.number)
	case zeroTransmit:
		h.Transmit = 0
	}
	return h
}

// wrongOrigin returns any timestamp but the one that r's asker sent as its transmit time, which is the right origin.
func (in *Injector) wrongOrigin(r *exchange.Request) ntp.Timestamp {
	wrong := ntp.Timestamp(in.rand.Uint64())
	if len(r.Data) >= ntp.HeaderSize && uint64(wrong) == binary.BigEndian.Uint64(r.Data[40:]) {
		wrong++
	}
	return wrong
}
