package yesterday

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/internal/ipv6"
	"github.com/yesterday-time/yesterday/lab"
	"github.com/yesterday-time/yesterday/service"
)

func faults(texts ...string) (all []fault.Fault) {
	for _, text := range texts {
		all = append(all, fault.MustParse(text))
	}
	return all
}

// With a Lab each client lives by its own clock and meets its own faults, over both transports, and both can be changed
// while the Server serves.
func TestServesLab(t *testing.T) {
	l := new(lab.Lab)
	config := lab.Config{
		Clock:  clock.MustParse("2000-01-01 frozen"),
		Clocks: map[string]clock.Recipe{"epoch": clock.MustParse("1970-01-01 frozen")},
		Rules:  []lab.Rule{{From: netip.MustParsePrefix("127.0.0.1/32"), Clock: "epoch"}},
	}
	if err := l.Set(config, time.Now()); err != nil {
		t.Fatal(err)
	}
	s := &Server{Lab: l, Services: everything(anyFree), Zone: time.UTC}
	start(t, s)
	const epoch, y2k = "\x83\xaa\x7e\x80", "\xbc\x17\xc2\x00"
	for _, transport := range []Transports{UDP, TCP} {
		if got := ask(t, s, service.Time, transport, ""); got != epoch {
			t.Errorf("time/%v: % x, want % x", transport, got, epoch)
		}
	}
	t.Run("who has no rule", func(t *testing.T) {
		ipv6.Need(t)
		conn, err := net.Dial("udp", netip.AddrPortFrom(netip.IPv6Loopback(), s.Endpoints()[4].Addr.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(nil)
		b := make([]byte, 100)
		if n, err := conn.Read(b); err != nil || string(b[:n]) != y2k {
			t.Errorf("% x, %v, want % x", b[:n], err, y2k)
		}
	})

	config.Rules[0].Faults = faults("length 2")
	if err := l.Set(config, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []Transports{UDP, TCP} {
		if got := ask(t, s, service.Time, transport, ""); got != epoch[:2] {
			t.Errorf("time/%v, cut: % x, want % x", transport, got, epoch[:2])
		}
	}
	if got := ask(t, s, service.NTP, UDP, "\x23"+string(make([]byte, 47))); got != "\x24\x01" {
		t.Errorf("ntp, cut: % x, want 24 01", got)
	}
	var noted uint64
	for _, n := range s.Counts() {
		for note, count := range n.Noted() {
			if note == exchange.FaultLength {
				noted += count
			}
		}
	}
	if noted == 0 {
		t.Error("no fault is counted")
	}
}

// Each endpoint and shard draws its own random numbers, and the same seed the same ones.
func TestSeed(t *testing.T) {
	l := new(lab.Lab)
	if err := l.Set(lab.Config{Faults: faults("corrupt")}, time.Now()); err != nil {
		t.Fatal(err)
	}
	text := string(make([]byte, 1000))
	replies := func(seed uint64) (udp, other string) {
		s := &Server{Lab: l, Seed: seed, Services: []Service{{service.Echo, local}, {service.Echo, local}}, Transports: UDP}
		start(t, s)
		udp = ask(t, s, service.Echo, UDP, text)
		conn, err := net.Dial("udp", s.Endpoints()[1].Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte(text))
		b := make([]byte, len(text))
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return udp, string(b[:n])
	}
	a, b := replies(1)
	if a == b || a == text {
		t.Error("two endpoints make the same faults, or none")
	}
	if again, other := replies(1); again != a || other != b {
		t.Error("the same seed makes other faults")
	}
	if again, _ := replies(2); again == a {
		t.Error("another seed makes the same faults")
	}
}

func TestClockOrLab(t *testing.T) {
	s := &Server{Clock: clock.Offset(0), Lab: new(lab.Lab), Services: everything(local)}
	if err := s.Listen(); err == nil || len(s.Endpoints()) != 0 {
		t.Errorf("a Server with a Clock and a Lab listens: %v", err)
		s.Shutdown(t.Context())
	}
}

// Wrap sees every request, and what the guard says to it, once for each endpoint's handler.
func TestWrap(t *testing.T) {
	var seen, refused atomic.Int64
	s := &Server{Services: everything(local), Wrap: func(e Endpoint, next exchange.Handler) exchange.Handler {
		if e.Addr.Port() == 0 {
			t.Errorf("%v is not bound yet", e)
		}
		return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			seen.Add(1)
			v := next.Serve(p, r)
			if v != exchange.Answer {
				refused.Add(1)
			}
			return v
		})
	}}
	start(t, s)
	ask(t, s, service.Time, UDP, "")
	ask(t, s, service.Time, TCP, "")
	ask(t, s, service.Echo, UDP, "hi")
	if seen.Load() != 3 || refused.Load() != 0 {
		t.Errorf("%d seen, %d refused, want 3 and none", seen.Load(), refused.Load())
	}
}

// Loopback has no limit, unless it is to have it.
func TestLimitLoopback(t *testing.T) {
	for _, limited := range []bool{false, true} {
		s := &Server{Services: []Service{{service.Echo, local}}, Transports: TCP, Limit: 1, LimitLoopback: limited}
		start(t, s)
		answered := 0
		for range 10 {
			if got, err := tryAsk(s, service.Echo, TCP, "hi"); err == nil && got == "hi" {
				answered++
			}
		}
		if limited != (answered < 10) {
			t.Errorf("limited %v: %d of 10 are answered", limited, answered)
		}
	}
}
