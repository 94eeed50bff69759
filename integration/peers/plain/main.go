// Command plain is the server that a Go programmer writes first: a net.UDPConn, one goroutine, one datagram at a time. It
// answers the time of RFC 868, NTP and echo rightly, and does nothing else: no guard, no stamps, no packet info. `make
// peers` measures it beside `yesterday serve`.
//
// usage: plain time|ntp|echo ADDR:PORT
package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// since1900 is the seconds from 1900 to 1970.
const since1900 = 2_208_988_800

func main() {
	if len(os.Args) != 3 {
		fail(2, "usage: plain time|ntp|echo ADDR:PORT")
	}
	answer, ok := map[string]func([]byte, int) []byte{"time": answerTime, "ntp": answerNTP, "echo": answerEcho}[os.Args[1]]
	if !ok {
		fail(2, fmt.Sprintf("service %q, want time, ntp or echo", os.Args[1]))
	}
	addr, err := netip.ParseAddrPort(os.Args[2])
	if err != nil {
		fail(2, err)
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		fail(1, err)
	}
	buf := make([]byte, 65535)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			fail(1, err)
		}
		if reply := answer(buf, n); reply != nil {
			conn.WriteToUDPAddrPort(reply, from) // who can't be reached asks again
		}
	}
}

func fail(code int, what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(code)
}

// The answers take the first n bytes of buf for the request, and answer in its place.

func answerEcho(buf []byte, n int) []byte { return buf[:n] }

// answerTime tells yesterday's time, as the server it is measured beside does.
func answerTime(buf []byte, _ int) []byte {
	binary.BigEndian.PutUint32(buf, uint32(time.Now().Unix()-24*60*60+since1900))
	return buf[:4]
}

// answerNTP answers an NTP client (RFC 5905, section 7.3), and nobody else.
func answerNTP(buf []byte, n int) []byte {
	received := time.Now()
	mode, version := buf[0]&7, buf[0]>>3&7
	if n < 48 || mode != 3 || version < 1 || version > 4 {
		return nil
	}
	const precision = -20 // 2^-20 s
	buf[0], buf[1], buf[3] = version<<3|4, 1, 256+precision
	clear(buf[4:12])
	copy(buf[12:16], "XGO\x00")
	copy(buf[24:32], buf[40:48]) // origin
	putTimestamp(buf[16:], received.Truncate(time.Minute))
	putTimestamp(buf[32:], received)
	putTimestamp(buf[40:], time.Now())
	return buf[:48]
}

// putTimestamp writes Q32.32 seconds since 1900, modulo 2^32.
func putTimestamp(b []byte, t time.Time) {
	binary.BigEndian.PutUint32(b, uint32(t.Unix()+since1900))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
}
