package ntp_test

import (
	"fmt"
	"time"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

func Example() {
	question := ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 0x0123456789abcdef} // anything that nobody guesses
	q, err := ntp.Parse(question.Append(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2036, 2, 7, 6, 28, 16, 250_000_000, time.UTC)
	answer := ntp.Header{
		Version:     q.Version,
		Mode:        ntp.ModeServer,
		Stratum:     1,
		Precision:   -20,
		ReferenceID: ntp.ReferenceID{'X', 'D', 'A', 'Y'},
		Reference:   ntp.TimestampOf(now.Add(-time.Second)),
		Origin:      q.Transmit,
		Receive:     ntp.TimestampOf(now),
		Transmit:    ntp.TimestampOf(now.Add(20 * time.Microsecond)),
	}
	packet := answer.Append(nil)
	fmt.Printf("% x\n", packet[24:])
	fmt.Println(len(packet), answer.ReferenceID.Format(answer.Stratum), answer.Origin == question.Transmit)
	// Output:
	// 01 23 45 67 89 ab cd ef 00 00 00 00 40 00 00 00 00 00 00 00 40 01 4f 8b
	// 48 XDAY true
}

func ExampleTimestamp_Near() {
	s := ntp.TimestampOf(time.Date(2036, 2, 7, 6, 28, 16, 123_456_789, time.UTC))
	fmt.Printf("%016x\n", uint64(s))
	fmt.Println(s.Near(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)))
	fmt.Println(s.In(0))
	// Output:
	// 000000001f9add37
	// 2036-02-07 06:28:16.123456789 +0000 UTC
	// 1900-01-01 00:00:00.123456789 +0000 UTC
}
