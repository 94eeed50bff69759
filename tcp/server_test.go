package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/golden"
	"github.com/yesterday-time/yesterday/service"
)

// patience is how long a test waits for what must come. It is never waited out but by a test that fails.
const patience = 10 * time.Second

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func saying(what string) exchange.Handler {
	return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		p.Data = append(p.Data, what...)
		return exchange.Answer
	})
}

// serve starts a Server, which the test's end closes. The channel has what Serve returns.
func serve(t *testing.T, s *Server) (netip.AddrPort, <-chan error) {
	t.Helper()
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background(), l) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort(), ended
}

func dial(t *testing.T, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// greeted tells whether a new connection gets n bytes; one that is refused may be reset before it is seen to be open.
func greeted(to netip.AddrPort, n int) (net.Conn, bool) {
	conn, err := net.Dial("tcp", to.String())
	if err != nil {
		return nil, false
	}
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(conn, make([]byte, n)); err != nil {
		conn.Close()
		return nil, false
	}
	return conn, true
}

func TestGolden(t *testing.T) {
	services := map[string]exchange.Handler{"time": service.TimeHandler{}, "daytime": service.DaytimeHandler{Zone: time.UTC}}
	for _, c := range golden.Cases(t) {
		h, ok := services[c.Service]
		if !ok {
			continue
		}
		t.Run(c.Service+"/"+c.Name, func(t *testing.T) {
			frozen := c.Frozen()
			addr, _ := serve(t, &Server{Handler: exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
				r.Clock = frozen
				return h.Serve(p, r)
			})})
			got, err := io.ReadAll(dial(t, addr)) // nothing is sent: it answers on connect, and closes
			if err != nil || !bytes.Equal(got, c.Reply) {
				t.Errorf("read % x, %v, want % x", got, err, c.Reply)
			}
		})
	}
}

// Who sends something all the same gets the whole answer and an end in order, no reset.
func TestUnreadBytesBringNoReset(t *testing.T) {
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, l.Addr().(*net.TCPAddr).AddrPort())
	if _, err := conn.Write(make([]byte, 10_000)); err != nil {
		t.Fatal(err)
	}
	s := &Server{Handler: saying("four")}
	go s.Serve(context.Background(), l) // it finds the bytes there
	defer s.Close()
	conn.CloseWrite()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "four" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestEchoStreams(t *testing.T) {
	s := &Server{Service: "echo", Handler: saying(""), Stream: true, Tap: exchange.NewTap()}
	addr, ended := serve(t, s)
	conn := dial(t, addr)
	for _, data := range []string{"a", "second", string(bytes.Repeat([]byte("x"), 50_000))} {
		if _, err := io.WriteString(conn, data); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(data))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != data {
			t.Fatalf("%d bytes came back as %q…, %v", len(data), got[:min(9, len(got))], err)
		}
	}
	conn.CloseWrite()
	if rest, err := io.ReadAll(conn); err != nil || len(rest) != 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	conn.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
	if n := s.Counts(); n.Answered() != 1 {
		t.Errorf("counts %+v", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var told []exchange.Record
	s.Tap.Run(ctx, func(batch []exchange.Record, _ uint64) { told = append(told, batch...) })
	if len(told) != 1 || told[0].Asked != 50_007 || told[0].Answered != 50_007 || told[0].Transport != "tcp" || told[0].To != addr {
		t.Errorf("records %+v", told)
	}
}

func TestRefusedConnectionIsClosed(t *testing.T) {
	s := &Server{Handler: exchange.HandlerFunc(func(*exchange.Reply, *exchange.Request) exchange.Verdict { return exchange.NotAllowed })}
	addr, ended := serve(t, s)
	if _, ok := greeted(addr, 1); ok {
		t.Error("it was greeted")
	}
	s.Close()
	<-ended
	if n := s.Counts(); n.Verdicts[exchange.NotAllowed] != 1 || n.Answered() != 0 {
		t.Errorf("counts %+v", n)
	}
}

func TestMaxConns(t *testing.T) {
	s := &Server{Handler: saying("hi"), Stream: true, MaxConns: 2}
	addr, _ := serve(t, s)
	first, ok1 := greeted(addr, 2)
	second, ok2 := greeted(addr, 2)
	if !ok1 || !ok2 {
		t.Fatal("two of two were not greeted")
	}
	defer second.Close()
	if _, ok := greeted(addr, 2); ok {
		t.Error("a third was greeted")
	}
	if n := s.Counts().Verdicts[exchange.Full]; n != 1 {
		t.Errorf("full: %d, want 1", n)
	}
	first.Close()
	for { // as soon as the server has seen the end
		if conn, ok := greeted(addr, 2); ok {
			conn.Close()
			break
		}
	}
}

func TestIdleTimeout(t *testing.T) {
	addr, _ := serve(t, &Server{Handler: saying(""), Stream: true, IdleTimeout: 20 * time.Millisecond})
	if _, err := io.ReadAll(dial(t, addr)); err != nil {
		t.Errorf("an idle connection ends with %v", err)
	}
}

func TestShutdown(t *testing.T) {
	for name, stop := range map[string]func(*Server) error{
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{Handler: saying("x"), Stream: true}
			addr, ended := serve(t, s)
			conn := dial(t, addr)
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if err := stop(s); err != nil { // an open stream does not hold it up
				t.Error(err)
			}
			if err := <-ended; err != ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
			if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
				t.Errorf("the stream ends with %q, %v", got, err)
			}
			if _, err := net.Dial("tcp", addr.String()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("a new connection: %v", err)
			}
			if err := stop(s); err != nil {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

// A connection whose other end takes nothing does not hold up a Shutdown longer than its context allows.
func TestShutdownCutsOff(t *testing.T) {
	s := &Server{Stream: true, Handler: exchange.HandlerFunc(func(p *exchange.Reply, _ *exchange.Request) exchange.Verdict {
		p.Data = make([]byte, 64<<20)
		return exchange.Answer
	})}
	addr, ended := serve(t, s)
	conn := dial(t, addr)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil { // it is being written
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("Shutdown: %v", err)
	}
	select {
	case <-s.done:
	default:
		t.Error("it goes on after Shutdown")
	}
	if err := <-ended; err != ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	var s Server
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), l); err != ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}

// A Server serves once: another listener is closed, and the first is served on.
func TestServeTwice(t *testing.T) {
	s := &Server{Handler: saying("x")}
	addr, _ := serve(t, s)
	if conn, ok := greeted(addr, 1); !ok {
		t.Fatal("not greeted")
	} else {
		conn.Close()
	}
	second, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), second); err != ErrServerClosed {
		t.Errorf("Serve: %v, want %v", err, ErrServerClosed)
	}
	if err := second.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second listener was open: %v", err)
	}
	if _, ok := greeted(addr, 1); !ok {
		t.Error("the first is not served on")
	}
}

// Records that find no room, as nobody watches, are counted.
func TestUntold(t *testing.T) {
	s := &Server{Tap: exchange.NewTap()}
	s.ring = s.Tap.Ring()
	n := uint64(0)
	for ; s.Counts().Untold < 3; n++ {
		s.ended(new(exchange.Request), new(exchange.Reply), exchange.Answer, 0, 0)
	}
	lost := n - uint64(len(told(t, s)))
	if counts := s.Counts(); lost != 3 || counts.Answered() != n {
		t.Errorf("%d of %d are lost, want 3 of %d", lost, counts.Answered(), n)
	}
}

// Who opens an echo, sends nothing and resets it got all that was asked for.
func TestResetWithoutAQuestion(t *testing.T) {
	s := &Server{Handler: saying(""), Stream: true}
	addr, _ := serve(t, s)
	conn := dial(t, addr)
	entered(t, s, 1)
	conn.SetLinger(0)
	conn.Close()
	entered(t, s, 0)
	if n := s.Counts(); n.Answered() != 1 || n.Dropped() != 0 {
		t.Errorf("counts %v, want one answer", n.Verdicts)
	}
}

func TestBrokenListenerEndsServer(t *testing.T) {
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &Server{Handler: saying("x")}
	if err := s.Serve(t.Context(), l); err == nil || err == ErrServerClosed {
		t.Errorf("Serve on a closed listener: %v, want an error", err)
	}
}

func TestListenRefuses(t *testing.T) {
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(l.Addr().(*net.TCPAddr).AddrPort()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the same port twice: %v", err)
	}
}
