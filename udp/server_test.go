package udp

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/golden"
	"github.com/yesterday-time/yesterday/service"
)

// patience is how long a test waits for what must come. It is never waited out but by a test that fails.
const patience = 10 * time.Second

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// echo answers all but the datagrams that name a verdict.
var echo = exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
	for v := exchange.Answer + 1; v < exchange.NumVerdicts; v++ {
		if string(r.Data) == v.String() {
			return v
		}
	}
	p.Data = append(p.Data, r.Data...)
	p.Told = r.Received
	return exchange.Answer
})

// serve starts a Server on addr, which the test's end closes. The channel has what Serve returns.
func serve(t testing.TB, s *Server, addr netip.AddrPort, shards int) (netip.AddrPort, <-chan error) {
	t.Helper()
	l, err := Listen(addr, shards)
	if err != nil {
		t.Fatal(err)
	}
	if s.NewHandler == nil {
		s.NewHandler = func(int) exchange.Handler { return echo }
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background(), l) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr(), ended
}

func dial(t testing.TB, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// ask sends data and returns the reply.
func ask(t testing.TB, conn *net.UDPConn, data []byte) []byte {
	t.Helper()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxDatagram)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestGolden(t *testing.T) {
	services := map[string]exchange.Handler{
		"time": service.TimeHandler{}, "daytime": service.DaytimeHandler{Zone: time.UTC}, "echo": service.EchoHandler{},
		"ntp": service.NTPHandler{},
	}
	for _, c := range golden.Cases(t) {
		h, ok := services[c.Service]
		if !ok || c.Verdict != exchange.Answer {
			continue
		}
		t.Run(c.Service+"/"+c.Name, func(t *testing.T) {
			frozen := c.Frozen()
			s := &Server{NewHandler: func(int) exchange.Handler {
				return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
					r.Clock = frozen
					return h.Serve(p, r)
				})
			}}
			addr, _ := serve(t, s, loopback, 1)
			if got := ask(t, dial(t, addr), c.Request); !bytes.Equal(got, c.Reply) {
				t.Errorf("reply % x, want % x", got, c.Reply)
			}
		})
	}
}

func TestLongestDatagram(t *testing.T) {
	addr, _ := serve(t, new(Server), loopback, 1)
	data := bytes.Repeat([]byte("yesterday "), 6551)[:65507]
	if got := ask(t, dial(t, addr), data); !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back, want the %d that were sent", len(got), len(data))
	}
}

// Every shard answers, each with a Handler of its own.
func TestShards(t *testing.T) {
	const shards, clients = 4, 200
	var mu sync.Mutex
	made := make(map[int]bool)
	s := &Server{NewHandler: func(shard int) exchange.Handler {
		mu.Lock()
		defer mu.Unlock()
		made[shard] = true
		return echo
	}}
	addr, _ := serve(t, s, loopback, shards)
	for i := range clients {
		if got := ask(t, dial(t, addr), []byte{byte(i)}); len(got) != 1 || got[0] != byte(i) {
			t.Fatalf("client %d got % x", i, got)
		}
	}
	s.Close()
	if n := s.Counts(); n.Answered() != clients {
		t.Errorf("%d answered, want %d", n.Answered(), clients)
	}
	if len(made) != shards {
		t.Errorf("handlers for shards %v, want %d", made, shards)
	}
}

func TestVerdictsAreCountedAndTold(t *testing.T) {
	tap := exchange.NewTap()
	s := &Server{Service: "echo", Tap: tap}
	addr, ended := serve(t, s, loopback, 1)
	conn := dial(t, addr)
	for v := exchange.Answer + 1; v < exchange.NumVerdicts; v++ {
		if _, err := conn.Write([]byte(v.String())); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now()
	ask(t, conn, []byte("hello"))
	s.Close()
	<-ended
	n := s.Counts()
	for v := range exchange.NumVerdicts {
		if n.Verdicts[v] != 1 {
			t.Errorf("%v: %d, want 1", v, n.Verdicts[v])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var told []exchange.Record
	tap.Run(ctx, func(batch []exchange.Record, lost uint64) { told = append(told, batch...) })
	if len(told) != int(exchange.NumVerdicts) {
		t.Fatalf("%d records, want %d", len(told), exchange.NumVerdicts)
	}
	for _, d := range told[:len(told)-1] {
		if d.Verdict == exchange.Answer || d.Answered != 0 || !d.Told.IsZero() || d.Asked != len(d.Verdict.String()) {
			t.Errorf("a request that was not answered: %+v", d)
		}
	}
	d := told[len(told)-1]
	client := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if d.From != client || d.To != addr || d.Service != "echo" || d.Transport != "udp" || d.Asked != 5 || d.Answered != 5 {
		t.Errorf("record %+v", d)
	}
	if d.Told != d.Received || d.Received.Before(before.Add(-time.Second)) || d.Received.After(time.Now().Add(time.Second)) {
		t.Errorf("received %v, told %v", d.Received, d.Told)
	}
}

// A reply that the system will not send is counted and told as such; the others of its batch go out.
func TestUnsent(t *testing.T) {
	tap := exchange.NewTap()
	s := &Server{Tap: tap, NewHandler: func(int) exchange.Handler {
		return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			if string(r.Data) == "much" {
				p.Data = append(p.Data, make([]byte, 70_000)...)
				return exchange.Answer
			}
			return echo.Serve(p, r)
		})
	}}
	l, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, l.Addr())
	for _, data := range []string{"much", "a", "much", "much", "b", "much"} {
		if _, err := conn.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Serve(ctx, l)
	buf := make([]byte, 16)
	for _, want := range []string{"a", "b"} {
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != want {
			t.Fatalf("reply %q, %v, want %q", buf[:n], err, want)
		}
	}
	if n := s.Counts(); n.Answered() != 2 || n.Verdicts[exchange.Unsent] != 4 || n.Dropped() != 4 {
		t.Errorf("counts %+v", n)
	}
	unsent := 0
	tap.Run(ctx, func(batch []exchange.Record, _ uint64) {
		for _, d := range batch {
			if d.Verdict == exchange.Unsent && d.Answered == 0 {
				unsent++
			}
		}
	})
	if unsent != 4 {
		t.Errorf("%d records of unsent replies, want 4", unsent)
	}
}

func FuzzDatagram(f *testing.F) {
	addr, _ := serve(f, new(Server), loopback, 1)
	conn := dial(f, addr)
	conn.SetDeadline(time.Time{})
	f.Add([]byte{})
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 65507 {
			t.Skip()
		}
		for v := exchange.Answer + 1; v < exchange.NumVerdicts; v++ {
			if string(data) == v.String() {
				t.Skip()
			}
		}
		if got := ask(t, conn, data); !bytes.Equal(got, data) {
			t.Errorf("% x came back as % x", data, got)
		}
	})
}
