package ntp_test

import (
	"testing"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

func TestTrailer(t *testing.T) {
	for _, c := range []struct {
		name        string
		version     uint8
		behind      int   // bytes after the header
		lengths     []int // of extension fields, as they say themselves
		fields, mac int
		ok          bool
	}{
		{"a header alone", 4, 0, nil, 0, 0, true},
		{"crypto-NAK", 4, 4, nil, 0, 4, true},
		{"too short for a MAC", 4, 8, nil, 0, 0, false},
		{"too short for a MAC", 4, 16, nil, 0, 0, false},
		{"MD5", 4, 20, nil, 0, 20, true},
		{"20 bytes are no extension field, whatever they say", 4, 20, []int{20}, 0, 20, true},
		{"SHA-1", 4, 24, nil, 0, 24, true},
		{"the shortest extension field that stands alone", 4, 28, []int{28}, 1, 0, true},
		{"one field and MD5", 4, 16 + 20, []int{16}, 1, 20, true},
		{"one field and SHA-1", 4, 32 + 24, []int{32}, 1, 24, true},
		{"one field and crypto-NAK", 4, 32 + 4, []int{32}, 1, 4, true},
		{"two fields", 4, 16 + 28, []int{16, 28}, 2, 0, true},
		{"three fields and a MAC", 4, 100 + 16 + 16 + 20, []int{100, 16, 16}, 3, 20, true},
		{"a field of no length", 4, 28, nil, 0, 0, false},
		{"a field too short", 4, 28, []int{12}, 0, 0, false},
		{"a field not a multiple of 4", 4, 30, []int{30}, 0, 0, false},
		{"a field beyond the end", 4, 28, []int{32}, 0, 0, false},
		{"a second field beyond the end", 4, 16 + 28, []int{16, 32}, 1, 0, false},
		{"bytes left behind a field", 4, 32 + 8, []int{32}, 1, 0, false},
		{"the longest datagram", 4, 65_487, []int{65_484}, 1, 0, false},
		{"the longest field", 4, 65_484, []int{65_484}, 1, 0, true},
		{"version 5", 5, 28, []int{28}, 1, 0, true},

		{"version 3", 3, 0, nil, 0, 0, true},
		{"version 3, crypto-NAK", 3, 4, nil, 0, 4, true},
		{"version 3, DES", 3, 12, nil, 0, 12, true},
		{"version 3, too short", 3, 8, nil, 0, 8, false},
		{"version 3, MD5", 3, 20, nil, 0, 20, true},
		{"version 3, SHA-256", 3, 36, nil, 0, 36, true},
		{"version 3 has no extension fields", 3, 28, []int{28}, 0, 28, true},
		{"version 3, SHA-512", 3, 68, nil, 0, 68, true},
		{"version 3, Microsoft", 3, 72, nil, 0, 72, true},
		{"version 3, too long", 3, 76, nil, 0, 76, false},
		{"version 3, not a multiple of 4", 3, 22, nil, 0, 22, false},
	} {
		b := ntp.Header{Version: c.version, Mode: ntp.ModeClient}.Append(nil)
		b = append(b, make([]byte, c.behind)...)
		at := ntp.HeaderSize
		for _, n := range c.lengths {
			withField(b, at, n)
			at += n
		}
		fields, mac, ok := ntp.Trailer(b)
		if ok != c.ok || ok && (fields != c.fields || mac != c.mac) {
			t.Errorf("%s, %d bytes behind: %d fields, %d bytes of MAC, %v, want %d, %d, %v", c.name, c.behind, fields, mac, ok, c.fields, c.mac, c.ok)
		}
		if got := ntp.HasMAC(b); got != (c.ok && c.mac > 0) {
			t.Errorf("%s, %d bytes behind: has a MAC: %v", c.name, c.behind, got)
		}
	}
	for n := range ntp.HeaderSize {
		if _, _, ok := ntp.Trailer(make([]byte, n)); ok || ntp.HasMAC(make([]byte, n)) {
			t.Errorf("%d bytes have a trailer", n)
		}
	}
}
