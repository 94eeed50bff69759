package lab_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
)

// Two devices in one network each live the scenario from its beginning; everybody else is told yesterday's time.
func Example() {
	started := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	l := new(lab.Lab)
	if err := l.Set(lab.Config{
		Clock:  clock.MustParse("yesterday"),
		Clocks: map[string]clock.Recipe{"rollover": clock.MustParse("unix-rollover")},
		Rules: []lab.Rule{
			{From: netip.MustParsePrefix("10.0.3.0/24"), Clock: "rollover", Start: lab.FirstRequest},
			{From: netip.MustParsePrefix("10.0.3.66/32"), Faults: []fault.Fault{fault.MustParse("silence")}},
		},
	}, started); err != nil {
		fmt.Println(err)
		return
	}

	handler := l.Middleware(fault.NewInjector(service.Daytime, false, 1, 1))(service.DaytimeHandler{Zone: time.UTC})
	ask := func(client, clock string) {
		received, _ := time.Parse(time.TimeOnly, clock)
		received = received.AddDate(2026, 10, 21)
		r := exchange.Request{From: netip.MustParseAddrPort(client), Received: received}
		var p exchange.Reply
		v := handler.Serve(&p, &r)
		fmt.Printf("%s %-15s %-24.24s %v\n", clock, client, p.Data, v)
	}
	ask("10.0.3.1:5000", "10:00:00")
	ask("10.0.3.1:5001", "10:00:10")
	ask("10.0.3.2:5000", "11:30:00")
	ask("10.0.3.66:5000", "11:30:00")
	ask("192.0.2.1:5000", "11:30:00")
	ask("10.0.3.2:5000", "11:30:10")
	// Output:
	// 10:00:00 10.0.3.1:5000   Tue Jan 19 03:13:58 2038 answered
	// 10:00:10 10.0.3.1:5001   Tue Jan 19 03:14:08 2038 answered
	// 11:30:00 10.0.3.2:5000   Tue Jan 19 03:13:58 2038 answered
	// 11:30:00 10.0.3.66:5000                           fault
	// 11:30:00 192.0.2.1:5000  Sat Nov 21 11:30:00 2026 answered
	// 11:30:10 10.0.3.2:5000   Tue Jan 19 03:14:08 2038 answered
}
