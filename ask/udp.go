package ask

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// A path leads to one address of the server: a connected socket, so that the system passes on nothing from anybody else,
// and reports a refused port.
type path struct {
	server  netip.AddrPort
	conn    net.Conn  // nil until it is first asked
	sent    []sending // in their order
	dropped bool
}

// A sending is a datagram that was sent.
type sending struct {
	cookie ntp.Timestamp // of NTP, by which its answer is known
	at     time.Time     // real time
}

// An arrival is what a path's socket gave: a datagram, or the error that ends it.
type arrival struct {
	path *path
	data []byte
	at   time.Time // real time
	err  error
}

// An inquiry is a question under way over UDP. Its sockets stay open between the tries: a late reply to an earlier one
// is as good.
type inquiry struct {
	*question
	paths    []*path
	arrivals chan arrival
	ended    chan struct{}
	readers  sync.WaitGroup
}

// udp asks each server in turn, as often as there are tries. Where nothing better came it gives NTP's stray.
func (q *question) udp(ctx context.Context) (Answer, error) {
	answer, err := q.inquire(ctx)
	if err != nil && q.passed != nil && ctx.Err() == nil {
		return *q.passed, nil
	}
	return answer, err
}

func (q *question) inquire(ctx context.Context) (Answer, error) {
	in := inquiry{question: q, arrivals: make(chan arrival), ended: make(chan struct{})}
	for _, s := range q.servers {
		in.paths = append(in.paths, &path{server: s})
	}
	defer in.close()
	for try := range q.tries {
		for _, p := range in.paths {
			answer, err := in.try(ctx, p, q.patience(try))
			if answer != nil {
				return *answer, nil
			}
			if err != nil {
				return Answer{}, err
			}
		}
	}
	return Answer{}, q.silent(ctx)
}

// try asks on p and waits for a good reply on any path. It returns neither an answer nor an error where nothing came in
// time, or where p is dropped but others are left.
func (in *inquiry) try(ctx context.Context, p *path, patience time.Duration) (*Answer, error) {
	if p.dropped {
		return nil, nil
	}
	if ctx.Err() != nil {
		return nil, in.silent(ctx)
	}
	if most := maxPayload(p.server); len(in.send) > most {
		return nil, &TooLongError{len(in.send), most}
	}
	if err := in.ask(ctx, p); err != nil {
		if ctx.Err() != nil {
			return nil, in.silent(ctx)
		}
		return nil, in.drop(p, err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !p.dropped {
		select {
		case <-ctx.Done():
			return nil, in.silent(ctx)
		case <-timer.C:
			return nil, nil
		case a := <-in.arrivals:
			if a.err != nil {
				if err := in.drop(a.path, a.err); err != nil {
					return nil, err
				}
				continue
			}
			if answer, err := in.judge(a); answer != nil || err != nil {
				return answer, err
			}
		}
	}
	return nil, nil
}

// ask sends one datagram on p, the first time from a new socket.
func (in *inquiry) ask(ctx context.Context, p *path) error {
	if p.conn == nil {
		conn, err := in.dial(ctx, "udp", p.server.String())
		if err != nil {
			return err
		}
		p.conn = conn
		if socket, ok := conn.(*net.UDPConn); ok {
			wantStamps(socket)
		}
		in.readers.Go(func() { in.listen(p) })
	}
	data, cookie := in.send, ntp.Timestamp(0)
	if in.service == service.NTP {
		cookie = newCookie()
		data = ntpQuestion(cookie)
	}
	p.sent = append(p.sent, sending{cookie, in.now()})
	if _, err := p.conn.Write(data); err != nil {
		return err
	}
	in.attempts++
	return nil
}

// listen passes on what comes in on p, until an error or the end.
func (in *inquiry) listen(p *path) {
	buf, control := make([]byte, 1<<16), make([]byte, stampRoom) // holds every datagram
	for {
		n, said, err := receive(p.conn, buf, control)
		a := arrival{path: p, at: in.now(), err: err}
		if err == nil { // else the lengths mean nothing
			a.data, a.at = bytes.Clone(buf[:n]), cameAt(a.at, stampOf(control[:said]))
		}
		select {
		case in.arrivals <- a:
		case <-in.ended:
			return
		}
		if err != nil {
			return
		}
	}
}

// receive reads a datagram into buf, and into control what the system says beside it.
func receive(conn net.Conn, buf, control []byte) (n, said int, err error) {
	if socket, ok := conn.(*net.UDPConn); ok {
		n, said, _, _, err = socket.ReadMsgUDPAddrPort(buf, control)
		return n, said, err
	}
	n, err = conn.Read(buf)
	return n, 0, err
}

// cameAt is when a datagram came in that was read at read: real time. The kernel's stamp, if it is not zero, is of the host's
// clock; so is a reading with a monotonic part, and only such a one is taken back by as long as the datagram waited. What
// seems longer than a second is a clock that was set.
func cameAt(read, stamp time.Time) time.Time {
	wall := read.Round(0)
	if stamp.IsZero() || wall == read {
		return read
	}
	if waited := wall.Sub(stamp); 0 <= waited && waited <= time.Second {
		return read.Add(-waited)
	}
	return read
}

// judge makes an answer of a datagram. It returns nil where an echo is not what was sent, or a reply of NTP is not to what
// was sent: another may still be.
func (in *inquiry) judge(a arrival) (*Answer, error) {
	answer := &Answer{
		Service:   in.service,
		Transport: UDP,
		Server:    remote(a.path.conn, a.path.server),
		Attempts:  in.attempts,
		Sent:      a.path.sent[len(a.path.sent)-1].at,
		Received:  a.at,
		Raw:       a.data,
	}
	if in.service == service.NTP {
		return in.match(a.path, answer), nil
	}
	err := in.check(a.data)
	switch {
	case err == nil:
		return answer, nil
	case in.service != service.Echo:
		return nil, in.bad(answer.Server, a.data, err)
	}
	in.strays++
	in.stray = a.data
	return nil, nil
}

// drop gives up on p. It returns an error once no path is left.
func (in *inquiry) drop(p *path, err error) error {
	if p.dropped {
		return nil // its reader and its writer may each hear of it
	}
	p.dropped = true
	return in.question.drop(p.server, err)
}

func (in *inquiry) close() {
	close(in.ended)
	for _, p := range in.paths {
		if p.conn != nil {
			p.conn.Close()
		}
	}
	in.readers.Wait()
}

// maxPayload is how many bytes a datagram to server holds: IPv4 counts its own header in its 16 bits of length, IPv6
// only UDP's.
func maxPayload(server netip.AddrPort) int {
	if server.Addr().Is4() {
		return 65535 - 20 - 8
	}
	return 65535 - 8
}

// remote is where conn leads, which is another address than asked where that was the unspecified one.
func remote(conn net.Conn, asked netip.AddrPort) netip.AddrPort {
	var a netip.AddrPort
	switch remote := conn.RemoteAddr().(type) {
	case *net.UDPAddr:
		a = remote.AddrPort()
	case *net.TCPAddr:
		a = remote.AddrPort()
	default:
		return asked
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
