package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
)

// MaxPorts is how many requests of time or daytime a Ping may have under way at once, each with a port of its own.
const MaxPorts = 4096

// A Ping measures round trips one by one.
type Ping struct {
	Service service.Kind

	// Servers are the addresses of one server. The first is asked; where it can't be, or refuses before anything was
	// answered, the next is.
	Servers []netip.AddrPort

	Count    int           // requests to send; 0: until the context is done
	Interval time.Duration // between two requests; more than 0
	Timeout  time.Duration // a reply that takes longer is late; more than 0
	Size     int           // bytes to send: of an echo at least MinEcho; NTP has a size of its own

	// Each is called for each Event in turn, if it is not nil.
	Each func(Event)

	connect func(netip.AddrPort) (network, error) // nil: the system's
}

// An EventKind is what an Event tells of.
type EventKind uint8

const (
	Began     EventKind = iota // Server is asked from now on
	Answered                   // the first good reply, in time
	Late                       // the first good reply, after the time-out
	Doubled                    // a further good reply
	Corrupted                  // a reply that is not what was sent, or no reply of that service
	Kissed                     // an NTP server declines to tell the time, by Code; it is not asked again
	Lost                       // no good reply within the time-out; one may still come late
	Refused                    // the host says that nothing listens there: the request, if it is known which, is lost
	Failed                     // Err is why a request could not be sent, or a socket not be read
)

// An Event is what Ping tells of while it measures.
type Event struct {
	Kind      EventKind
	Server    netip.AddrPort
	Seq       uint64        // counts the requests from 1; 0 where it is not known
	At        time.Time     // when it came in, or was noticed: real time
	RoundTrip time.Duration // of Answered, Late and Doubled
	Kernel    bool          // both ends of RoundTrip were stamped by the kernel
	Reply     []byte        // valid during the call only
	Offset    time.Duration // of NTP: the server's clock less this host's
	Timed     bool          // there is an Offset
	Code      string        // of Kissed: RATE, DENY or RSTR
	Err       error
}

// A Summary is what Ping has measured. Sent is Received, Late, Lost, Pending and Kissed together.
type Summary struct {
	Server   netip.AddrPort
	Sent     uint64
	Received uint64 // answered in time
	Late     uint64
	Lost     uint64 // no good reply came within the time-out, or the host said that none will
	Pending  uint64 // neither answered nor timed out when Ping ended
	Kissed   uint64 // the server declined to answer, by a kiss code

	Duplicated uint64 // further good replies
	Reordered  uint64 // requests answered after a later one was (RFC 4737, section 3.3)
	Corrupted  uint64 // replies that were not what was sent
	Refused    uint64 // how often the host said that nothing listens
	Unsent     uint64 // requests that this host did not send
	Overflow   uint64 // replies that came, but found this program's socket full: lost here, not on the way

	RoundTrip Spread        // of Received and Late
	Jitter    time.Duration // RFC 3550, section 6.4.1
	Kernel    uint64        // round trips that the kernel stamped at both ends; the others are this program's readings
	Offset    OffsetSpread  // of NTP
	Took      time.Duration
}

// A KissError tells that an NTP server wants to be left alone.
type KissError struct {
	Server netip.AddrPort
	Code   string // RATE, DENY or RSTR
}

func (e *KissError) Error() string {
	return fmt.Sprintf("%v says %s: %s", e.Server, e.Code, ask.KissMeaning(e.Code))
}

// refused tells whether err is a host's word that nothing listens on the port. Windows calls it a reset connection.
func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.Errno(10061)) ||
		errors.Is(err, syscall.Errno(10054))
}

// A network is sockets to one server. Handles are of the caller's choice. Its methods but receive are called by one goroutine.
type network interface {
	open(handle uint64) error
	send(handle, seq uint64, data []byte) (before time.Time, err error) // before is read just before: real time
	shut(handle uint64)
	arrivals() <-chan arrival
	overflow() uint64 // datagrams that came but found a socket's buffer full, as far as the system tells
	close()           // ends arrivals
}

// An arrival is what a socket gave: a datagram, the stamp of one that was sent, or an error.
type arrival struct {
	handle uint64
	data   []byte
	at     time.Time // when the datagram came in or went out: real time, with a monotonic reading
	kernel bool      // by the kernel's stamp
	sent   bool      // it is the stamp of the request seq
	seq    uint64
	err    error
}

// errNext tells that this address is of no use.
var errNext = errors.New("refused")

// Run measures until Count requests are settled or ctx is done. The error tells why it ended before: no socket could be had,
// or a KissError; the Summary holds even then.
func (p *Ping) Run(ctx context.Context) (Summary, error) {
	connect := p.connect
	if connect == nil {
		connect = connectTo
	}
	var s Summary
	var err error
	for i, server := range p.Servers {
		var n network
		if n, err = connect(server); err != nil {
			s, err = Summary{Server: server}, fmt.Errorf("%v: %w", server, err)
			continue
		}
		r := pinging{Ping: p, network: n, last: i == len(p.Servers)-1, server: server}
		s, err = r.run(ctx)
		n.close()
		if err != errNext {
			return s, err
		}
	}
	return s, err
}

// pinging is a Ping of one address under way.
type pinging struct {
	*Ping
	network network
	server  netip.AddrPort
	last    bool // there is no other address

	ledger *ledger
	begun  time.Time
	due    time.Time // when the next request is to leave
	done   int       // requests that have left, or failed to
	heard  time.Time // when something last came
}

// ownPorts tells whether each request of a service has a port of its own, since nothing in the reply tells whose it is.
func ownPorts(k service.Kind) bool { return k == service.Time || k == service.Daytime }

// ports is how many such ports are kept open: as long as a reply may come in time, and as far as there are ports, three time-outs
// more, to hear what is late.
func (p *Ping) ports() uint64 {
	inTime := p.Timeout/p.Interval + 2
	return uint64(max(inTime, min(max(4*inTime, 64), MaxPorts)))
}

func (p *pinging) tell(e Event) {
	if e.Server = p.server; p.Each != nil {
		p.Each(e)
	}
}

func (p *pinging) run(ctx context.Context) (Summary, error) {
	p.begun = time.Now()
	p.due = p.begun
	p.ledger = newLedger(p.Service, newQuestions(p.Service, p.Size), p.begun, p.Timeout, p.Interval)
	p.tell(Event{Kind: Began, At: p.begun})
	if !ownPorts(p.Service) {
		if err := p.network.open(0); err != nil {
			if !p.last {
				return Summary{}, errNext
			}
			return p.summary(), fmt.Errorf("%v: %w", p.server, err)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			p.catchUp() // what has come by now counts
			return p.summary(), nil
		case a := <-p.network.arrivals():
			if err := p.take(a); err != nil {
				return p.summary(), err
			}
		case <-timer.C:
		}
		now := time.Now()
		if p.ask(now) {
			if err := p.send(); err != nil {
				return p.summary(), err
			}
		}
		for e := range p.ledger.expire(now) {
			p.tell(e)
		}
		wake, ok := p.wake()
		if !ok {
			return p.summary(), nil
		}
		timer.Reset(time.Until(wake))
	}
}

// ask tells whether a request is to leave now.
func (p *pinging) ask(now time.Time) bool {
	return (p.Count == 0 || p.done < p.Count) && !now.Before(p.due)
}

// wake is when there is something to do next if nothing comes before, and whether there ever is.
func (p *pinging) wake() (time.Time, bool) {
	more := p.Count == 0 || p.done < p.Count
	expiry, waits := p.ledger.expiry()
	switch {
	case more && waits:
		return slices.MinFunc([]time.Time{p.due, expiry}, time.Time.Compare), true
	case more:
		return p.due, true
	case waits:
		return expiry, true
	}
	// Nothing is to come but duplicates; they take about as long as the replies did.
	quiet := p.heard.Add(min(2*p.ledger.trips.max, p.Timeout))
	return quiet, time.Now().Before(quiet)
}

// send sends the next request. An error is one that stays.
func (p *pinging) send() error {
	handle := uint64(0)
	if ownPorts(p.Service) {
		handle = p.ledger.next()
		if ports := p.ports(); handle >= ports {
			p.network.shut(handle - ports)
		}
		if err := p.network.open(handle); err != nil {
			if !p.last && p.done == 0 {
				return errNext
			}
			return p.unsent(err)
		}
	}
	before, err := p.network.send(handle, p.ledger.next(), p.ledger.request())
	if refused(err) { // that was said of an earlier one
		if err := p.refuse(handle, err); err != nil {
			return err
		}
		before, err = p.network.send(handle, p.ledger.next(), p.ledger.request())
	}
	if err != nil {
		return p.unsent(err)
	}
	p.ledger.sent(before)
	p.step()
	return nil
}

// step sets when the next request is due. One that is overdue does not make others hurry after it.
func (p *pinging) step() {
	p.done++
	p.due = p.due.Add(p.Interval)
	if now := time.Now(); p.due.Before(now) {
		p.due = now
	}
}

func (p *pinging) unsent(err error) error {
	p.tell(Event{Kind: Failed, Seq: p.ledger.next() + 1, At: time.Now(), Err: err})
	p.ledger.unsent(time.Now())
	p.step()
	return nil
}

func (p *pinging) refuse(handle uint64, err error) error {
	e := p.ledger.refuse(handle, time.Now())
	e.Err = err
	p.tell(e)
	if !p.last && p.ledger.trips.count == 0 {
		return errNext
	}
	return nil
}

// catchUp takes what has been read by now.
func (p *pinging) catchUp() {
	for {
		select {
		case a := <-p.network.arrivals():
			p.take(a)
		default:
			return
		}
	}
}

// take takes in an arrival.
func (p *pinging) take(a arrival) error {
	switch {
	case refused(a.err):
		return p.refuse(a.handle, a.err)
	case a.err != nil:
		p.tell(Event{Kind: Failed, At: time.Now(), Err: a.err})
		return nil
	case a.sent:
		p.ledger.stamp(a)
		return nil
	}
	p.heard = time.Now()
	if e, ok := p.ledger.kiss(a); ok {
		p.tell(e)
		return &KissError{p.server, e.Code}
	}
	if e, ok := p.ledger.reply(a); ok {
		p.tell(e)
	}
	return nil
}

func (p *pinging) summary() Summary {
	s := p.ledger.summary()
	s.Server, s.Took, s.Overflow = p.server, time.Since(p.begun), p.network.overflow()
	return s
}
