// Package exchange holds what passes between an asker and a service: a Request, the Reply to it, the Verdict on it,
// and the Record that tells of it afterwards.
//
// It does no I/O and knows no protocol. A [Handler] works on one datagram, or on one connection of a service that
// answers on connect; the packages udp and tcp bring it Requests and carry its Replies.
package exchange

import (
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

// A Request is one datagram that came in, or one connection that was opened.
type Request struct {
	Data      []byte         // the datagram; empty for a connection; valid during the call only, and not to be changed
	Truncated bool           // the datagram was longer than Data
	Multicast bool           // it was sent to a broadcast or multicast address
	From      netip.AddrPort // who asks; unmapped: never ::ffff:1.2.3.4
	To        netip.AddrPort // what was asked; unmapped; its address is unspecified where the system does not tell
	Received  time.Time      // real time: the kernel's stamp where there is one
	Clock     clock.Clock    // the clock this client lives by, read once for this request
}

// A Reply is what goes back. An engine hands it to the Handler with Data of length 0 and the rest zero.
type Reply struct {
	Data   []byte        // append here; an answer may have no bytes (an empty echo); the engine owns the memory
	Told   time.Time     // the served time that Data says; zero where it says none
	Notes  Notes         // what is worth telling of it, or of its absence
	Delay  time.Duration // held back for this long on the way out
	Copies int           // sent this many times more, at the same moment; a stream has none
}

// A Handler answers requests. The Reply is sent if, and only if, the Verdict is [Answer].
//
// An engine calls Serve from one goroutine at a time for each of its shards, but shards share a Handler unless they
// are given one each. Serve must not keep the Reply, the Request or their Data.
type Handler interface {
	Serve(*Reply, *Request) Verdict
}

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(*Reply, *Request) Verdict

// Serve calls f.
func (f HandlerFunc) Serve(p *Reply, r *Request) Verdict { return f(p, r) }

// A Middleware wraps a Handler in another.
type Middleware func(Handler) Handler

// A Record is one exchange as told afterwards.
type Record struct {
	Received  time.Time      // real time
	From, To  netip.AddrPort // as in Request
	Service   string         // its name: "time", "daytime", "echo", "ntp"
	Transport string         // "udp" or "tcp"
	Verdict   Verdict
	Clock     clock.Clock // the clock it was answered by; nil where none was chosen
	Told      time.Time   // the served time that was sent; zero where none was
	Notes     Notes       // of an answer, or of the fault that kept it back
	Asked     int         // bytes of the request
	Answered  int         // bytes of the reply; 0 where none was sent
}

// Tell writes down all of one exchange: what was asked, and, where the Verdict is Answer, what was told. It keeps neither
// r nor p.
func (d *Record) Tell(service, transport string, r *Request, p *Reply, v Verdict) {
	*d = Record{
		Received:  r.Received,
		From:      r.From,
		To:        r.To,
		Service:   service,
		Transport: transport,
		Verdict:   v,
		Clock:     r.Clock,
		Asked:     len(r.Data),
	}
	switch v {
	case Answer:
		d.Told, d.Notes, d.Answered = p.Told, p.Notes, len(p.Data)
	case Fault:
		d.Notes = p.Notes
	}
}
