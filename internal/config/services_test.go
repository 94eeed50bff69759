package config

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/yesterday-time/yesterday"
)

func text(s string) *Text { return new(Text(s)) }

func TestUnused(t *testing.T) {
	for _, c := range []struct{ services, listen, offset, want string }{
		{"", "::1", "1", ""},
		{"time", "::1", "1", ""},
		{"time=:37", "::1", "", ""},
		{"time=:37", "", "1", "port-offset 1: each service has a port of its own, want it there"},
		{"time=127.0.0.1", "", "1", ""},
		{"time=[::1]", "", "1", ""},
		{"time=::1", "127.0.0.1", "", `listen "127.0.0.1": each service has an address of its own, want it there`},
		{"time=127.0.0.1:37 echo=[::1]:7", "127.0.0.1", "", `listen "127.0.0.1": each service has an address of its own, want it there`},
		{"time=127.0.0.1:37 echo", "127.0.0.1", "1", ""},
		{"time=127.0.0.1:37", "", "", ""},
	} {
		var s Settings
		for arg := range strings.FieldsSeq(c.services) {
			s.Services = append(s.Services, Text(arg))
		}
		if c.listen != "" {
			s.Listen = List{Text(c.listen)}
		}
		if c.offset != "" {
			s.PortOffset = text(c.offset)
		}
		got := ""
		if err := s.Unused(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestServices(t *testing.T) {
	const both = yesterday.UDP | yesterday.TCP
	for _, test := range []struct {
		args, listen string
		offset       int
		transports   yesterday.Transports
		want         string
	}{
		{"", "", 12308, both, "echo=[::]:12315 daytime=[::]:12321 time=[::]:12345 ntp=[::]:12431"},
		{"", "", 0, yesterday.UDP, "echo=[::]:7 daytime=[::]:13 time=[::]:37 ntp=[::]:123"},
		{"", "", 12308, yesterday.TCP, "echo=[::]:12315 daytime=[::]:12321 time=[::]:12345"}, // NTP has no TCP
		{"time", "127.0.0.1,::1", 12308, both, "time=127.0.0.1:12345 time=[::1]:12345"},
		{"time=:37 echo=127.0.0.1:7", "", 12308, both, "time=[::]:37 echo=127.0.0.1:7"},
		{"time=:0", "127.0.0.1", 12308, both, "time=127.0.0.1:0"},
		{"time=127.0.0.1 echo=::1 daytime=[::1]:13", "", 12308, both, "time=127.0.0.1:12345 echo=[::1]:12315 daytime=[::1]:13"},
		{"time=[fe80::1%eth0]:37", "", 12308, both, "time=[fe80::1%eth0]:37"},
		{"ntp time", "", 12308, both, "ntp=[::]:12431 time=[::]:12345"},
	} {
		var s Settings
		for arg := range strings.FieldsSeq(test.args) {
			s.Services = append(s.Services, Text(arg))
		}
		s.PortOffset = text(strconv.Itoa(test.offset))
		if test.listen != "" {
			s.Listen = List{Text(test.listen)}
		}
		services, err := s.services(test.transports)
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		var got []string
		for _, s := range services {
			got = append(got, fmt.Sprintf("%v=%v", s.Kind, s.Addr))
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%q on %q: %s, want %s", test.args, test.listen, got, test.want)
		}
	}
}
