package timetest_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// Each service answers on each transport, and what it told can be seen as soon as the answer is there.
func TestServices(t *testing.T) {
	s := timetest.NewServer(t, "2036-02-07T06:28:16Z frozen")
	want := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	seen := 0
	told := func(k service.Kind, transport string) exchange.Record {
		t.Helper()
		all := s.Exchanges()
		if seen++; len(all) != seen {
			t.Fatalf("%d exchanges, want %d", len(all), seen)
		}
		e := all[seen-1]
		if e.Service != k.String() || e.Transport != transport || e.Verdict != exchange.Answer || e.To.String() != s.Addr(k) ||
			e.From.Addr().String() != "127.0.0.1" {
			t.Errorf("%+v, want an answered one of %v/%s", e, k, transport)
		}
		return e
	}
	for _, transport := range []ask.Transport{ask.UDP, ask.TCP} {
		client := ask.Client{Transport: transport, Timeout: patience}
		for range 20 {
			if a, err := client.Time(t.Context(), s.Addr(service.Time)); err != nil || !a.Served.Equal(want) {
				t.Fatalf("%v, %v, want %v", a.Served, err, want)
			}
			if e := told(service.Time, transport.String()); !e.Told.Equal(want) || e.Answered != 4 {
				t.Errorf("%+v", e)
			}
			if a, err := client.Daytime(t.Context(), s.Addr(service.Daytime)); err != nil || !a.Served.Equal(want) {
				t.Fatalf("%v, %v, want %v", a.Served, err, want)
			}
			told(service.Daytime, transport.String())
			if a, err := client.Echo(t.Context(), s.Addr(service.Echo), []byte("hi")); err != nil || string(a.Raw) != "hi" {
				t.Fatalf("%q, %v", a.Raw, err)
			}
			told(service.Echo, transport.String())
		}
	}
	a, err := (&ask.Client{Timeout: patience}).NTP(t.Context(), s.Addr(service.NTP))
	if err != nil || !a.Good() || !a.Served.Equal(want) || a.RootDistance > a.Delay {
		t.Fatalf("%+v, %v, want a good answer, and no distance but its own", a, err)
	}
	if c, ok := told(service.NTP, "udp").Clock.(*lab.Clock); !ok || c.Name != "" || !strings.HasPrefix(c.String(), "2036-02-07T06:28:16Z frozen at ") {
		t.Errorf("clock %v", c)
	}
	if _, err := s.Dial("tcp", s.Addr(service.NTP)); err == nil {
		t.Error("NTP over TCP")
	}
}

// both runs a test with both kinds of server.
func both(t *testing.T, text string, test func(t *testing.T, s *timetest.Server)) {
	t.Run("sockets", func(t *testing.T) { test(t, timetest.NewServer(t, text)) })
	t.Run("memory", func(t *testing.T) { inBubble(t, text, test) })
}

// The clock is set for the next request on, and its faults; the one leaves the other.
func TestSet(t *testing.T) {
	both(t, "epoch frozen", func(t *testing.T, s *timetest.Server) {
		client := ask.Client{Dial: s.DialContext, Timeout: patience}
		want := func(served string, stratum uint8) {
			t.Helper()
			a, err := client.NTP(t.Context(), s.Addr(service.NTP))
			if err != nil || a.Served.Format(time.DateTime) != served || a.Header.Stratum != stratum {
				t.Errorf("%v at stratum %d, %v, want %s at %d", a.Served, a.Header.Stratum, err, served, stratum)
			}
		}
		want("1969-12-31 23:59:50", 1)
		s.SetFaults("stratum 3")
		want("1969-12-31 23:59:50", 3)
		s.SetClock("2030-01-01 frozen")
		want("2030-01-01 00:00:00", 3)
		s.SetFaults()
		want("2030-01-01 00:00:00", 1)
		s.SetFaults("stratum 4", "leap insert")
		want("2030-01-01 00:00:00", 4)
		told := s.Exchanges()
		if got := told[4].Notes.String(); got != "stratum, leap" {
			t.Errorf("notes %q", got)
		}
		s.SetLab(lab.Config{})
		if a, err := client.NTP(t.Context(), s.Addr(service.NTP)); err != nil || !a.Good() || a.Offset.Duration().Abs() > patience {
			t.Errorf("%+v, %v, want real time", a, err)
		}
	})
}

// A clock starts when it is set, also when it is set once more, and goes on whatever else is.
func TestSetClockStarts(t *testing.T) {
	inBubble(t, "y2k", func(t *testing.T, s *timetest.Server) {
		first := ask.Client{Dial: s.From(netip.MustParseAddr("10.0.0.1")).DialContext}
		others := ask.Client{Dial: s.DialContext}
		want := func(client *ask.Client, served string) {
			t.Helper()
			a, err := client.Time(t.Context(), s.Addr(service.Time))
			if err != nil || a.Served.Format(time.TimeOnly) != served {
				t.Errorf("%v, %v, want %s", a.Served, err, served)
			}
		}
		time.Sleep(5 * time.Second)
		want(&others, "23:59:55")
		s.SetFaults("delay 1s")
		want(&others, "23:59:55")
		s.SetFaults()
		want(&others, "23:59:56")
		s.SetClock("y2k")
		want(&others, "23:59:50")
		time.Sleep(time.Second)

		s.SetLab(lab.Config{Clock: clock.MustParse("y2k"), Rules: []lab.Rule{{From: netip.MustParsePrefix("10.0.0.1/32"), Start: lab.FirstRequest}}})
		want(&others, "23:59:51") // the same clock goes on
		want(&first, "23:59:50")
		time.Sleep(time.Second)
		want(&first, "23:59:51")
		s.SetClock("y2k")
		want(&others, "23:59:50")
		time.Sleep(2 * time.Second)
		want(&first, "23:59:50")
		want(&others, "23:59:52")
	})
}

// What chance does is the same each time, with sockets and without.
func TestRepeatable(t *testing.T) {
	run := func(s *timetest.Server) string {
		s.SetFaults("duplicate 50%")
		conn, err := s.Dial("udp", s.Addr(service.Echo))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for i := range 64 {
			question := fmt.Sprint(i)
			write(t, conn, question)
			for answer := ""; answer != question; { // which may be the last one once more
				conn.SetReadDeadline(time.Now().Add(patience))
				if answer, err = read(conn); err != nil {
					t.Fatal(err)
				}
			}
		}
		var doubled strings.Builder
		for _, e := range s.Exchanges() {
			fmt.Fprintf(&doubled, "%t ", e.Notes == exchange.FaultDuplicate)
		}
		return doubled.String()
	}
	memory := run(timetest.NewMemoryServer(t, "now"))
	if n := strings.Count(memory, "true"); n < 16 || n > 48 {
		t.Errorf("%d of 64 doubled, want about half", n)
	}
	if again := run(timetest.NewMemoryServer(t, "now")); again != memory {
		t.Errorf("doubled %s\nthen %s", memory, again)
	}
	if sockets := run(timetest.NewServer(t, "now")); sockets != memory {
		t.Errorf("doubled %s\nand with sockets %s", memory, sockets)
	}
}

// With sockets other loopback addresses are clients of their own, where the system has them.
func TestFrom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skipf("%s has no address but 127.0.0.1 in 127.0.0.0/8", runtime.GOOS)
	}
	s := timetest.NewServer(t, "y2k frozen")
	s.SetLab(lab.Config{
		Clocks: map[string]clock.Recipe{"old": clock.MustParse("epoch frozen")},
		Rules:  []lab.Rule{{From: netip.MustParsePrefix("127.0.0.2/32"), Clock: "old"}},
	})
	for _, transport := range []ask.Transport{ask.UDP, ask.TCP} {
		c := ask.Client{Transport: transport, Timeout: patience, Dial: s.From(netip.MustParseAddr("127.0.0.2")).DialContext}
		if a, err := c.Time(t.Context(), s.Addr(service.Time)); err != nil || a.Served.Unix() != -10 {
			t.Errorf("%v: %v, %v, want ten seconds before 1970", transport, a.Served, err)
		}
	}
}

// Wrong texts end the test that gives them, and change nothing.
func TestWrongTexts(t *testing.T) {
	_, clockErr := clock.Parse("yestreday")
	_, faultErr := fault.Parse("los 10%")
	labErr := lab.Check(lab.Config{Remember: -1})
	for _, c := range []struct {
		name string
		do   func(t testing.TB)
		want error
	}{
		{"NewServer", func(t testing.TB) { timetest.NewServer(t, "yestreday") }, clockErr},
		{"NewMemoryServer", func(t testing.TB) { timetest.NewMemoryServer(t, "yestreday") }, clockErr},
		{"SetClock", func(t testing.TB) { timetest.NewMemoryServer(t, "now").SetClock("yestreday") }, clockErr},
		{"SetFaults", func(t testing.TB) { timetest.NewMemoryServer(t, "now").SetFaults("loss", "los 10%") }, faultErr},
		{"SetLab", func(t testing.TB) { timetest.NewMemoryServer(t, "now").SetLab(lab.Config{Remember: -1}) }, labErr},
	} {
		fake, after := new(fakeT), false
		fake.run(func(t testing.TB) {
			c.do(t)
			after = true
		})
		if want := "timetest: " + c.want.Error(); len(fake.errors) != 1 || fake.errors[0] != want || after || fake.helpers == 0 {
			t.Errorf("%s: %q, and the test went on: %t; want %q", c.name, fake.errors, after, want)
		}
	}
}

// The test's end ends the server, which leaves nothing behind, whatever its clients do.
func TestEnds(t *testing.T) {
	var addr string
	var open net.Conn
	fake := new(fakeT)
	fake.run(func(t testing.TB) {
		s := timetest.NewServer(t, "now")
		addr = s.Addr(service.Echo)
		var err error
		if open, err = s.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		}
		io.WriteString(open, "x")
		io.ReadFull(open, make([]byte, 1)) // it is accepted
		s.SetFaults("delay 1h")
		held, err := s.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		io.WriteString(held, "?")
		s.Close()
		s.Close()
	})
	if fake.failed || len(fake.logs) != 0 {
		t.Errorf("%q, logs %q, want silence", fake.errors, fake.logs)
	}
	defer open.Close()
	open.SetDeadline(time.Now().Add(patience))
	if b, err := io.ReadAll(open); len(b) != 0 || err != nil {
		t.Errorf("%q, %v, want the end", b, err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the port is still served")
	}
}

// A test that leaves a client's connection open in its bubble still ends.
func TestEndsInABubble(t *testing.T) {
	ended := false
	synctest.Test(t, func(t *testing.T) {
		s := timetest.NewMemoryServer(t, "now")
		conn, err := s.Dial("tcp", s.Addr(service.Echo))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := read(conn)
			ended = err == io.EOF
		}()
		synctest.Wait()
	})
	if !ended {
		t.Error("the connection went on")
	}
}
