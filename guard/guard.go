// Package guard decides who is answered: an allow-list of addresses, the source ports that would make a loop, and a
// limit for each source. What it refuses is given a Verdict, so that it is counted by cause.
package guard

import "github.com/yesterday-time/yesterday/exchange"

// A Guard stands before a Handler. Each part may be nil, which lets everything pass; so does the zero Guard.
//
// Host, Allow and Loops may be shared by any number of Guards; a Limiter belongs to one Guard, and a Guard with one to
// one goroutine at a time: a shard.
type Guard struct {
	Host  *Host // tells Allow and Loops what is this host's own
	Allow *Allow
	Loops *Loops
	Limit *Limiter
}

// Admit tells whether r is to be answered. It looks at r's addresses and its time, allocates nothing and takes no lock.
// The cheapest and most final refusals come first; who is not allowed uses up nobody's limit.
func (g *Guard) Admit(r *exchange.Request) exchange.Verdict {
	switch {
	case r.Multicast:
		return exchange.Multicast
	case g.Loops != nil && g.Loops.Has(r.From, g.Host):
		return exchange.Loop
	case g.Allow != nil && !g.Allow.Has(r.From.Addr(), g.Host):
		return exchange.NotAllowed
	case g.Limit != nil && !g.Limit.Take(r.From.Addr(), r.Received):
		return exchange.Limit
	}
	return exchange.Answer
}

// Middleware puts the Guard before a Handler.
func (g *Guard) Middleware(next exchange.Handler) exchange.Handler {
	return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		if v := g.Admit(r); v != exchange.Answer {
			return v
		}
		return next.Serve(p, r)
	})
}
