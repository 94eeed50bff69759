package ntp_test

import (
	"testing"

	"github.com/yesterday-time/yesterday/wire/ntp"
)

func TestReferenceID(t *testing.T) {
	for _, c := range []struct {
		id      string
		stratum uint8
		want    string
	}{
		{"GPS\x00", 1, "GPS"},
		{"GPS ", 1, "GPS"},
		{"XDAY", 1, "XDAY"},
		{"X\x00\x00\x00", 1, "X"},
		{"RATE", 0, "RATE"},
		{"INIT", 16, "INIT"},
		{"\x00\x00\x00\x00", 0, "0x00000000"},
		{"    ", 1, "0x20202020"},
		{"\x7f\x7f\x01\x01", 1, "0x7f7f0101"},
		{"G\x00S\x00", 1, "0x47005300"},
		{"\x1b[2J", 1, "0x1b5b324a"},
		{"\xc0\x00\x02\x01", 2, "192.0.2.1"},
		{"GPS\x00", 2, "71.80.83.0"},
		{"\xff\xff\xff\xff", 15, "255.255.255.255"},
	} {
		id := ntp.ReferenceID([]byte(c.id))
		if got := id.Format(c.stratum); got != c.want {
			t.Errorf("%q at stratum %d is %s, want %s", c.id, c.stratum, got, c.want)
		}
	}
}

func TestParseReferenceID(t *testing.T) {
	for text, want := range map[string]string{"X": "X\x00\x00\x00", "GPS": "GPS\x00", "XDAY": "XDAY", "~!.|": "~!.|"} {
		if id, err := ntp.ParseReferenceID(text); err != nil || string(id[:]) != want {
			t.Errorf("%q is %q, %v, want %q", text, id[:], err, want)
		}
	}
	for text, want := range map[string]string{
		"":      `ntp: reference ID "" has 0 bytes, want 1 to 4`,
		"XDAYS": `ntp: reference ID "XDAYS" has 5 bytes, want 1 to 4`,
		"G S":   `ntp: reference ID "G S", want printable ASCII without spaces`,
		"\x1b":  `ntp: reference ID "\x1b", want printable ASCII without spaces`,
		"é":     `ntp: reference ID "é", want printable ASCII without spaces`,
		"a\x7f": `ntp: reference ID "a\x7f", want printable ASCII without spaces`,
	} {
		if id, err := ntp.ParseReferenceID(text); err == nil || err.Error() != want || id != (ntp.ReferenceID{}) {
			t.Errorf("%q is %v, %v, want %s", text, id, err, want)
		}
	}
}

func TestKiss(t *testing.T) {
	for _, c := range []struct {
		stratum uint8
		id      string
		want    bool
	}{
		{0, "RATE", true}, {0, "DENY", true}, {0, "XDAY", false}, {0, "INIT", true}, {1, "RATE", false}, {16, "RATE", false},
		{0, "GPS\x00", false}, {0, "\x00\x00\x00\x00", false}, {0, "\x7f\x00\x00\x01", false},
	} {
		h := ntp.Header{Stratum: c.stratum, ReferenceID: ntp.ReferenceID([]byte(c.id))}
		if code, ok := h.Kiss(); ok != c.want || ok && string(code[:]) != c.id {
			t.Errorf("stratum %d, %q: kiss code %q, %v, want %v", c.stratum, c.id, code[:], ok, c.want)
		}
	}
}
