package service

import (
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// A TimeHandler answers any request, empty or not, with the 4 bytes of RFC 868: what the client's clock reads at the
// moment the request was received.
type TimeHandler struct{}

// Serve implements [exchange.Handler].
func (TimeHandler) Serve(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	p.Told = clock.Read(r.Clock, r.Received)
	p.Data = rfc868.Of(p.Told).Append(p.Data)
	return exchange.Answer
}
