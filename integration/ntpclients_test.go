//go:build linux

package integration

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A clockText is what clients are asked to read.
type clockText struct {
	text string
	far  bool // beyond what each client reads rightly: docs/clients.md says who does
}

var clockTexts = []clockText{
	{text: "yesterday"},
	{text: "now"},
	{text: "-7d +1h30m"},
	{text: "2001-02-03T04:05:06Z"},
	{text: "2030-01-01 frozen"},
	{text: "now x60"},
	{text: "yesterday x0.5"},
	{text: "now +20ppm at 2026-01-01T00:00:00Z"},
	{text: "-1h for 10s then +1h for 10s repeat"},
	{text: "2016-12-31T11:59:00Z leap-"},
	{text: "2016-12-31T23:00:00Z smear 24h"},
	{text: "y2k"},
	{text: "epoch", far: true},
	{text: "2036-02-07T06:28:16Z frozen", far: true},
	{text: "unix-rollover", far: true},
	{text: "gps-rollover", far: true},
	{text: "2172-03-16", far: true},
}

// Every client of NTP reads each clock as its text says, to 5 ms, and those that do not are known.
func TestNTPClients(t *testing.T) {
	t.Parallel()
	results := table{name: "clocks", columns: []string{"clock"}}
	var clients []*realClient
	for i := range realClients {
		c := &realClients[i]
		if c.service != "ntp/udp" {
			continue
		}
		results.columns = append(results.columns, c.name)
		if err := c.here(); err != nil {
			t.Run(c.name, func(t *testing.T) { missing(t, "%v", err) })
			continue
		}
		clients = append(clients, c)
	}
	var heldUp atomic.Int32
	t.Run("clock", func(t *testing.T) {
		for _, q := range clockTexts {
			row := "`" + q.text + "`"
			results.rows = append(results.rows, row)
			t.Run(q.text, func(t *testing.T) {
				t.Parallel()
				l := newLab(t, q.text)
				for i, c := range clients {
					v, o, err := l.read(t.Context(), c, own(i))
					if err == nil {
						err = l.leapShown(c, o)
					}
					if _, busy := errors.AsType[heldUpError](err); busy {
						t.Log(err)
						heldUp.Add(1)
						continue
					}
					if err != nil {
						t.Error(err)
						continue
					}
					if !q.far && v.text != reads {
						t.Errorf("%s: %s (%v), was told %+v", c.name, v.text, o.refusal, o.exchanges)
					}
					results.set(row, c.name, v.text)
				}
			})
		}
	})
	if most := len(results.rows); int(heldUp.Load()) > most { // one a clock, of all its clients
		t.Errorf("%d answers could not be judged, want at most %d", heldUp.Load(), most)
	}
	if !t.Failed() {
		results.settle(t)
	}
}

// On its default port, and on IPv6, NTP is there without being asked for.
func TestNTPByDefault(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24", "fd00::1/64")
	cli.addr(t, "eth0", "10.1.0.9/24", "fd00::9/64")
	s := serve(t, srv)
	if got := s.port("ntp/udp"); got != strconv.Itoa(ntpPort) {
		t.Errorf("ntp is on port %s, want %d", got, ntpPort)
	}
	for i := range realClients {
		c := &realClients[i]
		if c.service != "ntp/udp" || c.port != 0 {
			continue
		}
		for _, address := range []string{"10.1.0.1", "fd00::1"} {
			if strings.Contains(address, ":") && (c.name == "Net::NTP" || c.debian == "python3-ntplib") {
				continue // ntplib looks IPv4 up alone where it is given a number; Net::NTP does without another module
			}
			t.Run(c.name+" "+address, func(t *testing.T) {
				if _, err := c.path(); err != nil {
					missing(t, "%v", err)
				}
				for try := 1; ; try++ {
					start := time.Now()
					r, err := c.ask(t.Context(), cli, address, s.port("ntp/udp"))
					took := time.Since(start)
					if err != nil {
						t.Fatal(err)
					}
					if off := (r.offset + day).Abs(); off <= exact {
						return
					} else if off > took || try == 10 {
						t.Fatalf("reads %v, want %v", r.offset, -day)
					}
				}
			})
		}
	}
}

// The clients that docs/clients.md tells of are those that are run here.
func TestClientVersions(t *testing.T) {
	t.Parallel()
	results := table{name: "clients", columns: []string{"client", "asks", "from", "version", "how it was asked"}, loose: []string{"version"}}
	for i := range realClients {
		c := &realClients[i]
		results.rows = append(results.rows, c.name)
		from := c.module
		switch {
		case c.debian != "":
			from = c.debian
		case from == "":
			from = "this project"
		}
		protocol, transport, _ := strings.Cut(c.service, "/")
		results.set(c.name, "asks", map[string]string{"ntp": "NTP", "time": "RFC 868"}[protocol]+" over "+strings.ToUpper(transport))
		results.set(c.name, "from", from)
		results.set(c.name, "how it was asked", "`"+c.how+"`")
		if _, err := c.path(); err != nil {
			t.Run(c.name, func(t *testing.T) { missing(t, "%v", err) })
			continue
		}
		results.set(c.name, "version", c.version(t))
	}
	results.settle(t)
}
