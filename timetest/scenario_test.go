package timetest_test

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// A client polls each minute for three hours around the end of a day that has a leap second: it is told of the second until it
// has come, and one second earlier for ever after.
func TestLeapSecondInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := timetest.NewMemoryServer(t, "2016-12-31T22:30:00Z leap")
		client := ask.Client{Dial: s.DialContext}
		started := time.Now()
		first := time.Date(2016, 12, 31, 22, 30, 0, 0, time.UTC)
		midnight := time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)
		for minute := range 181 {
			answer, err := client.NTP(t.Context(), s.Addr(service.NTP))
			if err != nil || !answer.Good() {
				t.Fatalf("minute %d: %v, %+v", minute, err, answer.Failed)
			}
			want, leap := first.Add(time.Duration(minute)*time.Minute), ntp.LeapInsert
			if minute >= 90 { // the 90th reads 23:59:59 once more
				want, leap = want.Add(-time.Second), ntp.LeapNone
			}
			if minute == 90 {
				leap = ntp.LeapInsert
			}
			if !answer.Served.Equal(want) || answer.Header.Leap != leap || answer.RoundTrip != 0 {
				t.Errorf("minute %d: %v with the leap indicator %v in %v, want %v with %v in 0s",
					minute, answer.Served, answer.Header.Leap, answer.RoundTrip, want, leap)
			}
			time.Sleep(time.Minute)
		}
		if passed := time.Since(started); passed != 181*time.Minute {
			t.Errorf("%v have passed, want 181 minutes", passed)
		}
		told := s.Exchanges()
		if len(told) != 181 {
			t.Fatalf("%d exchanges, want 181", len(told))
		}
		for minute, e := range told {
			if want := started.Add(time.Duration(minute) * time.Minute); !e.Received.Equal(want) {
				t.Errorf("exchange %d was at %v, want %v", minute, e.Received, want)
			}
		}
		if last := told[180].Told; !last.Equal(midnight.Add(90*time.Minute - time.Second)) {
			t.Errorf("the last was told %v", last)
		}
	})
}

// Three devices at three addresses: two live through the scenario from their own first requests on, the third has its own clock
// and a slow network.
func TestThreeDevices(t *testing.T) {
	config := lab.Config{
		Clock:  clock.MustParse("yesterday"),
		Clocks: map[string]clock.Recipe{"scenario": clock.MustParse("leap-second"), "half": clock.MustParse("2020-01-01 x0.5")},
		Rules: []lab.Rule{
			{From: netip.MustParsePrefix("10.0.3.0/24"), Clock: "scenario", Start: lab.FirstRequest},
			{From: netip.MustParsePrefix("2001:db8::7/128"), Clock: "half", Faults: []fault.Fault{fault.MustParse("delay 1500ms")}},
		},
	}
	synctest.Test(t, func(t *testing.T) {
		s := timetest.NewMemoryServer(t, "now")
		s.SetLab(config)
		config.Clocks["scenario"], config.Rules[1].Faults[0] = clock.MustParse("now"), fault.Fault{} // s is to have its own
		served := func(address string) time.Time {
			t.Helper()
			client := ask.Client{Timeout: 5 * time.Second, Dial: s.From(netip.MustParseAddr(address)).DialContext}
			answer, err := client.NTP(t.Context(), s.Addr(service.NTP))
			if err != nil {
				t.Fatal(err)
			}
			return answer.Served
		}
		want := func(address, text string) {
			t.Helper()
			if got := served(address).Format(time.DateTime); got != text {
				t.Errorf("%s is told %s, want %s", address, got, text)
			}
		}
		start := time.Now() // midnight of 2000-01-01
		want("10.0.3.1", "2016-12-31 23:59:50")
		time.Sleep(time.Hour)
		want("10.0.3.2", "2016-12-31 23:59:50")
		want("10.0.3.1", "2017-01-01 00:59:49")
		want("127.0.0.1", "1999-12-31 01:00:00")
		want("2001:db8::7", "2020-01-01 00:30:00")
		if took := time.Since(start) - time.Hour; took != 1500*time.Millisecond {
			t.Errorf("the slow network took %v, want 1.5s", took)
		}
		s.SetClock("tomorrow") // for those without a rule
		want("127.0.0.1", "2000-01-02 01:00:01")
		want("10.0.3.2", "2016-12-31 23:59:51")
		s.SetFaults("stratum 3")
		want("10.0.3.1", "2017-01-01 00:59:50")

		var clocks []string
		for _, e := range s.Exchanges() {
			clocks = append(clocks, e.Clock.(*lab.Clock).Name)
		}
		if want := []string{"scenario", "scenario", "scenario", "", "half", "", "scenario", "scenario"}; !slices.Equal(clocks, want) {
			t.Errorf("clocks %q, want %q", clocks, want)
		}
	})
}
