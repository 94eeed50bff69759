package udp

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// What was received before the stop is answered, and counted, before Serve returns.
func TestShutdownAnswersWhatWasReceived(t *testing.T) {
	const waiting = 100
	l, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, l.Addr())
	for i := range waiting {
		if _, err := conn.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	s := &Server{NewHandler: func(int) exchange.Handler { return echo }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // before it has begun
	if err := s.Serve(ctx, l); err != ErrServerClosed {
		t.Errorf("Serve: %v, want %v", err, ErrServerClosed)
	}
	if n := s.Counts(); n.Answered() != waiting {
		t.Errorf("%d answered, want %d", n.Answered(), waiting)
	}
	buf := make([]byte, 16)
	for i := range waiting {
		if n, err := conn.Read(buf); err != nil || n != 1 || buf[0] != byte(i) {
			t.Fatalf("reply %d: % x, %v", i, buf[:n], err)
		}
	}
}

func TestServeReturnsErrServerClosed(t *testing.T) {
	for name, stop := range map[string]func(*Server) error{
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			s := new(Server)
			addr, ended := serve(t, s, loopback, 2)
			ask(t, dial(t, addr), []byte("x"))
			if err := stop(s); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
			if err := stop(s); err != nil {
				t.Errorf("a second time: %v", err)
			}
			l, err := Listen(addr, 1) // free again
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Serve(t.Context(), l); err != ErrServerClosed {
				t.Errorf("Serve after it: %v", err)
			}
		})
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	s := new(Server)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := s.Counts(); n != (exchange.Counts{}) {
		t.Errorf("counts %+v", n)
	}
}

// A Shutdown is heard under load: a socket that always has more to read is no reason to go on.
func TestShutdownUnderFlood(t *testing.T) {
	s := new(Server)
	addr, ended := serve(t, s, loopback, 1)
	over := make(chan struct{})
	var flood sync.WaitGroup
	for range 2 {
		conn := dial(t, addr)
		flood.Go(func() {
			data := make([]byte, 8)
			for {
				select {
				case <-over:
					return
				default:
					conn.Write(data)
				}
			}
		})
	}
	for n := (exchange.Counts{}); n.Answered() < 1000; n = s.Counts() { // until the flood is on
		runtime.Gosched()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
		<-ended
	case <-time.After(patience):
		t.Error("Shutdown waits for the flood to end")
	}
	close(over)
	flood.Wait()
}

// A Server serves once: another Listener is closed, and the first is served on.
func TestServeTwice(t *testing.T) {
	s := new(Server)
	addr, _ := serve(t, s, loopback, 1)
	conn := dial(t, addr)
	ask(t, conn, []byte("x"))
	second, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), second); err != ErrServerClosed {
		t.Errorf("Serve: %v, want %v", err, ErrServerClosed)
	}
	again, err := Listen(second.Addr(), 1)
	if err != nil {
		t.Errorf("the second Listener is open: %v", err)
	} else {
		again.Close()
	}
	if got := ask(t, conn, []byte("y")); string(got) != "y" {
		t.Errorf("reply %q", got)
	}
}

// busy starts a Server whose shard is in its Handler until it is released, and a client who has asked once, and then once more.
func busy(t *testing.T) (s *Server, ended <-chan error, release func()) {
	t.Helper()
	entered, released := make(chan struct{}, 2), make(chan struct{})
	s = &Server{NewHandler: func(int) exchange.Handler {
		return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			entered <- struct{}{}
			<-released
			return echo.Serve(p, r)
		})
	}}
	release = sync.OnceFunc(func() { close(released) })
	addr, ended := serve(t, s, loopback, 1)
	t.Cleanup(release) // before the server is closed
	conn := dial(t, addr)
	for _, data := range []string{"first", "second"} {
		if _, err := conn.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
		if data == "first" {
			<-entered
		}
	}
	return s, ended, release
}

// await waits until what s's mutex guards is so.
func await(t *testing.T, s *Server, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		s.mu.Lock()
		ok := so()
		s.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it never is so")
		}
	}
}

// When its time is up, Shutdown closes: what still waits is not answered, and it returns when all have ended.
func TestShutdownInVain(t *testing.T) {
	s, ended, release := busy(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(ctx) }()
	await(t, s, func() bool { return s.shards[0].abandon.Load() })
	select {
	case err := <-stopped:
		t.Errorf("it returns while a shard runs: %v", err)
		stopped <- err
	default:
	}
	release()
	if err := <-stopped; err != context.Canceled {
		t.Errorf("Shutdown: %v, want %v", err, context.Canceled)
	}
	if err := <-ended; err != ErrServerClosed {
		t.Errorf("Serve: %v, want %v", err, ErrServerClosed)
	}
	if n := s.Counts(); n.Answered() != 1 {
		t.Errorf("%d answered, want the first alone", n.Answered())
	}
}
