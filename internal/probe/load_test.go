package probe

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// A server that stands still for half a second makes all requests slow that were due meanwhile: an open loop omits none of
// them.
func TestOpenLoopOmitsNothing(t *testing.T) {
	b := benchOf(service.Echo)
	b.Timeout = time.Second
	w := world{load: newLoad(b)}
	w.serve = func(_ uint64, request []byte, now int64) []delivery {
		at := now + ms/10
		if now < 500*ms {
			at = 500 * ms
		}
		return []delivery{{at: at, data: request}}
	}
	r := w.run(t)
	if r.Sent != 10_000 || r.Answered != 10_000 || r.Lost != 0 || r.SendRate != 10_000 {
		t.Errorf("%+v", r)
	}
	if m := r.Latency.Median; m < time.Duration(ms/10) || m > 2*time.Millisecond || r.Latency.Max != 500*time.Millisecond {
		t.Errorf("median %v, max %v", m, r.Latency.Max)
	}
	if p := r.Latency.P90; p < 395*time.Millisecond || p > 405*time.Millisecond { // 5000 are spread evenly over 0 to 500 ms
		t.Errorf("p90 %v, want 400 ms", p)
	}
	if r.Lag.Max != 0 || r.Behind != 0 {
		t.Errorf("sent up to %v behind the due time", r.Lag.Max)
	}
}

// The same where the generator stands still: what leaves late is slow, and said to be behind.
func TestOpenLoopCountsFromTheDueTime(t *testing.T) {
	w := world{load: newLoad(benchOf(service.Echo))}
	stalled := false
	w.serve = func(seq uint64, request []byte, now int64) []delivery {
		if seq == 5000 && !stalled {
			stalled = true
			w.now += 50 * ms
		}
		return []delivery{{at: w.now + 1000, data: request}}
	}
	r := w.run(t)
	if r.Sent != 10_000 || r.Answered != 10_000 {
		t.Errorf("%+v", r)
	}
	// Of the 500 that were due in those 50 ms, all but the last 10 left more than a millisecond late.
	if r.Behind < 485 || r.Behind > 495 || r.Lag.Max != 50*time.Millisecond {
		t.Errorf("%d behind, the latest by %v", r.Behind, r.Lag.Max)
	}
	if r.Latency.Max < 50*time.Millisecond {
		t.Errorf("the slowest took %v", r.Latency.Max)
	}
	if limits := benchOf(service.Echo).limits(&r); len(limits) != 1 || limits[0] != LimitBehind {
		t.Errorf("limits %v", limits)
	}
	for _, n := range w.batch {
		if n > batchSize {
			t.Errorf("a batch of %d", n)
		}
	}
}

// What is due when the generator gives up never left, and is said so.
func TestOpenLoopGivesUp(t *testing.T) {
	w := world{load: newLoad(benchOf(service.Echo))}
	w.serve = func(seq uint64, request []byte, now int64) []delivery {
		w.now += 20 * ms
		return nil
	}
	r := w.run(t)
	if r.Sent+r.Unsent != 10_000 || r.Unsent == 0 || r.Lost != r.Sent || r.Sending > 3*time.Second {
		t.Errorf("%+v", r)
	}
}

// In a closed loop a lost request frees its place after the time-out, so that the loop goes on.
func TestClosedLoopFreesWhatIsLost(t *testing.T) {
	b := benchOf(service.NTP)
	b.Rate = 0
	w := world{load: newLoad(b)}
	most := 0
	w.serve = func(seq uint64, request []byte, now int64) []delivery {
		most = max(most, w.load.matcher.waiting+1)
		if seq%100 == 0 {
			return nil
		}
		return []delivery{{at: now + ms, data: answerTo(service.NTP, request)}}
	}
	r := w.run(t)
	if r.Lost != (r.Sent+99)/100 || r.Answered != r.Sent-r.Lost || r.Lost < 10 || most > 8 {
		t.Errorf("%+v, %d under way", r, most)
	}
	all := benchOf(service.NTP)
	all.Rate = 0
	w = world{load: newLoad(all), serve: func(uint64, []byte, int64) []delivery { return nil }}
	if r := w.run(t); r.Sent != 8*10 || r.Lost != r.Sent { // every 100 ms the whole window
		t.Errorf("of a dead server: %+v", r)
	}
}

// Over a network that loses, doubles, delays, damages and reorders, the report tells what was done; for time as long as no lane has
// two requests under way.
func TestBenchAgreesWithWhatWasDone(t *testing.T) {
	for _, kind := range []service.Kind{service.Echo, service.NTP, service.Time} {
		for seed := range uint64(8) {
			random := rand.New(rand.NewPCG(seed, 4))
			b := benchOf(kind)
			b.Sockets = 1 + random.IntN(5)
			for i := range 1 + random.IntN(3000) {
				b.Sources = append(b.Sources, netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}))
			}
			reach := 3 * b.Timeout // how late a reply may come and still be told apart
			if kind == service.Time {
				for b.Sockets*len(b.Sources) < 3200 { // more lanes than requests under way
					b.Sockets *= 2
				}
				reach = b.Timeout
			}
			w := world{load: newLoad(b)}
			var want BenchReport
			w.serve = func(seq uint64, request []byte, now int64) (out []delivery) {
				first, good := int64(-1), uint64(0)
				for range random.IntN(4) {
					d := delivery{at: now + 1 + random.Int64N(int64(reach)), data: answerTo(kind, request)}
					if seq > 4000 {
						d.at = now + 1 + random.Int64N(int64(b.Timeout)/2)
						if len(out) > 0 {
							break
						}
					}
					if random.IntN(10) == 0 {
						d.data = append(d.data[:len(d.data)-1], d.data[len(d.data)-1]^1)
						if kind != service.Echo {
							d.data = d.data[:3]
						}
						want.Wrong++
					} else {
						good++
						if first < 0 || d.at < first {
							first = d.at
						}
					}
					out = append(out, d)
				}
				switch {
				case first < 0:
					want.Lost++
				case first-w.load.due(seq) > int64(b.Timeout):
					want.Late++
				default:
					want.Answered++
				}
				want.Doubled += max(good, 1) - 1
				return out
			}
			r := w.run(t)
			got := BenchReport{Answered: r.Answered, Late: r.Late, Lost: r.Lost, Doubled: r.Doubled, Wrong: r.Wrong}
			if got.Answered != want.Answered || got.Late != want.Late || got.Lost != want.Lost || got.Doubled != want.Doubled || got.Wrong != want.Wrong {
				t.Errorf("%v, %d ports, %d addresses: got %+v, want %+v", kind, b.Sockets, len(b.Sources), got, want)
			}
			if r.Sent != 10_000 || r.Sent != r.Answered+r.Late+r.Lost+r.Pending || r.Stray != 0 {
				t.Errorf("%v: %+v", kind, r)
			}
		}
	}
}

// The replies of time are checked against the clock: anything that it read between due time and reply is right.
func TestTimeIsCheckedAgainstTheClock(t *testing.T) {
	recipe := clock.MustParse("2036-02-07T06:28:10Z for 5s then yesterday at 2026-11-22T10:00:00Z")
	begin := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Duration { return time.Duration(seconds * 1e9) }
	rollover := time.Date(2036, 2, 7, 6, 28, 10, 0, time.UTC)
	for _, c := range []struct {
		due, at time.Duration
		served  time.Time
		right   bool
	}{
		{at(0.1), at(0.2), rollover, true},
		{at(0.1), at(0.2), rollover.Add(time.Second), false},
		{at(2), at(2.1), rollover.Add(time.Second), true}, // it says what the clock was at the last tick
		{at(2.02), at(2.1), rollover.Add(time.Second), false},
		{at(0.95), at(1.05), rollover, true},
		{at(0.95), at(1.05), rollover.Add(time.Second), true},
		{at(0.95), at(1.05), rollover.Add(-time.Second), false},
		{at(3.1), at(4), begin, false},
		{at(4.9), at(5.1), rollover.Add(4 * time.Second), true}, // it jumps back in between
		{at(4.9), at(5.1), begin.Add(5*time.Second - 24*time.Hour), true},
		{at(4.9), at(5.1), begin, false},
		{at(6), at(6.1), begin.Add(6*time.Second - 24*time.Hour), true},
	} {
		b := benchOf(service.Time)
		b.Clock, b.Timeout = recipe.Start(begin), time.Second+1
		l := newLoad(b)
		l.epoch = begin
		l.matcher.add(int64(c.due))
		l.lanes.add(0)
		l.reply(0, 0, rfc868.Of(c.served).Append(nil), true, int64(c.at), int64(c.at))
		if right := l.wrong == 0; right != c.right || right != (l.matcher.counts[answered] == 1) {
			t.Errorf("due %v, come %v, served %v: right %v, want %v", c.due, c.at, c.served, right, c.right)
		}
	}
}

func TestLoadAllocatesNothing(t *testing.T) {
	for _, kind := range []service.Kind{service.Echo, service.NTP, service.Time} {
		b := benchOf(kind)
		b.Duration = time.Hour
		b.Sources = make([]netip.Addr, 100)
		if kind == service.Time {
			b.Clock = clock.MustParse("yesterday").Start(time.Now())
		}
		l := newLoad(b)
		l.epoch = time.Now()
		now, request, reply := int64(0), make([]byte, 0, 64), make([]byte, 48)
		if n := testing.AllocsPerRun(1000, func() {
			now += ms
			l.matcher.expire(now)
			for range l.ready(now) {
				request = l.request(request[:0], 0)
				socket, source := l.from(0)
				l.sent(1, now)
				reply = append(reply[:0], request...)
				switch kind {
				case service.NTP:
					reply[0] = 4<<3 | byte(ntp.ModeServer)
					copy(reply[24:], request[40:])
				case service.Time:
					reply = rfc868.Of(l.epoch.Add(time.Duration(now) - 24*time.Hour)).Append(reply[:0])
				}
				l.reply(int(socket), int(source), reply, true, now, now)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
		if l.matcher.counts[answered] == 0 || l.wrong != 0 {
			t.Errorf("%v: %d answered, %d wrong", kind, l.matcher.counts[answered], l.wrong)
		}
	}
}

// What the generator held up is a part of the round trip: the time until a request had left, but not what the system did after
// the reply had come, and the time from there until it was read.
func TestHeld(t *testing.T) {
	for name, c := range map[string]struct {
		n              int
		took, at, read int64 // since the requests were handed over
		want           float64
	}{
		"left at once":                     {1, 0, 100, 100, 0},
		"half of a call":                   {1, 40, 80, 100, 40. / 100},
		"the reply came during the call":   {1, 80, 20, 100, 90. / 100},
		"it came at once":                  {1, 80, 0, 100, 1},
		"the second waits for the first":   {2, 40, 100, 100, (10 + 30) / 200.},
		"both are answered while they are": {2, 40, 20, 60, (10 + 40 + 20 + 40) / 120.},
	} {
		b := benchOf(service.Echo)
		b.Rate = 0
		l := newLoad(b)
		for range 3 { // after others
			l.sent(1, 0)
			l.leaving(1, 1000)
			l.matcher.giveUp()
		}
		var requests [][]byte
		for i := range c.n {
			requests = append(requests, l.request(nil, i))
		}
		l.sent(c.n, 1000)
		l.leaving(c.n, c.took)
		for _, r := range requests {
			l.reply(0, 0, r, true, 1000+c.at, 1000+c.read)
		}
		var r BenchReport
		l.report(&r, 2000)
		if held := float64(l.held) / float64(l.cycle); math.Abs(held-c.want) > 1e-9 || r.Answered != uint64(c.n) {
			t.Errorf("%s: %v of %d, want %v", name, held, r.Answered, c.want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		c := call{random.Int64N(100), random.Int64N(100)}
		if after := random.Int64N(200); c.until(after) > after || c.until(after) < 0 {
			t.Fatalf("%+v holds %d of %d", c, c.until(after), after)
		}
	}
}

// Where fewer requests are under way than the window has room for, it was the generator that did not send them.
func TestHeldWindow(t *testing.T) {
	for name, c := range map[string]struct {
		held, cycle    int64
		answered, lost uint64
		mean           time.Duration
		want           float64
	}{
		"full":           {10, 100, 800, 0, 10 * time.Millisecond, 0.1}, // 800 of 10 ms each are 8 seconds, and so is the window in one
		"half full":      {10, 100, 400, 0, 10 * time.Millisecond, 0.5},
		"full of losses": {10, 100, 400, 40, 10 * time.Millisecond, 0.1},
		"in its hands":   {70, 100, 400, 0, 10 * time.Millisecond, 0.7},
		"nothing came":   {0, 0, 0, 80, 0, 0},
	} {
		l := newLoad(benchOf(service.Echo)) // a window of 8, a time-out of 100 ms
		l.held, l.cycle = c.held, c.cycle
		r := BenchReport{Answered: c.answered, Lost: c.lost, Sending: time.Second, Latency: Spread{Mean: c.mean}}
		if got := l.heldShare(&r); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A reply counts for the rate until it has come, however late the last of them does.
func TestReplyRateEndsWithTheLastReply(t *testing.T) {
	b := benchOf(service.Echo)
	b.Timeout = time.Second
	w := world{load: newLoad(b)}
	w.serve = func(_ uint64, request []byte, now int64) []delivery {
		return []delivery{{at: now + 400*ms, data: request}}
	}
	r := w.run(t)
	if want := 10_000 / 1.3999; r.Answered != 10_000 || math.Abs(r.ReplyRate-want) > 1e-6 { // the last left after 999.9 ms
		t.Errorf("%v replies a second of %d, want %v", r.ReplyRate, r.Answered, want)
	}
}

// An outage leaves few losses in a closed loop, and a long silence: at the start, in between and at the end.
func TestSilence(t *testing.T) {
	for _, rate := range []int{0, 1000} {
		for _, outage := range [][2]int64{{0, 310 * ms}, {500 * ms, 810 * ms}, {690 * ms, 1000 * ms}} {
			b := benchOf(service.Echo)
			b.Rate = rate
			w := world{load: newLoad(b)}
			w.serve = func(_ uint64, request []byte, now int64) []delivery {
				if outage[0] <= now && now < outage[1] {
					return nil
				}
				return []delivery{{at: now + ms/10, data: request}}
			}
			r := w.run(t)
			least, most := 309*time.Millisecond, 311*time.Millisecond
			if rate == 0 {
				most += b.Timeout // the whole window waits for it
			}
			if r.Silence < least || r.Silence > most {
				t.Errorf("rate %d, nothing from %v to %v: silent for %v", rate, time.Duration(outage[0]), time.Duration(outage[1]), r.Silence)
			}
			if r.Took < r.Sending {
				t.Errorf("rate %d: took %v, and %v for sending alone", rate, r.Took, r.Sending)
			}
		}
	}
}

// A closed loop remembers a request until its time-out, however many others leave meanwhile, and takes no more memory than
// that needs.
func TestSlots(t *testing.T) {
	for _, c := range []struct {
		rate, window int
		timeout      time.Duration
		least, most  int
	}{
		{0, 1, 10 * time.Second, rememberedLoad, rememberedLoad},
		{0, 2, time.Second, 200_000, 300_000},
		{0, 64, 250 * time.Millisecond, 250_000, 350_000},
		{0, 64, time.Second, 1_000_000, 1_100_000},
		{0, MaxWindow, 10 * time.Second, maxSlots, maxSlots},
		{1000, 0, time.Second, 4000, rememberedLoad + 4000},
		{MaxRate, 0, 10 * time.Second, maxSlots, maxSlots},
	} {
		if n := slots(&Bench{Rate: c.rate, Window: c.window, Timeout: c.timeout}); n < c.least || n > c.most {
			t.Errorf("%+v: %d", c, n)
		}
	}
	b := benchOf(service.Echo)
	b.Rate, b.Window, b.Timeout = 0, 2, time.Second
	w := world{load: newLoad(b)}
	w.serve = func(seq uint64, request []byte, now int64) []delivery {
		if seq == 0 {
			return []delivery{{at: now + 900*ms, data: request}}
		}
		return []delivery{{at: now + ms/200, data: request}} // 5 µs
	}
	if r := w.run(t); r.Answered != r.Sent || r.Sent < 150_000 || r.Stray != 0 {
		t.Errorf("%+v: the slow one is forgotten", r)
	}
}
