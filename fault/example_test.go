package fault_test

import (
	"fmt"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/service"
)

func Example() {
	var faults []fault.Fault
	for _, text := range []string{"loss 25%", "delay 50ms..90ms 50%", "length 3 50%"} {
		f, err := fault.Parse(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		faults = append(faults, f)
	}
	in := fault.NewInjector(service.Time, false, 1, 0)
	for range 6 {
		r := exchange.Request{Received: time.Unix(0, 0), Clock: clock.Offset(0)}
		var p exchange.Reply
		verdict := service.TimeHandler{}.Serve(&p, &r)
		if verdict == exchange.Answer {
			verdict = in.Inject(faults, &p, &r)
		}
		fmt.Printf("%v: [% x] after %v, faults: %q\n", verdict, p.Data, p.Delay.Round(time.Millisecond), p.Notes)
	}
	// Output:
	// answered: [83 aa 7e] after 0s, faults: "length"
	// fault: [] after 0s, faults: "loss"
	// answered: [83 aa 7e 80] after 0s, faults: ""
	// answered: [83 aa 7e] after 70ms, faults: "delay, length"
	// fault: [] after 0s, faults: "loss"
	// answered: [83 aa 7e] after 0s, faults: "length"
}

func ExampleParse() {
	f, err := fault.Parse("delay 0.05s..90ms 10.0%")
	fmt.Println(f, err)
	_, err = fault.Parse("delay 90ms..50ms")
	fmt.Println(err)
	_, err = fault.Parse("loss 10")
	fmt.Println(err)
	// Output:
	// delay 50ms..90ms 10% <nil>
	// fault: "delay 90ms..50ms": falling range "90ms..50ms" at 7, want the shorter delay first; did you mean "50ms..90ms"?
	// fault: "loss 10": no % behind "10" at 6, want a probability such as 10% or 0.5%; did you mean "10%"?
}

func ExampleFault_Applies() {
	f, err := fault.Parse("kiss RATE")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Applies(service.NTP, false), f.Applies(service.Echo, false))
	// Output: true false
}
