package probe

import (
	"strings"
	"testing"
)

func TestParseSources(t *testing.T) {
	for text, want := range map[string]struct {
		n           int
		first, last string
	}{
		"1":                              {1, "127.1.0.1", "127.1.0.1"},
		"300":                            {300, "127.1.0.1", "127.1.1.44"},
		"127.1.0.0/22":                   {1024, "127.1.0.0", "127.1.3.255"},
		"10.0.0.250-10.0.1.3":            {10, "10.0.0.250", "10.0.1.3"},
		"10.0.0.1":                       {1, "10.0.0.1", "10.0.0.1"},
		"fd00::/120":                     {256, "fd00::", "fd00::ff"},
		"10.0.0.1, 10.0.0.0/30,10.0.0.9": {5, "10.0.0.1", "10.0.0.9"},
	} {
		got, err := ParseSources(text)
		if err != nil || len(got) != want.n || got[0].String() != want.first || got[len(got)-1].String() != want.last {
			t.Errorf("%q: %d addresses, %v, want %+v", text, len(got), err, want)
		}
	}
	for text, want := range map[string]string{
		"0": "0 sources, want 1 to 65536", "-1": "-1 sources", "65537": "want 1 to 65536", "": `source ""`, "eth0": "want an address, a prefix",
		"127.1.0.1/22": "want 127.1.0.0/22 or, for the one address, 127.1.0.1", "10.0.0.0/8": "more than 65536",
		"10.0.0.2-10.0.0.1": "want an address", "10.0.0.1-": "want an address", "10.0.0.1-fd00::1": "want an address",
		"10.0.0.0-10.9.0.0": "more than 65536", "10.0.0.0/16,10.1.0.0/16": "more than 65536",
	} {
		if _, err := ParseSources(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
