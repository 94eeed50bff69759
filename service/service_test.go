package service

import (
	"bytes"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/golden"
)

// handlers are the services by name, as the golden cases want them.
var handlers = map[string]exchange.Handler{
	"time":    TimeHandler{},
	"daytime": DaytimeHandler{Zone: time.UTC},
	"echo":    EchoHandler{},
	"ntp":     NTPHandler{},
}

func TestGolden(t *testing.T) {
	for _, c := range golden.Cases(t) {
		t.Run(c.Service+"/"+c.Name, func(t *testing.T) {
			p := exchange.Reply{Data: make([]byte, 0, 16)}
			r := exchange.Request{Data: c.Request, Received: c.Received, Clock: c.Clock}
			v := handlers[c.Service].Serve(&p, &r)
			if v != c.Verdict {
				t.Fatalf("verdict %v, want %v", v, c.Verdict)
			}
			if !bytes.Equal(p.Data, c.Reply) {
				t.Errorf("reply % x, want % x", p.Data, c.Reply)
			}
			if want := clock.Read(c.Clock, c.Received); v == exchange.Answer && c.Service != "echo" && !p.Told.Equal(want) {
				t.Errorf("told %v, want %v", p.Told, want)
			}
		})
	}
}

func TestEchoAnswersNoHalf(t *testing.T) {
	var p exchange.Reply
	v := EchoHandler{}.Serve(&p, &exchange.Request{Data: []byte("half"), Truncated: true})
	if v != exchange.Truncated || len(p.Data) != 0 {
		t.Errorf("verdict %v, reply %q; want truncated and nothing", v, p.Data)
	}
}

func TestDaytimeZone(t *testing.T) {
	var p exchange.Reply
	zone := time.FixedZone("", 2*60*60)
	r := exchange.Request{Received: time.Unix(0, 0), Clock: clock.Offset(0)}
	DaytimeHandler{Zone: zone}.Serve(&p, &r)
	if got, want := string(p.Data), "Thu Jan  1 02:00:00 1970\r\n"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}

func TestParseKind(t *testing.T) {
	for _, k := range Kinds() {
		if got, err := ParseKind(k.String()); got != k || err != nil {
			t.Errorf("ParseKind(%q) = %v, %v", k, got, err)
		}
	}
	if _, err := ParseKind("tyme"); err == nil {
		t.Error("tyme is a service")
	}
}

func TestNoAllocation(t *testing.T) {
	p := exchange.Reply{Data: make([]byte, 0, 64)}
	r := exchange.Request{Data: append([]byte{0x23}, make([]byte, 47)...), Received: time.Unix(1e9, 0), Clock: clock.Offset(-24 * time.Hour)}
	request := r.Data
	for name, h := range handlers {
		for _, r.Data = range [][]byte{request, nil, make([]byte, 3), make([]byte, 301), make([]byte, 1024)} {
			if n := testing.AllocsPerRun(100, func() {
				p.Data = p.Data[:0]
				h.Serve(&p, &r)
			}); n != 0 {
				t.Errorf("%s allocates %v times a request of %d bytes", name, n, len(r.Data))
			}
		}
	}
}

// FuzzServe feeds anything to every handler: none panics, and none answers longer than its bound.
func FuzzServe(f *testing.F) {
	for _, c := range golden.Cases(f) {
		f.Add(c.Request, false, c.Received.Unix(), int64(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, truncated bool, seconds, nanos int64) {
		bound := map[string]int{"time": 4, "daytime": 48, "echo": len(data), "ntp": 48}
		for name, h := range handlers {
			p := exchange.Reply{}
			r := exchange.Request{Data: data, Truncated: truncated, Received: time.Unix(seconds, nanos).UTC(), Clock: clock.Offset(-24 * time.Hour)}
			v := h.Serve(&p, &r)
			if len(p.Data) > bound[name] {
				t.Errorf("%s answers %d bytes, want at most %d", name, len(p.Data), bound[name])
			}
			if v != exchange.Answer && len(p.Data) > 0 {
				t.Errorf("%s: %v, and yet a reply of %d bytes", name, v, len(p.Data))
			}
		}
	})
}

func BenchmarkServe(b *testing.B) {
	for _, k := range Kinds() {
		b.Run(k.String(), func(b *testing.B) {
			p := exchange.Reply{Data: make([]byte, 0, 64)}
			r := exchange.Request{Data: append([]byte{0x23}, make([]byte, 47)...), Received: time.Now(), Clock: clock.Offset(-24 * time.Hour)}
			h := handlers[k.String()]
			for b.Loop() {
				p.Data = p.Data[:0]
				h.Serve(&p, &r)
			}
		})
	}
}
