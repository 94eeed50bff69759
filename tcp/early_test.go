package tcp

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// An echo that is held back when the server stops has what was asked by then, or is not answered.
func TestStopWhileEchoDelayed(t *testing.T) {
	for _, c := range []struct {
		delay time.Duration
		want  string
	}{{900 * time.Millisecond, "hello"}, {time.Hour, ""}} {
		for try := range 20 { // what was asked may have been read, or be there to read
			s := &Server{Stream: true, Tap: exchange.NewTap(), Handler: exchange.HandlerFunc(
				func(p *exchange.Reply, _ *exchange.Request) exchange.Verdict {
					p.Delay, p.Notes = c.delay, exchange.FaultDelay
					return exchange.Answer
				})}
			addr, ended := serve(t, s)
			conn := dial(t, addr)
			entered(t, s, 1)
			if _, err := io.WriteString(conn, "hello"); err != nil {
				t.Fatal(err)
			}
			if try%2 == 0 {
				conn.CloseWrite()
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			<-ended
			if got, err := io.ReadAll(conn); string(got) != c.want || err != nil {
				t.Errorf("after %v: read %q, %v, want %q", c.delay, got, err, c.want)
			}
			verdict := exchange.Unsent
			if c.want != "" {
				verdict = exchange.Answer
			}
			if all := told(t, s); len(all) != 1 || all[0].Verdict != verdict || all[0].Answered != len(c.want) || all[0].Asked != 5 {
				t.Errorf("after %v: records %+v, want %v", c.delay, all, verdict)
			}
		}
	}
}

// What comes before a stream is due comes back in its order, however much it is.
func TestEarlyBytes(t *testing.T) {
	addr, _ := serve(t, &Server{Handler: late(20 * time.Millisecond), Stream: true})
	conn := dial(t, addr)
	data := make([]byte, 5*maxEarly+1)
	for i := range data {
		data[i] = byte(i / 100)
	}
	go func() {
		conn.Write(data)
		conn.CloseWrite()
	}()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "late"+string(data) {
		t.Errorf("%d bytes, %v, want %d", len(got), err, 4+len(data))
	}
}

// Who resets a connection gives up the answer, and the place.
func TestResetWhileDelayed(t *testing.T) {
	for _, stream := range []bool{false, true} {
		s := &Server{Handler: late(time.Hour), Stream: stream, Tap: exchange.NewTap()}
		addr, _ := serve(t, s)
		conn := dial(t, addr)
		half := dial(t, addr)
		io.WriteString(conn, "hi")
		half.CloseWrite()
		entered(t, s, 2)
		conn.SetLinger(0)
		conn.Close()
		entered(t, s, 1) // who has only sent the last byte waits on
		if n := s.Counts(); n.Verdicts[exchange.Unsent] != 1 || n.Dropped() != 1 || n.Answered() != 0 {
			t.Errorf("counts %v, want one unsent", n.Verdicts)
		}
		s.Close()
		if all := told(t, s); len(all) != 2 || all[0].Verdict != exchange.Unsent || all[0].From != conn.LocalAddr().(*net.TCPAddr).AddrPort() {
			t.Errorf("records %+v", all)
		}
	}
}

// Who begins to wait when the server has just been told to stop does not.
func TestHoldAfterStop(t *testing.T) {
	for delay, due := range map[time.Duration]bool{time.Second: true, 1900 * time.Millisecond: false, time.Hour: false} {
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
		s := &Server{listener: l, stopping: make(chan struct{})}
		s.enter(&place{conn: conn, kind: delayed})
		s.stop(false)
		held := make(chan bool)
		before := time.Now()
		go func() {
			_, ok := s.hold(conn, delay)
			held <- ok
		}()
		select {
		case ok := <-held:
			if ok != due && time.Since(before) < 900*time.Millisecond { // else it may be due within a second
				t.Errorf("after %v: due %v, want %v", delay, ok, due)
			}
		case <-time.After(patience):
			t.Fatalf("after %v: it waits on", delay)
		}
	}
}
