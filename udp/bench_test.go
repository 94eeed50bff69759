package udp

import (
	"net"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
)

// BenchmarkRoundTrip has one request outstanding, BenchmarkWindow 64: an op is a request answered.
func BenchmarkRoundTrip(b *testing.B) {
	conn := benchmarkServer(b)
	request, reply := make([]byte, 4), make([]byte, 16)
	for b.Loop() {
		conn.Write(request)
		if _, err := conn.Read(reply); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWindow(b *testing.B) {
	conn := benchmarkServer(b)
	request, reply := make([]byte, 4), make([]byte, 16)
	outstanding := 0
	for b.Loop() {
		conn.Write(request)
		if outstanding++; outstanding < 64 {
			continue
		}
		for ; outstanding > 0; outstanding-- {
			if _, err := conn.Read(reply); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchmarkServer(b *testing.B) *net.UDPConn {
	tap := exchange.NewTap()
	go tap.Run(b.Context(), func([]exchange.Record, uint64) {})
	s := &Server{Tap: tap, NewHandler: func(int) exchange.Handler {
		yesterday := clock.Offset(-24 * time.Hour)
		return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			r.Clock = yesterday
			return service.TimeHandler{}.Serve(p, r)
		})
	}}
	addr, _ := serve(b, s, loopback, 1)
	return dial(b, addr)
}
