//go:build linux

package integration

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

// A network is a server's namespace, and one for each of its clients, which has a link of its own to the server: the k-th is
// 10.1.k.9 and fd00:k::9, and finds the server at 10.1.k.1 and fd00:k::1.
type network struct {
	srv     *netns
	clients []*netns
}

func newNetwork(t *testing.T, clients int) *network {
	t.Helper()
	n := &network{srv: newNetns(t)}
	for k := range clients {
		c := newNetns(t)
		link := fmt.Sprintf("eth%d", k)
		n.srv.link(t, link, c, "eth0")
		n.srv.addr(t, link, fmt.Sprintf("10.1.%d.1/24", k), fmt.Sprintf("fd00:%d::1/64", k))
		c.addr(t, "eth0", fmt.Sprintf("10.1.%d.9/24", k), fmt.Sprintf("fd00:%d::9/64", k))
		n.clients = append(n.clients, c)
	}
	return n
}

// server4 and server6 are the server as the k-th client knows it.
func server4(k int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(k), 1}) }
func server6(k int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd00:%d::1", k)) }

// serveFile starts a server with a configuration file, and returns where that is.
func serveFile(t *testing.T, ns *netns, file string) (*server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	return serve(t, ns, "--config", path, "--log-format", "json"), path
}

// reload changes the server's file, and returns when the server says that it has read it.
func (s *server) reload(path, file string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		s.t.Fatal(err)
	}
	count := func() int { return strings.Count(s.stdout.String(), `"msg":"reloaded"`) }
	before := count()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	if _, ok := s.stdout.await(func(string) bool { return count() > before }, s.ended); !ok {
		s.t.Fatalf("the server does not say that it has read its file again: %s%s", &s.stdout, &s.stderr)
	}
}

// client returns one of realClients.
func client(name string) *realClient {
	return &realClients[slices.IndexFunc(realClients, func(c realClient) bool { return c.name == name })]
}

// Three clients with three addresses see three clocks at the same moment, whatever program they ask by: chronyd, ntplib and
// rdate, which change places. The longest prefix wins over the first.
func TestRulesThreeClocks(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 3)
	at := time.Now().UTC().Format(time.RFC3339)
	texts := map[string]string{"ahead": "+7d", "past": "2001-02-03T04:05:06Z at " + at, "fast": "now x60 at " + at}
	s, _ := serveFile(t, net.srv, fmt.Sprintf(`
services: [time, ntp]
clocks: {ahead: %q, past: %q, fast: %q}
rules:
  - {from: 10.0.0.0/8, clock: ahead}
  - {from: 10.1.1.0/24, clock: past}
  - {from: 10.1.2.9, clock: fast}
  - {from: 'fd00::/16', clock: ahead}
  - {from: 'fd00:1::/64', clock: past}
  - {from: 'fd00:2::9', clock: fast}
`, texts["ahead"], texts["past"], texts["fast"]))
	clocks := []string{"ahead", "past", "fast"} // by client
	labs := make([]*lab, len(clocks))
	for k, name := range clocks {
		recipe, err := clock.Parse(texts[name])
		if err != nil {
			t.Fatal(err)
		}
		labs[k] = &lab{server: s, ns: net.clients[k], clock: recipe.Start(time.Unix(0, 0))}
	}
	for _, family := range []struct {
		name     string
		server   func(k int) netip.Addr
		programs []string
	}{
		{"IPv4", server4, []string{"chronyd", "ntplib v4", "rdate"}},
		{"IPv6", server6, []string{"chronyd", "yesterday ask", "rdate, TCP"}}, // ntplib looks up IPv4 alone
	} {
		for turn := range clocks {
			t.Run(fmt.Sprintf("%s %d", family.name, turn), func(t *testing.T) {
				for _, name := range family.programs {
					if err := client(name).here(); err != nil {
						missing(t, "%v", err)
					}
				}
				var wg sync.WaitGroup
				for k, name := range clocks {
					c := client(family.programs[(k+turn)%len(family.programs)])
					wg.Go(func() {
						v, o, err := labs[k].read(t.Context(), c, family.server(k))
						if err != nil {
							t.Error(err)
						} else if v.text != reads {
							t.Errorf("%s at %v, which lives by %s: %s (%v), was told %+v", c.name, family.server(k), name, v.text, o.refusal, o.exchanges)
						}
						for _, e := range o.exchanges {
							if e.Clock != name {
								t.Errorf("%v was answered by the clock %q, want %s", e.From, e.Clock, name)
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// Each device lives the leap second at its own time, ten seconds after its first request, whatever it asks and how: by NTP, or
// by RFC 868 over UDP and TCP.
func TestRulesFirstRequest(t *testing.T) {
	t.Parallel()
	for try := 1; ; try++ {
		heldUp := false
		t.Run(fmt.Sprintf("try %d", try), func(t *testing.T) { heldUp = liveApart(t) })
		if !heldUp || t.Failed() {
			return
		}
		if try == tries {
			t.Fatalf("held up in each of %d tries", tries)
		}
	}
}

// apart is how long after a device the next begins. All begin before the first polls, so that the server, which tells of 20
// exchanges a second, tells of each first one.
const apart = 1500 * time.Millisecond

// liveApart is a try of TestRulesFirstRequest.
func liveApart(t *testing.T) (heldUp bool) {
	net := newNetwork(t, 3)
	s, _ := serveFile(t, net.srv, `
services: [time, ntp]
clocks: {lab: leap-second}
rules:
  - {from: 10.1.0.0/16, clock: lab, start: first-request}
  - {from: 'fd00::/16', clock: lab, start: first-request}
`)
	begin := time.Now()
	held := make(chan bool)
	for k, addr := range []netip.Addr{server4(0), server6(1), server4(2)} {
		go func() {
			var h bool
			var err error
			if wait(t.Context(), begin.Add(time.Duration(k)*apart)) {
				h, err = s.device(t, net.clients[k], addr)
			}
			if err != nil {
				t.Errorf("%v: %v", addr, err)
			}
			held <- h
		}()
	}
	for range net.clients {
		heldUp = <-held || heldUp
	}
	return heldUp
}

// device begins to ask, and polls when its leap second comes. It tells whether it was held up.
func (s *server) device(t *testing.T, ns *netns, addr netip.Addr) (heldUp bool, err error) {
	at := func(service string) netip.AddrPort { return netip.AddrPortFrom(addr, s.bound[service].Port()) }
	start := time.Now()
	first, err := client("yesterday ask").ask(t.Context(), ns, addr.String(), fmt.Sprint(at("ntp/udp").Port()))
	if err != nil {
		return false, err
	}
	told, ok := s.awaitExchanges(at("ntp/udp"), start, 1)
	if !ok {
		return true, nil
	}
	recipe, err := clock.Parse("leap-second")
	if err != nil {
		return false, err
	}
	c := recipe.Start(told[0].Received)
	if off := first.offset - offset(c, told[0].Received); off.Abs() > exact {
		if off.Abs() < time.Since(start) {
			return true, nil
		}
		return false, fmt.Errorf("its first answer is %v off a clock that starts then", off)
	}
	var leap time.Time
	for change := range clock.Changes(c, told[0].Received, told[0].Received.Add(time.Minute)) {
		if change.Kind == clock.LeapInserted {
			leap = change.Real
		}
	}
	// Until then nothing is asked: a clock that started anew at some later request would come late.
	if !wait(t.Context(), leap.Add(-2500*time.Millisecond)) {
		return false, t.Context().Err()
	}
	until := leap.Add(2500 * time.Millisecond)
	name := func(what string) string { return what + " at " + addr.String() }
	pollers := map[string]func() ([]poll, error){
		name("NTP"):           udpPoller(t, ns, at("ntp/udp").String(), until, readNTP),
		name("RFC 868"):       udpPoller(t, ns, at("time/udp").String(), until, readSeconds),
		name("RFC 868 (TCP)"): tcpPoller(t, ns, at("time/tcp").String(), until, readSeconds),
	}
	if python, err := ntplib.path(); err == nil && addr.Is4() {
		pollers[name("ntplib")] = ntplibPoller(t, ns, python, at("ntp/udp").String(), until)
	}
	return liveTwice(t, pollers, c, leap)
}

// A clock that did not change goes on through SIGHUP, for those who share it and for those who each have its beginning to
// themselves; one that changed starts anew.
func TestRulesReload(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 3)
	const fast, other = "2001-02-03T04:05:06Z x1000", "1999-12-31T00:00:00Z x1000"
	file := func(changing string, more string) string {
		return fmt.Sprintf(`
services: [time, ntp]
clocks: {shared: %q, own: %q, changing: %q}
rules:
  - {from: 10.1.0.9, clock: shared}
  - {from: 10.1.1.0/24, clock: own, start: first-request}
  - {from: 10.1.2.9, clock: changing}
%s`, fast, fast, changing, more)
	}
	s, path := serveFile(t, net.srv, file(fast, ""))
	ask := func(k int) exchange {
		t.Helper()
		to := netip.AddrPortFrom(server4(k), s.bound["time/udp"].Port())
		c := client("rdate")
		if err := c.here(); err != nil {
			missing(t, "%v", err)
		}
		start := time.Now()
		r, err := c.ask(t.Context(), net.clients[k], server4(k).String(), fmt.Sprint(to.Port()))
		if err != nil {
			t.Fatal(err)
		}
		told, ok := s.awaitExchanges(to, start, 1)
		if !ok || !r.date.Equal(told[0].Told.Truncate(time.Second)) {
			t.Fatalf("rdate says %v, was told %+v", r.date, told)
		}
		return told[0]
	}
	var before [3]exchange
	for k := range before {
		before[k] = ask(k)
	}
	if first := before[1].Told.Format(time.RFC3339Nano); first != "2001-02-03T04:05:06Z" {
		t.Errorf("the first answer to a client of its own clock is %s", first)
	}
	for i, changing := range []string{other, fast} {
		s.reload(path, file(changing, fmt.Sprintf("  - {from: 10.2.%d.0/24, clock: changing, faults: [silence]}\n", i)))
		for k := range before {
			e := ask(k)
			went := before[k].Told.Add(1000 * e.Received.Sub(before[k].Received))
			if d := e.Told.Sub(went).Abs(); d > time.Microsecond && k < 2 { // of which told has whole ones
				t.Errorf("reload %d: client %d is told %v, want %v, as its clock goes on", i, k, e.Told, went)
			} else if k == 2 && d < time.Millisecond {
				t.Errorf("reload %d: client %d is told %v, as if its clock had not changed", i, k, e.Told)
			}
		}
	}
}
