package ask_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// serve answers on a free port with whatever reply makes of each datagram, and returns its address.
func serve(reply func([]byte) []byte) (addr string, stop func()) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(reply(buf[:n]), from)
		}
	}()
	return conn.LocalAddr().String(), func() { conn.Close() }
}

func ExampleTime() {
	addr, stop := serve(func([]byte) []byte {
		return rfc868.Of(time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)).Append(nil)
	})
	defer stop()

	answer, err := ask.Time(context.Background(), addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Served)
	// Output: 2036-02-07 06:28:16 +0000 UTC
}

func ExampleClient_Time() {
	addr, stop := serve(func([]byte) []byte { return []byte{0, 0, 0, 0} })
	defer stop()

	// The same four bytes, read as the 20th century meant them.
	client := ask.Client{
		Timeout: 5 * time.Second,
		Tries:   2,
		Pivot:   time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	answer, err := client.Time(context.Background(), addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Served)
	// Output: 1900-01-01 00:00:00 +0000 UTC
}

func ExampleDaytime() {
	addr, stop := serve(func([]byte) []byte { return []byte("Sun Mar 20 09:29:09 2016\r\n") })
	defer stop()

	answer, err := ask.Daytime(context.Background(), addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", answer.Raw)
	fmt.Println(answer.Served.Format(time.DateTime)) // read in this host's zone
	// Output:
	// "Sun Mar 20 09:29:09 2016\r\n"
	// 2016-03-20 09:29:09
}

func ExampleNTP() {
	// A server that is at the rollover of 2036.
	addr, stop := serve(func(question []byte) []byte {
		q, err := ntp.Parse(question)
		if err != nil {
			return nil
		}
		now := ntp.TimestampOf(time.Date(2036, 2, 7, 6, 28, 16, 250_000_000, time.UTC))
		return ntp.Header{Version: q.Version, Mode: ntp.ModeServer, Stratum: 16, Origin: q.Transmit, Receive: now, Transmit: now}.Append(nil)
	})
	defer stop()

	answer, err := ask.NTP(context.Background(), addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Served)
	for _, f := range answer.Failed {
		fmt.Println(f.Text)
	}
	// Output:
	// 2036-02-07 06:28:16.25 +0000 UTC
	// stratum is 16 (not synchronised), want 1 to 15
}

func ExampleClient_NTP() {
	addr, stop := serve(func(question []byte) []byte {
		q, err := ntp.Parse(question)
		if err != nil {
			return nil
		}
		now := ntp.TimestampOf(time.Now().Add(-24 * time.Hour))
		return ntp.Header{Version: q.Version, Mode: ntp.ModeServer, Stratum: 1, Origin: q.Transmit, Receive: now, Transmit: now}.Append(nil)
	})
	defer stop()

	client := ask.Client{Samples: 4, Interval: time.Millisecond}
	answer, err := client.NTP(context.Background(), addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Good(), len(answer.Samples), answer.Offset.Duration().Round(time.Hour))
	// Output: true 4 -24h0m0s
}

func ExampleEcho() {
	addr, stop := serve(func(data []byte) []byte { return data })
	defer stop()

	answer, err := ask.Echo(context.Background(), addr, []byte("is anybody there?"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", answer.Raw)
	// Output: is anybody there?
}

func ExampleBadReplyError() {
	addr, stop := serve(func([]byte) []byte { return []byte("hello") })
	defer stop()

	_, err := ask.Time(context.Background(), addr)
	if bad, ok := errors.AsType[*ask.BadReplyError](err); ok {
		fmt.Println(bad.Err)
	}
	// Output: rfc868: reply has 5 bytes, want 4: 68 65 6c 6c 6f
}

func ExampleParseTarget() {
	for _, text := range []string{"", ":daytime", "[fe80::1%eth0]:time", "localhost:99999"} {
		target, err := ask.ParseTarget(text)
		fmt.Printf("%+v %v\n", target, err)
	}
	// Output:
	// localhost <nil>
	// localhost:daytime <nil>
	// [fe80::1%eth0]:time <nil>
	//  ask: "localhost:99999": port 99999, want 1 to 65535
}
