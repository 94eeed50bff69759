package probe

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/internal/ipv6"
	"github.com/yesterday-time/yesterday/service"
)

// boundTo is a socket bound to address until the test ends.
func boundTo(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	bind := netip.MustParseAddrPort(address)
	if bind.Addr().Is6() {
		ipv6.Need(t)
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(bind))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// server answers each datagram with what reply makes of the request, each reply in turn, until the test ends.
func server(t testing.TB, address string, reply func(data []byte) [][]byte) netip.AddrPort {
	t.Helper()
	conn := boundTo(t, address)
	conn.SetReadBuffer(8 << 20)
	var done sync.WaitGroup
	t.Cleanup(func() { conn.Close(); done.Wait() })
	done.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, r := range reply(buf[:n]) {
				conn.WriteTo(r, from)
			}
		}
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A server that drops, doubles and damages every so many requests, over real sockets: the report counts just these.
func TestBenchCountsWhatAServerDoes(t *testing.T) {
	for name, c := range map[string]struct {
		address          string
		kind             service.Kind
		sockets, sources int
		window           int // 0: an open loop
	}{
		"echo, open loop":          {"127.0.0.1:0", service.Echo, 1, 0, 0},
		"echo, sockets":            {"127.0.0.1:0", service.Echo, 3, 0, 0},
		"echo, sources":            {"127.0.0.1:0", service.Echo, 2, 100, 0},
		"echo, closed loop":        {"127.0.0.1:0", service.Echo, 1, 0, 4},
		"echo, IPv6":               {"[::1]:0", service.Echo, 2, 0, 0},
		"ntp, sources, closed":     {"127.0.0.1:0", service.NTP, 1, 50, 8},
		"time, a lane for each":    {"127.0.0.1:0", service.Time, 1, 600, 0},
		"time, a socket for each":  {"127.0.0.1:0", service.Time, 40, 0, 2},
		"time, sockets by sources": {"127.0.0.1:0", service.Time, 3, 7, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked, dropped, doubledByIt, damaged atomic.Uint64
			faults := c.kind != service.Time || c.window == 0
			to := server(t, c.address, func(data []byte) [][]byte {
				n := asked.Add(1)
				reply := answerTo(c.kind, data)
				switch {
				case faults && n%11 == 5:
					dropped.Add(1)
					return nil
				case faults && n%13 == 7:
					damaged.Add(1)
					return [][]byte{reply[:len(reply)-1]}
				case faults && n%17 == 9:
					doubledByIt.Add(1)
					return [][]byte{reply, reply}
				}
				return [][]byte{reply}
			})
			b := Bench{Service: c.kind, Server: to, Rate: 1000, Duration: 500 * time.Millisecond, Timeout: 2 * time.Second, Size: 40, Sockets: c.sockets}
			if c.sources > 0 {
				sources, err := appendRange(nil, netip.MustParseAddr("127.1.0.1"), c.sources)
				if err != nil {
					t.Fatal(err)
				}
				b.Sources = sources
			}
			if c.window > 0 {
				b.Rate, b.Window, b.Duration, b.Timeout = 0, c.window, 50*time.Millisecond, 2*time.Second
			}
			r, err := b.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.Sent != asked.Load() || c.window == 0 && r.Sent != 500 || r.Unsent != 0 {
				t.Errorf("sent %d, unsent %d, the server saw %d", r.Sent, r.Unsent, asked.Load())
			}
			if missed := dropped.Load() + damaged.Load(); r.Lost != missed || r.Answered+r.Late != r.Sent-missed {
				t.Errorf("answered %d and lost %d of %d, the server dropped %d and damaged %d", r.Answered, r.Lost, r.Sent, dropped.Load(), damaged.Load())
			}
			if r.Wrong != damaged.Load() || r.Doubled != doubledByIt.Load() || r.Stray != 0 || r.Refused != 0 || r.Pending != 0 {
				t.Errorf("%+v; damaged %d, doubled %d", r, damaged.Load(), doubledByIt.Load())
			}
			if l := r.Latency; l.Count != r.Answered+r.Late || l.Min <= 0 || l.Max < l.P99 || l.P99 < l.Median || r.ReplyRate <= 0 {
				t.Errorf("latency %+v, %v a second", l, r.ReplyRate)
			}
		})
	}
}

func TestBenchIsCutShort(t *testing.T) {
	to := server(t, "127.0.0.1:0", func([]byte) [][]byte { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	b := Bench{Service: service.Echo, Server: to, Rate: 1000, Duration: time.Hour, Timeout: 10 * time.Second, Size: 16, Sockets: 1}
	b.Progress = func(p Progress) {
		if p.Sent > 0 {
			cancel()
		}
	}
	r, err := b.Run(ctx)
	if err != nil || r.Sent == 0 || r.Pending != r.Sent || r.Lost != 0 || r.Took > time.Minute {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestBenchHearsRefusals(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	conn.Close()
	b := Bench{Service: service.Echo, Server: to, Rate: 1000, Duration: 50 * time.Millisecond, Timeout: 10 * time.Millisecond, Size: 16, Sockets: 1}
	r, err := b.Run(t.Context())
	if err != nil || r.Refused == 0 || r.Answered != 0 || r.Lost != r.Sent || r.Sent+r.Unsent != 50 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A reply that is longer than what was sent is wrong, even where its beginning is right.
func TestBenchNoticesLongReplies(t *testing.T) {
	to := server(t, "127.0.0.1:0", func(data []byte) [][]byte { return [][]byte{append(data, 0)} })
	b := Bench{Service: service.Echo, Server: to, Rate: 1000, Duration: 20 * time.Millisecond, Timeout: 200 * time.Millisecond, Size: 1000, Sockets: 1}
	if r, err := b.Run(t.Context()); err != nil || r.Answered+r.Late != 0 || r.Wrong == 0 || r.Lost != r.Sent {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestBenchChecks(t *testing.T) {
	good := Bench{Service: service.Echo, Server: loopback, Rate: 1, Window: 1, Duration: 1, Timeout: 1, Size: 16, Sockets: 1}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Bench){
		"service is daytime":           func(b *Bench) { b.Service = service.Daytime },
		"no server":                    func(b *Bench) { b.Server = netip.AddrPort{} },
		"rate is -1":                   func(b *Bench) { b.Rate = -1 },
		"rate is 10000001":             func(b *Bench) { b.Rate = MaxRate + 1 },
		"window is 0":                  func(b *Bench) { b.Rate, b.Window = 0, 0 },
		"duration is 0s":               func(b *Bench) { b.Duration = 0 },
		"duration is 1h0m0.000000001s": func(b *Bench) { b.Duration = time.Hour + 1 },
		"time-out is 11s":              func(b *Bench) { b.Timeout = 11 * time.Second },
		"sockets are 0":                func(b *Bench) { b.Sockets = 0 },
		"size is 15":                   func(b *Bench) { b.Size = 15 },
		"source ::1 cannot reach":      func(b *Bench) { b.Sources = []netip.Addr{netip.IPv6Loopback()} },
	} {
		b := good
		spoil(&b)
		if _, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	open, closed := Bench{Rate: 1000}, Bench{Window: 8}
	for name, c := range map[string]struct {
		bench  Bench
		report BenchReport
		want   []Limit
	}{
		"none":             {open, BenchReport{Sent: 1000, Behind: 10, Busy: 1, Held: 1}, nil},
		"behind":           {open, BenchReport{Sent: 1000, Behind: 11}, []Limit{LimitBehind}},
		"a hiccup":         {open, BenchReport{Sent: 30, Behind: 2}, nil},
		"no hiccup":        {open, BenchReport{Sent: 30, Behind: 3}, []Limit{LimitBehind}},
		"unsent":           {open, BenchReport{Sent: 1000, Unsent: 11}, []Limit{LimitBehind}},
		"held":             {closed, BenchReport{Sent: 1000, Held: 0.5}, []Limit{LimitHeld}},
		"hardly held":      {closed, BenchReport{Sent: 1000, Held: 0.4, Behind: 500}, nil},
		"shared":           {open, BenchReport{Sent: 1000, Answered: 999, Lost: 1, Shared: 10}, []Limit{LimitShared}},
		"shared, late":     {closed, BenchReport{Sent: 1000, Answered: 500, Late: 500, Shared: 11}, []Limit{LimitShared}},
		"shared, stray":    {open, BenchReport{Sent: 1000, Answered: 1000, Stray: 1, Shared: 11}, []Limit{LimitShared}},
		"hardly shared":    {open, BenchReport{Sent: 1000, Answered: 999, Lost: 1, Shared: 9}, nil},
		"shared, all good": {open, BenchReport{Sent: 1000, Answered: 1000, Shared: 1000}, nil},
		"held, overflowed": {closed, BenchReport{Sent: 1000, Held: 0.9, Overflow: 1}, []Limit{LimitHeld, LimitOverflow}},
	} {
		got := c.bench.limits(&c.report)
		if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestProcessTime(t *testing.T) {
	before, err := processTime(os.Getpid())
	if err != nil {
		t.Skip(err) // not on this system
	}
	for after := before; after.since(before) < 2*tickForTest; {
		if after, err = processTime(os.Getpid()); err != nil || after.since(before) < 0 {
			t.Fatalf("%v after %v, %v", after, before, err)
		}
	}
	if _, err := processTime(1 << 30); err == nil || !strings.Contains(err.Error(), "no process 1073741824") {
		t.Errorf("%v, want no such process", err)
	}
}

const tickForTest = 10 * time.Millisecond
