//go:build linux

package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ntpRequest is a header of 48 bytes with a transmit time of its own, and what follows it.
func ntpRequest(version, mode byte, transmit uint64, more int) []byte {
	b := make([]byte, 48+more)
	b[0] = version<<3 | mode
	binary.BigEndian.PutUint64(b[40:], transmit)
	return b
}

// extension appends an extension field of n bytes, which begins with its type and its length.
func extension(b []byte, n int) []byte {
	field := make([]byte, n)
	binary.BigEndian.PutUint16(field, 0x0104)
	binary.BigEndian.PutUint16(field[2:], uint16(n))
	return append(b, field...)
}

// ntpCases are what a test has sent and wants counted.
type ntpCases struct {
	t                        *testing.T
	sent                     uint64
	malformed, mode, version int
	answered, unsigned       int
	refused                  map[*net.UDPConn]bool
}

// answer sends a request and checks the reply: 48 bytes, of that mode, in the asker's version, with its transmit time.
func (n *ntpCases) answer(conn *net.UDPConn, data []byte, mode byte) {
	n.t.Helper()
	n.answered++
	got := request(n.t, conn, string(data))
	if len(got) != 48 || got[0]&7 != mode || got[0]>>3&7 != data[0]>>3&7 || !bytes.Equal([]byte(got[24:32]), data[40:48]) {
		n.t.Errorf("% x\nis answered with % x\nwant 48 bytes, version %d, mode %d", data[:min(len(data), 96)], got, data[0]>>3&7, mode)
	}
}

// refuse sends what must get nothing, and counts it under the cause.
func (n *ntpCases) refuse(conn *net.UDPConn, data []byte, cause *int) {
	n.t.Helper()
	if _, err := conn.Write(data); err != nil {
		n.t.Fatal(err)
	}
	*cause++
	if n.refused == nil {
		n.refused = make(map[*net.UDPConn]bool)
	}
	n.refused[conn] = true
}

// next is a transmit time that no other request has.
func (n *ntpCases) next() uint64 { n.sent++; return 0xe0000000_00000000 + n.sent }

// What is no question of NTP's gets nothing, and each is counted by its cause; all that is one gets 48 bytes.
func TestNTPRefuses(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24")
	cli.addr(t, "eth0", "10.1.0.9/24")
	s := serve(t, srv)
	to := fmt.Sprintf("10.1.0.1:%d", ntpPort)
	n := &ntpCases{t: t}

	for _, port := range []int{0, 53, 123, 37, ntpPort} {
		asker := cli.udp(t, fmt.Sprintf("10.1.0.9:%d", port), to)
		for version := range byte(8) {
			for mode := range byte(8) {
				data := ntpRequest(version, mode, n.next(), 0)
				want, ok := byte(0), true
				switch {
				case mode == 3 || mode == 0 && version == 1 && port != 123:
					want = 4
				case mode == 1:
					want = 2
				default:
					ok = false
				}
				switch good := version >= 1 && version <= 4; {
				case good && ok:
					n.answer(asker, data, want)
				case good:
					n.refuse(asker, data, &n.mode)
				default:
					n.refuse(asker, data, &n.version)
				}
			}
		}
	}
	quiet, asker := cli.udp(t, "10.1.0.9:0", to), cli.udp(t, "10.1.0.9:0", to)
	for size := range 48 {
		n.refuse(quiet, ntpRequest(4, 3, n.next(), 0)[:size], &n.malformed)
	}
	for _, more := range []int{1, 2, 3, 5, 65507 - 48} {
		n.refuse(quiet, ntpRequest(4, 3, n.next(), more), &n.malformed)
	}
	n.answer(asker, ntpRequest(4, 3, 0, 0), 4)
	n.answer(asker, ntpRequest(3, 3, 0, 0), 4)
	n.answer(asker, append([]byte{0xe3}, ntpRequest(4, 3, n.next(), 0)[1:]...), 4) // LI 3, as from who is not synchronised
	n.answer(asker, ntpRequest(4, 3, n.next(), 65504-48), 4)
	n.answer(asker, extension(ntpRequest(4, 3, n.next(), 0), 28), 4)
	n.answer(asker, extension(extension(ntpRequest(4, 3, n.next(), 0), 16), 28), 4)
	for _, signed := range [][]byte{
		ntpRequest(4, 3, n.next(), 4),                                             // a crypto-NAK
		ntpRequest(4, 3, n.next(), 20),                                            // MD5
		ntpRequest(4, 3, n.next(), 24),                                            // SHA-1
		ntpRequest(3, 3, n.next(), 12),                                            // DES, in version 3
		ntpRequest(3, 3, n.next(), 20),                                            //
		ntpRequest(4, 1, n.next(), 20),                                            // of a peer
		append(extension(ntpRequest(4, 3, n.next(), 0), 28), make([]byte, 24)...), // after an extension field
	} {
		n.unsigned++
		n.answer(asker, signed, signed[0]&7+1)
	}

	out := s.stop()
	for word, want := range map[string]int{
		"answered": n.answered, "malformed": n.malformed, "wrong mode": n.mode, "wrong version": n.version, "unsigned": n.unsigned,
		"dropped": n.malformed + n.mode + n.version,
	} {
		if got := counted(t, out, word); got != want {
			t.Errorf("%d counted as %s, want %d", got, word, want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	for conn := range n.refused {
		nothing(t, conn)
	}
}

// nmap's script for NTP asks for the time, and then for what a control message (mode 6) tells, which nobody is told.
func TestNmap(t *testing.T) {
	t.Parallel()
	needRoot(t)
	nmap := need(t, "nmap", "nmap")
	s := serve(t, host(), "ntp=127.0.0.1:0")
	start := time.Now()
	out := host().mustRun(t, "", nmap, "-n", "-Pn", "-sU", "-T5", "--max-retries", "0", "-p", s.port("ntp/udp"), "--script", "+ntp-info", "127.0.0.1")
	m := regexp.MustCompile(`receive time stamp: (\S+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("nmap reads no time:\n%s", out)
	}
	told, err := time.Parse("2006-01-02T15:04:05", m[1])
	if err != nil {
		t.Fatal(err)
	}
	// Its script divides the fraction by 2^28 where it should by 2^32, so what it reads is up to 15 seconds late.
	behind(t, told, start, time.Now().Add(15*time.Second))
	for _, secret := range []string{"version:", "processor:", "system:"} {
		if strings.Contains(out, secret) {
			t.Errorf("nmap is told more:\n%s", out)
		}
	}
	summary := s.stop()
	if got := counted(t, summary, "answered"); got != 1 {
		t.Errorf("%d counted as answered, want the one for the time: %s", got, summary)
	}
}
