package service

import (
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/wire/rfc867"
)

// A DaytimeHandler answers any request, empty or not, with the line of RFC 867: what the client's clock reads at the
// moment the request was received.
type DaytimeHandler struct {
	Zone *time.Location // the zone the line is written in; nil: the host's
}

// Serve implements [exchange.Handler].
func (h DaytimeHandler) Serve(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	zone := h.Zone
	if zone == nil {
		zone = time.Local
	}
	p.Told = clock.Read(r.Clock, r.Received)
	p.Data = rfc867.Append(p.Data, p.Told.In(zone))
	return exchange.Answer
}
