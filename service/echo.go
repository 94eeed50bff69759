package service

import "github.com/yesterday-time/yesterday/exchange"

// An EchoHandler answers a datagram with the same bytes (RFC 862), or, where it did not fit the buffer, not at all.
type EchoHandler struct{}

// Serve implements [exchange.Handler].
func (EchoHandler) Serve(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	if r.Truncated {
		return exchange.Truncated
	}
	p.Data = append(p.Data, r.Data...)
	return exchange.Answer
}
