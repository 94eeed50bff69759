package timetest_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
)

// A failed test says what the server was asked and told, a line each.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := new(fakeT)
		fake.run(func(t testing.TB) {
			s := timetest.NewMemoryServer(t, "yesterday")
			send := func(network string, k service.Kind, data string) {
				conn, err := s.Dial(network, s.Addr(k))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.Write([]byte(data))
			}
			send("udp", service.Time, "")
			send("tcp", service.Echo, "hello")
			time.Sleep(90 * time.Minute)
			s.SetFaults("delay 5ms", "duplicate")
			send("udp", service.Echo, "hello")
			s.SetFaults("silence")
			send("tcp", service.Daytime, "")
			s.SetFaults()
			send("udp", service.NTP, "no question")
			time.Sleep(1500 * time.Microsecond)
			s.SetLab(lab.Config{
				Clocks: map[string]clock.Recipe{"scenario": clock.MustParse("leap-second")},
				Rules:  []lab.Rule{{From: netip.MustParsePrefix("10.0.0.0/8"), Clock: "scenario", Start: lab.FirstRequest}},
			})
			c := ask.Client{Dial: s.From(netip.MustParseAddr("10.1.2.3")).DialContext}
			if _, err := c.NTP(t.Context(), s.Addr(service.NTP)); err != nil {
				t.Fatal(err)
			}
			t.Errorf("not as wanted")
		})
		const want = `timetest: all 6 exchanges with the server that started at 2000-01-01T00:00:00.000000Z: real time, who asked what, and what came of it
2000-01-01T00:00:00.000000Z (+0s) 127.0.0.1:49152 time/udp: answered 1999-12-31T00:00:00.000000Z on "yesterday"
2000-01-01T00:00:00.000000Z (+0s) 127.0.0.1:49153 echo/tcp: answered on "yesterday"
2000-01-01T01:30:00.000000Z (+1h30m0s) 127.0.0.1:49154 echo/udp: answered with 5 bytes (delay, duplicate) on "yesterday"
2000-01-01T01:30:00.000000Z (+1h30m0s) 127.0.0.1:49155 daytime/tcp: not answered: fault (silence) on "yesterday"
2000-01-01T01:30:00.000000Z (+1h30m0s) 127.0.0.1:49156 ntp/udp: not answered: malformed on "yesterday"
2000-01-01T01:30:00.001500Z (+1h30m0.0015s) 10.1.2.3:49157 ntp/udp: answered 2016-12-31T23:59:50.000000Z on scenario, "leap-second at 2000-01-01T01:30:00.0015Z"`
		if len(fake.logs) != 1 || fake.logs[0] != want {
			t.Errorf("logged\n%s\nwant\n%s", strings.Join(fake.logs, "\n---\n"), want)
		}
	})
}

func TestReportOfFew(t *testing.T) {
	for n, want := range map[int]string{
		0: "timetest: nobody asked the server, which started at ",
		1: "timetest: the one exchange with the server that started at ",
	} {
		fake := new(fakeT)
		fake.run(func(t testing.TB) {
			s := timetest.NewServer(t, "now")
			for range n {
				if _, err := ask.Time(t.Context(), s.Addr(service.Time)); err != nil {
					t.Fatal(err)
				}
			}
			t.Fatalf("not as wanted")
		})
		if len(fake.logs) != 1 || !strings.HasPrefix(fake.logs[0], want) || strings.Count(fake.logs[0], "\n") != n {
			t.Errorf("logged %q, want %q and %d lines", fake.logs, want, n)
		}
	}
}

// Of many exchanges it says the last hundred.
func TestReportOfMany(t *testing.T) {
	fake := new(fakeT)
	fake.run(func(t testing.TB) {
		s := timetest.NewMemoryServer(t, "now")
		conn, err := s.Dial("udp", s.Addr(service.Echo))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 250 {
			fmt.Fprint(conn, strings.Repeat("x", i))
		}
		t.Errorf("not as wanted")
	})
	if len(fake.logs) != 1 {
		t.Fatalf("logged %q", fake.logs)
	}
	lines := strings.Split(fake.logs[0], "\n")
	if len(lines) != 101 || !strings.HasPrefix(lines[0], "timetest: the last 100 of 250 exchanges ") ||
		!strings.Contains(lines[1], " answered with 150 bytes ") || !strings.Contains(lines[100], " answered with 249 bytes ") {
		t.Errorf("%d lines:\n%s\n%s\n…\n%s", len(lines), lines[0], lines[1], lines[len(lines)-1])
	}
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \(\+[0-9.]+[µm]?s\) 127\.0\.0\.1:49152 echo/udp: answered with \d+ bytes on "now"$`)
	for _, l := range lines[1:] {
		if !line.MatchString(l) {
			t.Fatalf("line %q", l)
		}
	}
}
