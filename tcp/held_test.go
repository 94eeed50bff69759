package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// late says "late" after delay.
func late(delay time.Duration) exchange.Handler {
	return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
		p.Data = append(p.Data, "late"...)
		p.Delay, p.Copies, p.Notes, p.Told = delay, 2, exchange.FaultDelay, r.Received
		return exchange.Answer
	})
}

// mute answers nothing, on purpose.
var mute = exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	p.Data = append(p.Data, "never sent"...)
	p.Notes, p.Told = exchange.FaultSilence, r.Received
	return exchange.Fault
})

// entered waits until n connections are open.
func entered(t *testing.T, s *Server, n int) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		s.mu.Lock()
		open := len(s.places.open)
		s.mu.Unlock()
		if open == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are open, want %d", open, n)
		}
	}
}

// told returns the Records of a Server that has ended.
func told(t *testing.T, s *Server) (all []exchange.Record) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Tap.Run(ctx, func(batch []exchange.Record, _ uint64) { all = append(all, batch...) })
	return all
}

// A greeting does not come before its time, and once; of a stream nothing comes before it. Others do not wait for it.
func TestDelay(t *testing.T) {
	const delay = 30 * time.Millisecond
	for _, stream := range []bool{false, true} {
		for _, d := range []time.Duration{delay, 0, -time.Hour} {
			t.Run(fmt.Sprint(d, " ", stream), func(t *testing.T) {
				s := &Server{Handler: late(d), Stream: stream, Tap: exchange.NewTap()}
				addr, _ := serve(t, s)
				before := time.Now()
				conns := []*net.TCPConn{dial(t, addr), dial(t, addr)}
				for _, conn := range conns {
					if _, err := io.WriteString(conn, "hi"); err != nil {
						t.Fatal(err)
					}
					conn.CloseWrite() // it still waits for the answer
				}
				want, asked := "late", 0
				if stream {
					want, asked = "latehi", 2
				}
				for _, conn := range conns {
					got, err := io.ReadAll(conn)
					if err != nil || string(got) != want {
						t.Errorf("read %q, %v, want %q", got, err, want)
					}
					if e := time.Since(before); e < d {
						t.Errorf("after %v, want %v at least", e, d)
					}
				}
				s.Close()
				if n := s.Counts(); n.Answered() != 2 || n.Dropped() != 0 || n.Notes[3] != 2 {
					t.Errorf("counts %+v", n)
				}
				all := told(t, s)
				for _, r := range all {
					if r.Verdict != exchange.Answer || r.Answered != len(want) || r.Asked != asked || r.Told != r.Received ||
						r.Notes != exchange.FaultDelay {
						t.Errorf("record %+v", r)
					}
				}
				if len(all) != 2 {
					t.Errorf("%d records", len(all))
				}
			})
		}
	}
}

// IdleTimeout begins when the delay ends.
func TestDelayIsNotIdle(t *testing.T) {
	for try := 1; ; try++ {
		addr, _ := serve(t, &Server{Handler: late(300 * time.Millisecond), IdleTimeout: 250 * time.Millisecond})
		got, err := io.ReadAll(dial(t, addr))
		if err == nil && string(got) == "late" {
			return
		}
		if try == 10 { // a busy machine may hold up one, not all of them
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

// A stop does not wait for a delay: what is due within a second is written, unless all is cut off, and the rest not.
func TestStopWhileDelayed(t *testing.T) {
	shutdown := func(s *Server) error { return s.Shutdown(context.Background()) }
	for _, c := range []struct {
		name  string
		delay time.Duration
		stop  func(*Server) error
		want  string
	}{
		{"Shutdown soon", time.Second, shutdown, "late"},
		{"Shutdown", time.Hour, shutdown, ""},
		{"Close soon", time.Second, (*Server).Close, ""},
		{"Close", time.Hour, (*Server).Close, ""},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " ", stream), func(t *testing.T) {
				for try := 1; ; try++ {
					s := &Server{Handler: late(c.delay), Stream: stream, Tap: exchange.NewTap()}
					addr, ended := serve(t, s)
					before := time.Now()
					conn := dial(t, addr)
					entered(t, s, 1)
					if err := c.stop(s); err != nil {
						t.Error(err)
					}
					if err := <-ended; err != ErrServerClosed {
						t.Errorf("Serve: %v", err)
					}
					if time.Since(before) >= c.delay && try < 10 {
						continue // it may have been due
					}
					entered(t, s, 0)
					if got, err := io.ReadAll(conn); string(got) != c.want || err != nil {
						t.Errorf("read %q, %v, want %q", got, err, c.want)
					}
					all := told(t, s)
					if len(all) != 1 || all[0].Answered != len(c.want) {
						t.Fatalf("records %+v", all)
					}
					verdict, notes := exchange.Unsent, exchange.Notes(0)
					if c.want != "" {
						verdict, notes = exchange.Answer, exchange.FaultDelay
					}
					if n := s.Counts(); n.Verdicts[verdict] != 1 || all[0].Verdict != verdict || all[0].Notes != notes {
						t.Errorf("counts %v, record %+v, want %v", n.Verdicts, all[0], verdict)
					}
					return
				}
			})
		}
	}
}

// A delayed echo has no greeting, but is not answered either when it is cut off, however soon it is due.
func TestDelayedEchoCutOff(t *testing.T) {
	for try := 1; ; try++ {
		s := &Server{Stream: true, Handler: exchange.HandlerFunc(func(p *exchange.Reply, _ *exchange.Request) exchange.Verdict {
			p.Delay = time.Second
			return exchange.Answer
		})}
		addr, _ := serve(t, s)
		before := time.Now()
		conn := dial(t, addr)
		entered(t, s, 1)
		s.Close()
		if time.Since(before) >= time.Second && try < 10 {
			continue // it may have been due
		}
		if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if n := s.Counts(); n.Verdicts[exchange.Unsent] != 1 || n.Answered() != 0 {
			t.Errorf("counts %v", n.Verdicts)
		}
		return
	}
}

// Who was about to write when all was cut off does not.
func TestCutOffStays(t *testing.T) {
	l, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial(t, l.Addr().(*net.TCPAddr).AddrPort())
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := new(Server)
	s.enter(&place{conn: conn})
	s.stop(true)
	if _, n, err := s.talk(conn, []byte("late"), nil); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes written, %v", n, err)
	}
}

// A fault is told at once, and its connection stays open and silent until the asker resets it.
func TestFaultIsSilent(t *testing.T) {
	for _, stream := range []bool{false, true} {
		s := &Server{Service: "time", Handler: mute, Stream: stream, Tap: exchange.NewTap()}
		addr, ended := serve(t, s)
		conn := dial(t, addr)
		for range 2 {
			if _, err := conn.Write(make([]byte, 10_000)); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if n, err := conn.Read(make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d bytes, %v, want silence", n, err)
			}
		}
		entered(t, s, 1)
		if n := s.Counts(); n.Verdicts[exchange.Fault] != 1 || n.Dropped() != 1 || n.Answered() != 0 || n.Notes[2] != 1 {
			t.Errorf("counts %+v", n)
		}
		conn.SetLinger(0)
		conn.Close()
		entered(t, s, 0)
		s.Close()
		<-ended
		all := told(t, s)
		if len(all) != 1 || all[0].Verdict != exchange.Fault || all[0].Notes != exchange.FaultSilence || all[0].Answered != 0 ||
			!all[0].Told.IsZero() || all[0].Service != "time" {
			t.Errorf("records %+v", all)
		}
	}
}

// Who has sent its last byte gets no end, and so no answer: not before IdleTimeout or a stop.
func TestFaultOutlastsHalfClose(t *testing.T) {
	s := &Server{Handler: mute}
	addr, ended := serve(t, s)
	conn := dial(t, addr)
	conn.CloseWrite()
	conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 16)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v, want silence", n, err)
	}
	entered(t, s, 1)
	s.Shutdown(t.Context())
	<-ended
}

func TestFaultEndsWithIdleTimeout(t *testing.T) {
	for _, half := range []bool{false, true} {
		s := &Server{Handler: mute, IdleTimeout: 20 * time.Millisecond}
		addr, _ := serve(t, s)
		before := time.Now()
		conn := dial(t, addr)
		if half {
			conn.CloseWrite()
		}
		if got, err := io.ReadAll(conn); err != nil || len(got) > 0 {
			t.Errorf("half closed %v: read %q, %v", half, got, err)
		}
		if e := time.Since(before); e < s.IdleTimeout {
			t.Errorf("half closed %v: closed after %v, want %v at least", half, e, s.IdleTimeout)
		}
	}
}

func TestStopEndsFaults(t *testing.T) {
	for name, stop := range map[string]func(*Server) error{
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*Server).Close,
	} {
		s := &Server{Handler: mute, IdleTimeout: time.Hour}
		addr, ended := serve(t, s)
		conn := dial(t, addr)
		entered(t, s, 1)
		if err := stop(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		<-ended
		entered(t, s, 0)
		if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
	}
}

// What a silent connection has received when the server stops is read, so that its asker sees an end and no reset.
func TestStopReadsWhatFaultsReceived(t *testing.T) {
	s := &Server{Handler: mute, IdleTimeout: time.Hour}
	addr, ended := serve(t, s)
	conns := make([]*net.TCPConn, 50)
	for i := range conns {
		conns[i] = dial(t, addr)
	}
	entered(t, s, len(conns))
	for _, conn := range conns {
		if _, err := conn.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	s.Shutdown(t.Context())
	<-ended
	for _, conn := range conns {
		if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
			t.Errorf("read %q, %v, want the end", got, err)
		}
	}
}
