// Package ask asks a server what time it is there, by RFC 868 ([Time]), RFC 867 ([Daytime]) or RFC 5905 ([NTP]), or whether
// it is there at all, by RFC 862 ([Echo]); over UDP with retries, or, but for NTP, over TCP.
//
//	answer, err := ask.Time(ctx, "localhost:12345")
//	if err != nil {
//		return err
//	}
//	fmt.Println(answer.Served, answer.Offset, answer.RoundTrip)
//
// NTP tells the time to a fraction of a microsecond, and how good it is; [NTP] holds against each answer what a client
// must, and still returns those that fail, so that any server can be examined.
//
// A server is named by a text that [ParseTarget] describes: "HOST", "HOST:PORT", "HOST:SERVICE", "[::1]:37". What goes
// wrong has a type of its own: [TargetError], [RefusedError], [UnreachableError], [NoReplyError], [BadReplyError],
// [TooLongError].
package ask

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/rfc867"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// A Client asks. Its zero value works, over UDP; a Client may be used by any number of goroutines at once, and its
// fields must not be changed while it is.
type Client struct {
	// Timeout is how long the first try waits for a reply; each try waits twice as long as the one before, up to a
	// minute or Timeout, whichever is longer. Zero means one second.
	Timeout time.Duration

	// Tries is how often each address of the server is asked before giving up. Zero means 3.
	Tries int

	// Transport is UDP by default.
	Transport Transport

	// Send is what requests for the time or the daytime carry. Servers do not look at it. It is empty by default.
	Send []byte

	// Pivot chooses the era of the 4 bytes of RFC 868, and of NTP's transmit time: the one in which they are nearest to it.
	// Zero means now, so that 2036 is crossed rightly. To read them in a given era, set rfc868.Time(1<<31).In(era), its
	// middle.
	Pivot time.Time

	// Samples is how many times NTP asks, to answer with the sample of the least delay. Zero means once.
	Samples int

	// Interval is how long NTP waits between two samples. Zero means 100 ms where the server's address is loopback, private
	// or link-local, and 2 seconds elsewhere, since public servers take offence at less.
	Interval time.Duration

	// Zone is the zone that a daytime line is read in, which itself does not tell. Nil means the host's.
	Zone *time.Location

	// Resolver finds the addresses of names and the ports of services. Nil means net.DefaultResolver.
	Resolver Resolver

	// Dial connects, over "udp" or "tcp", to an address such as "[::1]:37": through a proxy, or in a test without a network, as
	// timetest's servers in memory are asked. ctx counts until it returns. The deadlines of the net.Conn must work. Over UDP each
	// Write, and each Read, is one datagram; only a *net.UDPConn tells when the kernel received it. Over TCP its CloseWrite is
	// called if it has one, as *net.TCPConn has. Dial is called from several goroutines at once. Nil means as net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Now is the real clock that the answer is measured and compared by. Nil means time.Now, whose monotonic reading makes
	// the round trip exact. It is called from several goroutines at once.
	Now func() time.Time
}

// Transport is how a server is asked. Its zero value is UDP.
type Transport uint8

const (
	UDP Transport = iota
	TCP
)

// String returns "udp" or "tcp".
func (t Transport) String() string {
	switch t {
	case UDP:
		return "udp"
	case TCP:
		return "tcp"
	}
	return fmt.Sprintf("Transport(%d)", uint8(t))
}

// An Answer is what a server said, and how it came.
type Answer struct {
	Service   service.Kind
	Transport Transport
	Server    netip.AddrPort // who answered
	Attempts  int            // datagrams sent, or connections begun, until then, to all addresses together

	// Sent and Received are when the question left and when the reply was there: real time. Sent is that of the last
	// datagram to Server; where the reply is a late one to an earlier datagram, nothing tells. Over TCP Sent is before
	// the connection was begun, since these services answer on connect.
	Sent, Received time.Time
	RoundTrip      time.Duration // from Sent to Received

	// Raw is the reply, byte for byte. The caller owns it.
	Raw []byte

	// Served is what the server's clock said, in whole seconds: in UTC for the time, in Client.Zone for a daytime line.
	// It is zero for an echo, and for a daytime line that is not in ctime form.
	Served time.Time

	// Offset is how far Served is from real time, in seconds: negative is behind. It is zero where Served is.
	//
	// The reply is cut to whole seconds, so the server's true offset from the middle of the round trip lies in
	// [Served-middle, Served+1s-middle); Offset is the whole second in there. Where a new second begins between Sent and
	// Received, less than a second apart, two whole seconds may be meant and the reply cannot tell which; of these Offset
	// is the one that makes whole minutes, if one does. So a clock that is 24 hours behind always reads -86400.
	Offset int64
}

// Time asks the server at addr for the time by RFC 868. Its default port is 12345.
func (c *Client) Time(ctx context.Context, addr string) (Answer, error) {
	return c.ask(ctx, question{service: service.Time, send: c.Send}, addr)
}

// Daytime asks the server at addr for its daytime line by RFC 867. Its default port is 12321. Any line of 1 to 512 bytes
// is an answer; Answer.Served is set if it is in ctime form.
func (c *Client) Daytime(ctx context.Context, addr string) (Answer, error) {
	return c.ask(ctx, question{service: service.Daytime, send: c.Send}, addr)
}

// Echo sends data to the server at addr and waits until the same data comes back, by RFC 862. Its default port is
// 12315. Over UDP other datagrams are passed over; over TCP other bytes end it. Empty data is an empty datagram, or over
// TCP a connection that is closed without a byte. Echo does not keep data.
func (c *Client) Echo(ctx context.Context, addr string, data []byte) (Answer, error) {
	return c.ask(ctx, question{service: service.Echo, send: data}, addr)
}

// Time asks the server at addr for the time with a zero [Client].
func Time(ctx context.Context, addr string) (Answer, error) { return new(Client).Time(ctx, addr) }

// Daytime asks the server at addr for its daytime line with a zero [Client].
func Daytime(ctx context.Context, addr string) (Answer, error) { return new(Client).Daytime(ctx, addr) }

// Echo sends data to the server at addr and waits until it comes back, with a zero [Client].
func Echo(ctx context.Context, addr string, data []byte) (Answer, error) {
	return new(Client).Echo(ctx, addr, data)
}

// ask asks q and reads the time out of the answer.
func (c *Client) ask(ctx context.Context, q question, addr string) (Answer, error) {
	if err := c.begin(ctx, &q, addr); err != nil {
		return Answer{}, err
	}
	var answer Answer
	var err error
	if q.transport == TCP {
		answer, err = q.tcp(ctx)
	} else {
		answer, err = q.udp(ctx)
	}
	if err != nil {
		return Answer{}, err
	}
	answer.RoundTrip = answer.Received.Sub(answer.Sent)
	switch q.service {
	case service.Time:
		v, err := rfc868.Parse(answer.Raw)
		if err != nil {
			return Answer{}, err // cannot be: the reply was checked
		}
		pivot := c.Pivot
		if pivot.IsZero() {
			pivot = middle(answer.Sent, answer.Received)
		}
		answer.Served = v.Near(pivot)
	case service.Daytime:
		if answer.Served, err = rfc867.Parse(answer.Raw, c.Zone); err != nil {
			return answer, nil // a line in a form of its own
		}
	case service.Echo:
		return answer, nil
	}
	answer.Offset = offset(answer.Served, answer.Sent, answer.Received)
	return answer, nil
}

// begin takes over the client's settings and finds the server's addresses.
func (c *Client) begin(ctx context.Context, q *question, addr string) error {
	if err := q.set(c); err != nil {
		return err
	}
	target, err := ParseTarget(addr)
	if err != nil {
		return err
	}
	q.servers, err = c.resolve(ctx, target, q.service)
	return err
}

// offset is how many seconds served is from real time, as Answer.Offset tells.
func offset(served, sent, received time.Time) int64 {
	seconds := served.Unix() - middle(sent, received).Unix()
	if received.Unix()-sent.Unix() != 1 || received.Sub(sent) >= time.Second {
		return seconds
	}
	for _, real := range []time.Time{sent, received} {
		if s := served.Unix() - real.Unix(); s%60 == 0 {
			return s
		}
	}
	return seconds
}

func middle(sent, received time.Time) time.Time { return sent.Add(received.Sub(sent) / 2) }
