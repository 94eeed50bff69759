package clock_test

import (
	"fmt"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

// noon is the real time of these examples.
var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

func Example() {
	recipe, err := clock.Parse("ntp-rollover x60")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := recipe.Start(noon)
	fmt.Println(clock.Read(c, noon))
	fmt.Println(clock.Read(c, noon.Add(time.Second)))
	// Output:
	// 2036-02-07 06:28:06 +0000 UTC
	// 2036-02-07 06:29:06 +0000 UTC
}

func ExampleOffset() {
	yesterday := clock.Offset(-24 * time.Hour)
	fmt.Println(yesterday, "reads", clock.Read(yesterday, noon))
	// Output: yesterday reads 2026-11-21 12:00:00 +0000 UTC
}

func ExampleParse() {
	_, err := clock.Parse("yesturday x60")
	fmt.Println(err)
	_, err = clock.Parse("2036-02-07T06:28:06")
	fmt.Println(err)
	// Output:
	// clock: "yesturday x60": unknown word "yesturday" at 1, want a base (yesterday, now, tomorrow, a preset, an offset such as -24h, or an instant such as 2036-02-07); did you mean "yesterday"?
	// clock: "2036-02-07T06:28:06": time without a zone at the end, want a zone: Z, or one such as +01:00; did you mean "2036-02-07T06:28:06Z"?
}

func ExampleRecipe_Start() {
	recipe, err := clock.Parse("yesterday +5m for 600s then now frozen")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(recipe)
	fmt.Println(recipe.Start(noon))
	// Output:
	// -23h55m for 10m then now frozen
	// -23h55m for 10m then now frozen at 2026-11-22T12:00:00Z
}

func ExampleChanges_leapSecond() {
	recipe, err := clock.Parse("leap-second")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := recipe.Start(noon)
	s := c.Segment(noon)
	fmt.Println("announced:", s.Leap, "at", s.Served.Format(time.TimeOnly))
	for change := range clock.Changes(c, noon, noon.Add(time.Minute)) {
		fmt.Println(change.Real.Format(time.TimeOnly), change.Kind, "reads", change.Served.Format(time.TimeOnly))
	}
	// Output:
	// announced: insert at 23:59:50
	// 12:00:10 leap-inserted reads 23:59:59
	// 12:00:11 leap-over reads 00:00:00
}

func ExampleSegment_When() {
	fast := clock.Segment{Real: noon, Served: noon, Rate: 60 * clock.Normal}
	real, ok := fast.When(noon.Add(time.Hour))
	fmt.Println(real, ok)
	// Output: 2026-11-22 12:01:00 +0000 UTC true
}

func ExampleChanges() {
	recipe, err := clock.Parse("ntp-rollover for 1m then yesterday")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := recipe.Start(noon)
	for change := range clock.Changes(c, noon, noon.Add(time.Hour)) {
		fmt.Println(change.Real.Format(time.TimeOnly), change.Kind, "reads", change.Served)
	}
	// Output:
	// 12:00:10 rfc868-rollover reads 2036-02-07 06:28:16 +0000 UTC
	// 12:01:00 segment reads 2026-11-21 12:01:00 +0000 UTC
}
