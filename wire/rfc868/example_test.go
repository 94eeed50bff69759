package rfc868_test

import (
	"fmt"
	"time"

	"github.com/yesterday-time/yesterday/wire/rfc868"
)

func Example() {
	rollover := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	reply := rfc868.Of(rollover).Append(nil)
	fmt.Printf("% x\n", reply)

	v, err := rfc868.Parse(reply)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.In(0))
	fmt.Println(v.Near(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
	// Output:
	// 00 00 00 00
	// 1900-01-01 00:00:00 +0000 UTC
	// 2036-02-07 06:28:16 +0000 UTC
}
