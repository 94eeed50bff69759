package ask_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
)

func TestParseTarget(t *testing.T) {
	for _, c := range []struct{ text, host, port string }{
		{"", "localhost", ""},
		{"localhost", "localhost", ""},
		{":37", "localhost", "37"},
		{":time", "localhost", "time"},
		{"server.example:daytime", "server.example", "daytime"},
		{"server_1.example.:65535", "server_1.example.", "65535"},
		{"192.0.2.1", "192.0.2.1", ""},
		{"192.0.2.1:1", "192.0.2.1", "1"},
		{"::1", "::1", ""},
		{"::1:37", "::1:37", ""},
		{"2001:db8::37", "2001:db8::37", ""},
		{"fe80::1%eth0", "fe80::1%eth0", ""},
		{"[::1]", "::1", ""},
		{"[::1]:37", "::1", "37"},
		{"[fe80::1%eth0]:time", "fe80::1%eth0", "time"},
		{"[::ffff:192.0.2.1]:37", "::ffff:192.0.2.1", "37"},
		{"münchen.example:37", "münchen.example", "37"},
		{"host:z39.50", "host", "z39.50"},
	} {
		got, err := ask.ParseTarget(c.text)
		if err != nil || got.Host != c.host || got.Port != c.port {
			t.Errorf("ParseTarget(%q) = %+v, %v, want %q, %q", c.text, got, err, c.host, c.port)
		}
	}
}

func TestParseTargetErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{":", `ask: ":": no port after the colon, want a number or a service's name`},
		{"host:", "no port after the colon"},
		{"[::1]:", "no port after the colon"},
		{"host:0", "port 0, want 1 to 65535"},
		{"host:65536", "port 65536, want 1 to 65535"},
		{"host:99999999999999999999", "want 1 to 65535"},
		{"host:37:38", "more than one colon"},
		{"::1::37", "more than one colon"},
		{"fe80::1%eth0:37", "an IPv6 address with a port, want the address in brackets"},
		{"[fe80::1%et h0]:37", `zone "et h0", want the name of an interface`},
		{"[::1", "no ] after ["},
		{"[::1]37", `"37" after ], want :PORT or nothing`},
		{"[127.0.0.1]:37", `"127.0.0.1" in brackets, want an IPv6 address`},
		{"[localhost]:37", "want an IPv6 address"},
		{"[]:37", "want an IPv6 address"},
		{"udp://localhost:37", "not a URL"},
		{"local host", `' ' in the host's name`},
		{"host\n", `'\n' in the host's name`},
		{"user@host", `'@' in the host's name`},
		{"host/24", `'/' in the host's name`},
		{"host%eth0:37", `'%' in the host's name`},
		{"\xff", "in the host's name"},
		{"host:ti me", `' ' in the port`},
		{"host:-1x\x1b", `'\x1b' in the port`},
		{strings.Repeat("a", 256), "a host's name of 256 bytes, want at most 255"},
		{"224.0.1.1:37", "a multicast address"},
		{"::ffff:224.0.1.1", "a multicast address"},
		{"[ff02::1%eth0]:37", "a multicast address"},
		{"255.255.255.255:37", "the broadcast address"},
		{"fe80::1", "a link-local address, want its zone too, as in fe80::1%eth0"},
	} {
		got, err := ask.ParseTarget(c.text)
		e, ok := errors.AsType[*ask.TargetError](err)
		if !ok || e.Text != c.text || !strings.Contains(err.Error(), c.want) || got != (ask.Target{}) {
			t.Errorf("ParseTarget(%q) = %+v, %v, want %s", c.text, got, err, c.want)
		}
	}
}

func TestTargetService(t *testing.T) {
	for _, c := range []struct {
		text string
		kind service.Kind
		ok   bool
	}{
		{"host:time", service.Time, true}, {"host:Daytime", service.Daytime, true}, {":echo", service.Echo, true},
		{"host:ntp", service.NTP, true}, {"host", 0, false}, {"host:37", 0, false}, {"host:nntp", 0, false},
	} {
		target, err := ask.ParseTarget(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if k, ok := target.Service(); ok != c.ok || ok && k != c.kind {
			t.Errorf("%q names %v, %v, want %v, %v", c.text, k, ok, c.kind, c.ok)
		}
	}
}

// A recorder answers every name with a loopback address, and keeps the ports it was asked for.
type recorder struct {
	names
	asked *[]string
}

func (r recorder) LookupPort(ctx context.Context, network, service string) (int, error) {
	*r.asked = append(*r.asked, network+"/"+service)
	return r.names.LookupPort(ctx, network, service)
}

// TestPorts tells the port that each target led to by the refusal, since nothing listens there.
func TestPorts(t *testing.T) {
	addr := refusingUDP(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(addr)
	number := int(addrPort(t, addr).Port())
	var asked []string
	r := recorder{names{
		hosts: map[string][]string{"localhost": {"127.0.0.1"}},
		ports: map[string]int{"udp/time": number, "udp/fish": number, "tcp/time": 1},
	}, &asked}
	for _, text := range []string{":time", ":fish", "127.0.0.1:time", "localhost:" + port} {
		_, err := (&ask.Client{Timeout: never, Resolver: r}).Time(t.Context(), text)
		e, ok := errors.AsType[*ask.RefusedError](err)
		if !ok || e.Servers[0].Server.String() != addr {
			t.Errorf("%q: error is %v, want %s to refuse", text, err, addr)
		}
	}
	if got := strings.Join(asked, " "); got != "udp/time udp/fish udp/time" {
		t.Errorf("ports were looked up as %s", got)
	}

	_, err := (&ask.Client{Timeout: never, Resolver: r}).Time(t.Context(), "localhost:tiem")
	if e, ok := errors.AsType[*ask.TargetError](err); !ok || !strings.HasSuffix(e.Problem, ", perhaps time") {
		t.Errorf("error is %v, want a TargetError that knows time", err)
	}
	_, err = (&ask.Client{Timeout: never, Resolver: r}).Time(t.Context(), "127.0.0.1:zebra")
	if want := `ask: "127.0.0.1:zebra": unknown service "zebra", want a port's number or the name of a service`; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestUnknownHost(t *testing.T) {
	_, err := (&ask.Client{Timeout: never, Resolver: names{}}).Time(t.Context(), "nowhere.test:37")
	if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsNotFound || !strings.HasPrefix(err.Error(), "ask: lookup nowhere.test") {
		t.Errorf("error is %v, want the resolver's", err)
	}
}

// TestLocalhost asks for localhost on a host whose resolver does not know it.
func TestLocalhost(t *testing.T) {
	addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply(bytes868) })
	port := addrPort(t, addr).Port()
	for _, host := range []string{"", "localhost", "LocalHost"} {
		text := host + addr[strings.LastIndex(addr, ":"):]
		a, err := (&ask.Client{Timeout: never, Resolver: names{}}).Time(t.Context(), text)
		if err != nil || a.Server != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port) {
			t.Errorf("%q: %+v, %v", text, a, err)
		}
	}
}

func TestZones(t *testing.T) {
	_, err := (&ask.Client{Timeout: never}).Time(t.Context(), "[fe80::1%nosuch0]:37")
	if e, ok := errors.AsType[*ask.TargetError](err); !ok || !strings.HasPrefix(e.Problem, `no interface "nosuch0" here, want one of `) {
		t.Errorf("error is %v, want a TargetError that lists the interfaces", err)
	}
}

// TestUnspecified asks the address that stands for this host.
func TestUnspecified(t *testing.T) {
	addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply(bytes868) })
	a, err := (&ask.Client{Timeout: never}).Time(t.Context(), "0.0.0.0"+addr[strings.LastIndex(addr, ":"):])
	if err != nil || a.Server.String() != addr {
		t.Errorf("answer is %+v, %v, want one from %s", a, err, addr)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"", "localhost", ":37", "host:time", "[::1]:37", "[fe80::1%eth0]:time", "fe80::1%a]b:c", "::1",
		"1.2.3.4:5", "[", "]", "[]:", "a:b:c", "host:65536", "udp://x", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ask.ParseTarget(text)
		if err != nil {
			if e, ok := errors.AsType[*ask.TargetError](err); !ok || e.Text != text || e.Problem == "" || target != (ask.Target{}) {
				t.Fatalf("ParseTarget(%q) = %+v, %#v", text, target, err)
			}
			return
		}
		if target.Host == "" {
			t.Fatalf("ParseTarget(%q) has no host", text)
		}
		again, err := ask.ParseTarget(target.String())
		if err != nil || again != target {
			t.Fatalf("ParseTarget(%q) = %+v, written %q, which is %+v, %v", text, target, target.String(), again, err)
		}
	})
}
