package probe

import (
	"bytes"
	"container/heap"
	"net/netip"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:7")

// A world is a server and a network in virtual time, around a load.
type world struct {
	load  *load
	now   int64
	heap  deliveries
	serve func(seq uint64, request []byte, now int64) []delivery
	batch []int // how many left at once
}

// A delivery is a reply on its way.
type delivery struct {
	at     int64
	data   []byte
	socket uint64
	source uint64
}

type deliveries []delivery

func (d deliveries) Len() int           { return len(d) }
func (d deliveries) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deliveries) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)        { *d = append(*d, x.(delivery)) }
func (d *deliveries) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

// run drives the load to its end, as generators do, and returns the report.
func (w *world) run(t *testing.T) BenchReport {
	t.Helper()
	for turns := 0; ; turns++ {
		if turns > 20_000_000 {
			t.Fatal("it never ends")
		}
		for len(w.heap) > 0 && w.heap[0].at <= w.now {
			d := heap.Pop(&w.heap).(delivery)
			w.load.reply(int(d.socket), int(d.source), d.data, true, d.at, w.now)
		}
		w.load.matcher.expire(w.now)
		n := w.load.ready(w.now)
		if n > 0 {
			w.batch = append(w.batch, n)
			first := w.load.matcher.next
			socket, _ := w.load.from(0)
			for i := range n {
				request := w.load.request(nil, i)
				s, source := w.load.from(i)
				if s != socket {
					t.Fatalf("a batch leaves from sockets %d and %d", socket, s)
				}
				for _, d := range w.serve(first+uint64(i), request, w.now) {
					d.socket, d.source = s, source
					heap.Push(&w.heap, d)
				}
			}
			w.load.sent(n, w.now)
		}
		if w.load.done(w.now) {
			var r BenchReport
			w.load.report(&r, w.now)
			return r
		}
		if n == 0 {
			wake := w.load.wake(w.now)
			if len(w.heap) > 0 {
				wake = min(wake, w.heap[0].at)
			}
			if wake <= w.now {
				t.Fatalf("at %d there is nothing to do, but it wants to wake at %d", w.now, wake)
			}
			w.now = wake
		}
	}
}

// answerTo is a good reply to a request.
func answerTo(kind service.Kind, request []byte) []byte {
	switch kind {
	case service.NTP:
		h, _ := ntp.Parse(request)
		return ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Origin: h.Transmit, Transmit: 1}.Append(nil)
	case service.Time:
		return []byte{1, 2, 3, 4}
	}
	return bytes.Clone(request)
}

const ms = int64(time.Millisecond)

func benchOf(kind service.Kind) *Bench {
	return &Bench{Service: kind, Server: loopback, Rate: 10_000, Window: 8, Duration: time.Second, Timeout: 100 * time.Millisecond, Size: 32, Sockets: 1}
}
