package ask

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// tcp connects to each server in turn, as often as there are tries.
func (q *question) tcp(ctx context.Context) (Answer, error) {
	dropped := make([]bool, len(q.servers))
	for try := range q.tries {
		for i, server := range q.servers {
			if dropped[i] {
				continue
			}
			if ctx.Err() != nil {
				return Answer{}, q.silent(ctx)
			}
			answer, err := q.connect(ctx, server, q.patience(try))
			if answer != nil {
				return *answer, nil
			}
			if _, ok := errors.AsType[*BadReplyError](err); ok {
				return Answer{}, err
			}
			if !lasting(err) {
				q.failed = err
				continue
			}
			dropped[i] = true
			if err := q.drop(server, err); err != nil {
				return Answer{}, err
			}
		}
	}
	return Answer{}, q.silent(ctx)
}

// A dialError is a connection that was not made.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// lasting tells whether err would come again with the next try: the connection was not made, though there was time. A
// reset is no such error: the server was there, and may break a connection off as early as that.
func lasting(err error) bool {
	e, ok := errors.AsType[dialError](err)
	return ok && !timedOut(e) && !errors.Is(e, syscall.ECONNRESET)
}

func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled)
}

// connect asks over one connection: it sends, closes its half, and reads to the end.
func (q *question) connect(ctx context.Context, server netip.AddrPort, patience time.Duration) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q.attempts++
	sent := q.now()
	conn, err := q.dial(ctx, "tcp", server.String())
	if err != nil {
		return nil, dialError{err}
	}
	past := time.Unix(1, 0)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(past) })()
	wrote := make(chan error, 1)
	go func() { // beside the reader: an echo comes back while it is still being sent
		_, err := conn.Write(q.send)
		wrote <- cmp.Or(err, closeWrite(conn))
	}()
	reply, received, err := q.read(conn)
	conn.SetWriteDeadline(past)
	writeErr := <-wrote // the writer has let go of q.send
	conn.Close()
	if err != nil {
		return nil, err
	}
	server = remote(conn, server)
	if err := q.checkStream(reply); err != nil {
		if writeErr != nil && !timedOut(writeErr) && q.short(reply) {
			return nil, writeErr // a reset; the system tells of it once, and it was the writer that heard
		}
		return nil, q.bad(server, reply, err)
	}
	return &Answer{
		Service:   q.service,
		Transport: TCP,
		Server:    server,
		Attempts:  q.attempts,
		Sent:      sent,
		Received:  received,
		Raw:       reply,
	}, nil
}

// closeWrite ends what is sent on conn, if it has halves.
func closeWrite(conn net.Conn) error {
	if halved, ok := conn.(interface{ CloseWrite() error }); ok {
		return halved.CloseWrite()
	}
	return nil
}

// read reads a reply and tells when its last byte came. An echo ends with as many bytes as were sent; anything else, an
// empty echo too, with the end of the connection, or where the server leaves it open or breaks it off, with a reply that
// is complete.
func (q *question) read(conn net.Conn) (reply []byte, received time.Time, err error) {
	want := len(q.send)
	most := maxLine
	if q.service == service.Echo {
		most = max(want, 1)
	}
	var chunk [4096]byte
	for len(reply) <= most {
		n, err := conn.Read(chunk[:min(len(chunk), most+1-len(reply))])
		if n > 0 {
			reply = append(reply, chunk[:n]...)
			received = q.now()
		}
		switch {
		case q.service == service.Echo && want > 0 && len(reply) >= want:
			return reply[:want], received, nil
		case err == io.EOF:
			if received.IsZero() {
				received = q.now()
			}
			return reply, received, nil
		case err != nil && q.complete(reply):
			return reply, received, nil
		case err != nil && len(reply) > 0:
			return nil, received, fmt.Errorf("%s came and no more: %w", count(len(reply), "byte"), err)
		case err != nil:
			return nil, received, err
		}
	}
	return reply, received, nil // too long: checkStream says so
}

// checkStream says what is wrong with a reply that may have been cut at one byte too many.
func (q *question) checkStream(reply []byte) error {
	if q.service == service.Time && len(reply) > maxLine {
		return fmt.Errorf("rfc868: reply has more than %d bytes, want %d: % x …", maxLine, rfc868.Size, reply[:64])
	}
	if q.service == service.Daytime && len(reply) > maxLine {
		return fmt.Errorf("rfc867: reply has more than %d bytes, want a line of 1 to %d", maxLine, maxLine)
	}
	return q.check(reply)
}

// short tells whether a reply could have become an answer with more bytes.
func (q *question) short(reply []byte) bool {
	switch q.service {
	case service.Time:
		return len(reply) < rfc868.Size
	case service.Echo:
		return bytes.HasPrefix(q.send, reply)
	}
	return len(reply) == 0
}

// complete tells whether reply is an answer although its connection was not closed in good order.
func (q *question) complete(reply []byte) bool {
	return q.service == service.Daytime && bytes.HasSuffix(reply, []byte("\n")) ||
		q.service == service.Time && q.check(reply) == nil
}
