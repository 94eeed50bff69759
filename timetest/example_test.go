package timetest_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
)

// inTest stands in for go test, which gives a test its t.
func inTest(test func(t testing.TB)) { new(fakeT).run(test) }

// Ask a server that stands at the last second that 32 bits hold.
func ExampleNewServer() {
	inTest(func(t testing.TB) {
		s := timetest.NewServer(t, "2038-01-19T03:14:07Z frozen")

		answer, err := ask.NTP(t.Context(), s.Addr(service.NTP))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(answer.Served)
	})
	// Output: 2038-01-19 03:14:07 +0000 UTC
}

// The same server, without sockets: its client is given a way to connect to it.
func ExampleNewMemoryServer() {
	inTest(func(t testing.TB) {
		s := timetest.NewMemoryServer(t, "2038-01-19T03:14:07Z frozen")

		client := ask.Client{Dial: s.DialContext}
		answer, err := client.NTP(t.Context(), s.Addr(service.NTP))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(answer.Served)
	})
	// Output: 2038-01-19 03:14:07 +0000 UTC
}

// A client meets three failures, one after the other.
func ExampleServer_SetFaults() {
	inTest(func(t testing.TB) {
		s := timetest.NewMemoryServer(t, "now")
		client := ask.Client{Dial: s.DialContext, Timeout: 20 * time.Millisecond, Tries: 1}
		for _, text := range []string{"kiss RATE", "leap unknown", "silence"} {
			s.SetFaults(text)
			answer, err := client.NTP(t.Context(), s.Addr(service.NTP))
			if _, ok := errors.AsType[*ask.NoReplyError](err); ok {
				fmt.Println("no reply")
				continue
			}
			for _, f := range answer.Failed {
				fmt.Println(f.Text)
			}
		}
	})
	// Output:
	// leap indicator is 3: the server's clock is not synchronised
	// kiss code RATE: asked to ask less often
	// leap indicator is 3: the server's clock is not synchronised
	// no reply
}

// How does a client ask that gets no answer at first?
func ExampleServer_Exchanges() {
	inTest(func(t testing.TB) {
		s := timetest.NewServer(t, "y2k frozen")
		s.SetFaults("loss")
		impatient := ask.Client{Timeout: 10 * time.Millisecond, Tries: 2}
		impatient.Time(t.Context(), s.Addr(service.Time))
		s.SetFaults()
		ask.Time(t.Context(), s.Addr(service.Time))

		for _, e := range s.Exchanges() {
			fmt.Println(e.Service, e.Transport, e.Verdict, e.Notes)
		}
	})
	// Output:
	// time udp fault loss
	// time udp fault loss
	// time udp answered
}

// Two devices live through the same leap second, each from its own first request on, and a third lives in real time and far
// away.
func ExampleServer_SetLab() {
	inTest(func(t testing.TB) {
		s := timetest.NewMemoryServer(t, "now")
		s.SetLab(lab.Config{
			Clocks: map[string]clock.Recipe{"scenario": clock.MustParse("leap-second")},
			Rules: []lab.Rule{
				{From: netip.MustParsePrefix("10.0.3.0/24"), Clock: "scenario", Start: lab.FirstRequest},
				{From: netip.MustParsePrefix("10.0.4.7/32"), Faults: []fault.Fault{fault.MustParse("delay 5ms")}},
			},
		})
		for _, device := range []string{"10.0.3.1", "10.0.3.2", "10.0.4.7"} {
			client := ask.Client{Dial: s.From(netip.MustParseAddr(device)).DialContext}
			if _, err := client.Time(t.Context(), s.Addr(service.Time)); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range s.Exchanges() {
			fmt.Printf("%v: clock %q, faults %q\n", e.From.Addr(), e.Clock.(*lab.Clock).Name, e.Notes)
		}
	})
	// Output:
	// 10.0.3.1: clock "scenario", faults ""
	// 10.0.3.2: clock "scenario", faults ""
	// 10.0.4.7: clock "", faults "delay"
}
