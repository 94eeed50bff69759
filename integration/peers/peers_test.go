package peers

import (
	"encoding/xml"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{7}, Spread{7, 7, 7, 1}},
		{[]float64{3, 1}, Spread{2, 1, 3, 2}},
		{[]float64{9, 1, 4, 100, -5}, Spread{4, -5, 100, 5}},
		{[]float64{4, 3, 2, 1}, Spread{2.5, 1, 4, 4}},
	} {
		given := append([]float64(nil), c.values...)
		if got := SpreadOf(given); got != c.want {
			t.Errorf("SpreadOf(%v) = %v, want %v", c.values, got, c.want)
		}
		for i, v := range c.values {
			if given[i] != v {
				t.Errorf("SpreadOf changed %v to %v", c.values, given)
			}
		}
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format func(float64) string
		value  float64
		want   string
	}{
		{count, 0, "0"}, {count, 999.4, "999"}, {count, 999.6, "1.00k"}, {count, 83_249, "83.2k"}, {count, 99_960, "100k"},
		{count, 171_400, "171k"}, {count, 999_499, "999k"}, {count, 999_500, "1.00M"}, {count, 2_860_000, "2.86M"},
		{micros, 8_314, "8.31 µs"}, {micros, 23_460, "23.5 µs"}, {micros, 139_700, "140 µs"}, {micros, 2_000_000, "2000 µs"},
		{percent, 0.00317, "0.32 %"}, {mebibytes, 23 << 20, "23.0 MiB"},
	} {
		if got := c.format(c.value); got != c.want {
			t.Errorf("%v is written %q, want %q", c.value, got, c.want)
		}
	}
}

// Ratios are taken within a round: a machine that is slow in some rounds changes them not at all.
func TestRatioWithinRounds(t *testing.T) {
	r := new(Run)
	for i, speed := range []float64{1, 0.75, 1.3, 0.5, 1} {
		r.Samples = append(r.Samples,
			Sample{Round: i + 1, Path: Veth, Service: NTP, Server: Ours, Rate: 150_000 * speed, Median: time.Duration(10_000 / speed)},
			Sample{Round: i + 1, Path: Veth, Service: NTP, Server: Chronyd, Rate: 100_000 * speed, Median: time.Duration(25_000 / speed)},
			Sample{Round: i + 1, Path: Loopback, Service: NTP, Server: Chronyd, Rate: 1},
		)
	}
	near := func(s Spread, want float64) bool {
		return s.N == 5 && math.Abs(s.Median-want) < 1e-3 && math.Abs(s.Min-want) < 1e-3 && math.Abs(s.Max-want) < 1e-3
	}
	if got := r.ratio(Veth, NTP, Chronyd, Rate); !near(got, 1.5) {
		t.Errorf("replies a second: %v, want 1.5 in each round", got)
	}
	if got := r.ratio(Veth, NTP, Chronyd, Median); !near(got, 2.5) {
		t.Errorf("round trips: %v, want 2.5 in each round", got)
	}
	if got := r.ratio(Loopback, NTP, Chronyd, Rate); got.N != 0 {
		t.Errorf("a ratio to nothing: %v", got)
	}
}

// A round in which one of both is missing, or was not measured, has no ratio.
func TestRatioMissing(t *testing.T) {
	r := &Run{Samples: []Sample{
		{Round: 1, Path: Veth, Service: NTP, Server: Ours, Rate: 200},
		{Round: 2, Path: Veth, Service: NTP, Server: Chronyd, Rate: 100},
		{Round: 3, Path: Veth, Service: NTP, Server: Ours},
		{Round: 3, Path: Veth, Service: NTP, Server: Chronyd, Rate: 100},
		{Round: 4, Path: Veth, Service: NTP, Server: Chronyd, Rate: 100},
		{Round: 4, Path: Veth, Service: NTP, Server: Ours, Rate: 300},
	}}
	if got, want := r.ratio(Veth, NTP, Chronyd, Rate), (Spread{3, 3, 3, 1}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		bar     Bar
		verdict string
	}{
		{Bar{Want: 1.4, Measured: Spread{Median: 1.4, N: 5}}, "holds"},
		{Bar{Want: 1.4, Measured: Spread{Median: 1.39, Max: 2, N: 5}}, "does not hold"},
		{Bar{Want: 0.005, Below: true, Measured: Spread{Median: 0.0049, N: 5}}, "holds"},
		{Bar{Want: 0.005, Below: true, Measured: Spread{Median: 0.005, N: 5}}, "does not hold"},
		{Bar{Want: 0.005, Below: true}, "not measured"},
		{Bar{Want: 1.4, Limited: "≤", Measured: Spread{Median: 1.5, N: 5}}, "open: the generator's limit"},
		{Bar{Want: 1.4, Limited: "≤", Measured: Spread{Median: 1.3, N: 5}}, "does not hold"},
		{Bar{Want: 1.4, Limited: "≥", Measured: Spread{Median: 1.3, N: 5}}, "open: the generator's limit"},
		{Bar{Want: 1.4, Limited: "≥", Measured: Spread{Median: 1.5, N: 5}}, "holds"},
	} {
		if got := c.bar.verdict(); got != c.verdict {
			t.Errorf("%+v %s, want %s", c.bar, got, c.verdict)
		}
	}
	if got := len(new(Run).Bars()); got < 6 {
		t.Errorf("a run of nothing has %d bars, want all of them, not measured", got)
	}
}

// sample is a made-up Run: the figures follow from the indices.
func sample() *Run {
	r := &Run{
		Began:   time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC),
		Took:    9*time.Minute + 41200*time.Millisecond,
		Machine: Machine{CPU: "A <CPU> & more", Cores: 2, Memory: 24 << 30, System: "Debian 12", Kernel: "6.18.44", Go: "go1.26.8", C: "gcc 12.2.0"},
		Load: Load{Rounds: 3, Saturated: 2 * time.Second, Slices: 4, Single: time.Second, Window: 128, Sources: 1024,
			Resting: 3 * time.Second},
		Servers: []Server{
			{Name: Ours, Version: "1.0", How: "yesterday serve", Answers: services},
			{Name: Ceiling, Version: "this tree's", How: "ceiling 12431", Answers: []string{NTP}},
			{Name: Chronyd, Version: "4.3", How: "chronyd -x -d -f FILE", Answers: []string{NTP}},
			{Name: "ntpsec", Answers: []string{NTP}, Absent: "It is not in integration/.peers: make deps."},
			{Name: PlainGo, Version: "this tree's", How: "plain time :12345", Answers: services},
		},
		Remarks: []string{"In round 2 the generator was busy all the time."},
	}
	for round := 1; round <= 3; round++ {
		for i, path := range paths {
			for j, service := range services {
				for k, server := range r.Servers {
					if server.Absent != "" || j >= len(server.Answers) {
						continue
					}
					slow := 1 + 0.3*float64(k) + 0.02*float64(round)
					r.Samples = append(r.Samples, Sample{
						Round: round, Path: path, Service: service, Server: server.Name,
						Rate: (200_000 - 10_000*float64(i) + 5_000*float64(j)) / slow, PerCPU: 210_000 / slow, Busy: 0.95,
						Median: time.Duration(8_000 * slow), P99: time.Duration(20_000 * slow), Held: 0.4 / slow,
					})
					if service == NTP {
						own := 0.05 * float64(k+1)
						r.Samples[len(r.Samples)-1].Parts = Parts{Sending: 0.5 - own, Delivering: 0.3, Receiving: 0.15, Rest: 0.05, Own: own}
					}
					if s := &r.Samples[len(r.Samples)-1]; server.Name == Ceiling && path == Loopback {
						s.Limit = "held"
					} else if server.Name == PlainGo && path == Veth && service == Echo {
						s.Lost = 0.004 * float64(round)
					}
				}
			}
		}
		r.Rests = append(r.Rests, Rest{Round: round, CPU: 0.001 * float64(round), Before: 20 << 20, After: uint64(24+round) << 20})
	}
	return r
}

// Of a stack the innermost frame tells whether it is in the kernel, and the others in which call, also where the kernel does
// something else meanwhile.
func TestReadParts(t *testing.T) {
	const (
		send    = "\tffffffff81e2fe94 __sys_sendmmsg\n\tffffffff821ed511 do_syscall_64\n\t 2d5b25 outbound.send\n\n"
		deliver = "\tffffffff82044cc2 udp_rcv\n\tffffffff81360100 net_rx_action\n" + send
		receive = "\tffffffff81e30783 __arm64_sys_recvfrom\n\t 2d58d0 net_rx_action\n\n"
		wait    = "\tffffffff81e30783 do_sys_poll\n\t 2d58d0 wait__sys_send\n\n"
		idle    = "\tffffffff81e30783 pv_native_safe_halt\n\tffffffff81e30784 do_idle\n\n"
		woken   = "\tffffffff81e30783 ktime_get\n\tffffffff81e30785 sysvec_call_function_single\n" + idle
		own     = "\t    7ffe12345678 __vdso_clock_gettime\n\t 2d58d0 serve\n\n"
	)
	got, err := ReadParts(strings.NewReader("\n\n" + send + deliver + receive + idle + deliver + wait + own + idle + own + own + own + woken + strings.TrimRight(send, "\n")))
	if want := (Parts{Sending: 2. / 11, Delivering: 2. / 11, Receiving: 1. / 11, Rest: 2. / 11, Own: 4. / 11}); got != want || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := ReadParts(strings.NewReader(idle)); err == nil {
		t.Errorf("a core with nothing to do is %+v", got)
	}
	if got, err := ReadParts(strings.NewReader("\n")); err == nil {
		t.Errorf("no samples are %+v", got)
	}
}

// Without its own code ours would be faster by it, and no more.
func TestBound(t *testing.T) {
	r := &Run{Servers: []Server{{Name: Ours}, {Name: Chronyd}}, Samples: []Sample{
		{Round: 1, Path: Veth, Service: NTP, Server: Ours, Rate: 1, PerCPU: 250_000, Parts: Parts{Sending: 0.5, Delivering: 0.3, Own: 0.2}},
		{Round: 1, Path: Veth, Service: NTP, Server: Chronyd, Rate: 1, PerCPU: 200_000, Parts: Parts{Sending: 0.9, Own: 0.1}},
	}}
	if got := r.bound(Veth, NTP, Chronyd); math.Abs(got.Median-5/3.2) > 1e-9 || got.N != 1 {
		t.Errorf("%v, want 5 µs by 3.2", got)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s, line %d: got %q, want %q; go test -update writes it anew", path, i+1, g[min(i, len(g)-1)], w[min(i, len(w)-1)])
		}
	}
}

func TestPage(t *testing.T) { golden(t, "page.md", sample().Page("performance.svg", "")) }

// What people wrote below the page stays there.
func TestPageKeepsHands(t *testing.T) {
	r := sample()
	const words = "\n## Why\n\nBecause.\n"
	page := r.Page("performance.svg", "# Another page\n\n"+ByHand+words)
	if !strings.HasSuffix(page, "\n"+ByHand+words) || strings.Contains(page, "Another page") {
		t.Errorf("the page ends in %q", page[max(0, len(page)-200):])
	}
	if again := r.Page("performance.svg", page); again != page {
		t.Error("the page changes when it is written again")
	}
}

func TestPlot(t *testing.T) {
	plot := sample().Plot()
	golden(t, "plot.svg", plot)
	wellFormed(t, plot)
}

// A run of which nothing came still makes a page and a picture.
func TestNothingMeasured(t *testing.T) {
	r := &Run{Servers: []Server{{Name: Ours, Absent: "It did not build."}}}
	if page := r.Page("p.svg", ""); !strings.Contains(page, "not measured") || !strings.Contains(page, "It did not build.") {
		t.Errorf("the page of a run of nothing says\n%s", page)
	}
	wellFormed(t, r.Plot())
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
}
