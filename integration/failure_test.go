//go:build linux

package integration

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// A firewall that drops the replies fails each send; the server counts that and goes on.
func TestFirewall(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	nft := need(t, "nft", "nftables")
	srv.addr(t, "eth0", "10.1.0.1/24")
	cli.addr(t, "eth0", "10.1.0.9/24")
	s := serve(t, srv)
	blocked := cli.udp(t, "10.1.0.9:40000", "10.1.0.1:12345")
	free := cli.udp(t, "10.1.0.9:40001", "10.1.0.1:12345")
	requestTime(t, blocked)
	srv.mustRun(t, "table inet wall { chain out { type filter hook output priority 0; udp dport 40000 drop; }; }\n", nft, "-f", "-")
	const dropped = 20
	for range dropped {
		if _, err := blocked.Write(nil); err != nil {
			t.Fatal(err)
		}
		requestTime(t, free) // a refused reply takes no other with it
	}
	srv.mustRun(t, "", nft, "delete", "table", "inet", "wall")
	requestTime(t, blocked)
	out := s.stop()
	if got := counted(t, out, "unsent"); got != dropped {
		t.Errorf("%d counted as unsent, want %d\n%s", got, dropped, out)
	}
}

// A client that has gone answers replies with ICMP errors; they harm nobody else.
func TestClientsThatAreGone(t *testing.T) {
	t.Parallel()
	s := serve(t, host(), loopback...)
	other := host().udp(t, "", s.addr("time/udp"))
	for range 100 {
		gone := host().udp(t, "127.0.0.1:0", s.addr("time/udp"))
		if _, err := gone.Write(nil); err != nil {
			t.Fatal(err)
		}
		gone.Close()
		requestTime(t, other)
	}
	if got := counted(t, s.stop(), "answered"); got != 200 {
		t.Errorf("%d counted as answered, want 200", got)
	}
}

// A second server finds the port taken: it says which service and where, starts nothing, and the first goes on. UDP by
// itself must notice too, where sharing a port is easy to do by accident.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string][]string{
		"udp and tcp":     nil,
		"udp alone":       {"--transport", "udp"},
		"tcp alone":       {"--transport", "tcp"},
		"udp with shards": {"--transport", "udp", "--shards", "2"},
	} {
		for _, where := range []string{"127.0.0.1", "[::1]", ""} {
			t.Run(name+" "+where, func(t *testing.T) {
				t.Parallel()
				switch where {
				case "[::1]":
					needIPv6(t)
				case "":
					where = "0.0.0.0" // the first is on one address, the second on all
				}
				first := serve(t, host(), append([]string{"time=" + strings.Replace(where, "0.0.0.0", "127.0.0.1", 1) + ":0"}, extra...)...)
				transport := "udp"
				if len(extra) > 0 && extra[1] == "tcp" {
					transport = "tcp"
				}
				port := first.port("time/" + transport)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				args := append([]string{"serve", "echo=127.0.0.1:0", "time=" + where + ":" + port}, extra...)
				out, err := host().run(ctx, "", program, args...)
				if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
					t.Errorf("the second server ended with %v, want exit code 1", err)
				}
				if strings.Count(out, "\n") != 1 || !strings.Contains(out, "time") || !strings.Contains(out, port) {
					t.Errorf("the second server printed %q, want one line with the service and port %s", out, port)
				}
				first.alive()
				if transport == "udp" {
					for range 20 { // a port that two share would lose some of these
						requestTime(t, host().udp(t, "", first.addr("time/udp")))
					}
				}
				first.stop()
			})
		}
	}
}

// Ports below 1024 without the right to them: one line that says what to do.
func TestLowPortWithoutTheRight(t *testing.T) {
	t.Parallel()
	srv := newNetns(t)
	setpriv := need(t, "setpriv", "util-linux")
	out, err := srv.run(t.Context(), "", setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
		program, "serve", "--port-offset", "0")
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit code 1", err)
	}
	for _, want := range []string{"--port-offset", "CAP_NET_BIND_SERVICE"} {
		if strings.Count(out, "\n") != 1 || !strings.Contains(out, want) {
			t.Errorf("printed %q, want one line that says %s", out, want)
		}
	}
	// With the right, the well-known ports it is.
	s := serve(t, srv, "--port-offset", "0")
	for service, port := range map[string]int{"echo": 7, "daytime": 13, "time": 37} {
		if got := s.port(service + "/udp"); got != fmt.Sprint(port) {
			t.Errorf("%s is on port %s, want %d", service, got, port)
		}
	}
	requestTime(t, srv.udp(t, "", "127.0.0.1:37"))
	s.stop()
}
