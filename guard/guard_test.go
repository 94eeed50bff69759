package guard

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// host returns a Host with the given addresses and links, as Refresh would find them.
func host(own, onLink string) *Host {
	known := new(hostAddresses)
	a := addr(own)
	known.own.Insert(netip.PrefixFrom(a, a.BitLen()))
	known.onLink.Insert(netip.MustParsePrefix(onLink))
	h := new(Host)
	h.known.Store(known)
	return h
}

func TestAllow(t *testing.T) {
	h := host("203.0.113.5", "2001:db8:1:2::/64")
	for _, test := range []struct {
		list, yes, no string
	}{
		{"private", "127.0.0.1 127.9.9.9 ::1 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.0.1 169.254.1.1 fe80::1%eth0 fd00::1",
			"1.1.1.1 172.32.0.1 100.128.0.1 192.169.0.1 2001:db8::1 203.0.113.6"},
		{"private", "203.0.113.5 2001:db8:1:2::9", "2001:db8:1:3::9"}, // its own, its link
		{"any", "1.1.1.1 2001:db8::1 127.0.0.1", ""},
		{"none", "", "127.0.0.1 10.0.0.1"},
		{"192.0.2.0/24,2001:db8::/32", "192.0.2.200 2001:db8:ffff::1", "192.0.3.1 127.0.0.1 2001:db9::1 203.0.113.5"},
		{"fe80::/64,2001:db8::7", "fe80::1%eth0 fe80::1 2001:db8::7%eth0", "fe80:0:0:1::1%eth0"},
		{"192.0.2.7, ::ffff:192.0.2.9", "192.0.2.7 192.0.2.9", "192.0.2.8"},
		{"private,198.51.100.0/25", "10.0.0.1 198.51.100.1", "198.51.100.129"},
	} {
		a, err := ParseAllow(test.list)
		if err != nil {
			t.Fatal(err)
		}
		for s := range strings.FieldsSeq(test.yes) {
			if !a.Has(addr(s), h) {
				t.Errorf("%s does not let %s pass", test.list, s)
			}
		}
		for s := range strings.FieldsSeq(test.no) {
			if a.Has(addr(s), h) {
				t.Errorf("%s lets %s pass", test.list, s)
			}
		}
		if again, err := ParseAllow(a.String()); err != nil || again.String() != a.String() {
			t.Errorf("%s prints as %q, which reads as %v, %v", test.list, a, again, err)
		}
	}
	if new(Allow).Has(addr("127.0.0.1"), nil) {
		t.Error("the zero Allow lets somebody pass")
	}
}

func TestParseAllowRefuses(t *testing.T) {
	for list, hint := range map[string]string{
		"":                    "empty entry",
		"any,":                "empty entry",
		"privat":              "want private, any, none or prefixes",
		"10.0.0.1/8":          "want 10.0.0.0/8 or, for the one address, 10.0.0.1",
		"10.0.0.0/33":         "no address, prefix",
		"::ffff:10.0.0.0/104": "want it as 10.0.0.0/8",
		"fe80::1%eth0":        "no address, prefix",
		"none,any":            "none stands alone",
	} {
		if a, err := ParseAllow(list); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, %v; want an error with %q", list, a, err, hint)
		}
	}
}

func TestLoops(t *testing.T) {
	h := host("192.0.2.1", "2001:db8::/64")
	l := NewLoops()
	l.AddTold(12345)
	l.AddOwn(12345)
	l.AddOwn(40000)
	for from, want := range map[string]bool{
		"10.0.0.1:0": true, "10.0.0.1:7": true, "10.0.0.1:9": true, "10.0.0.1:13": true, "10.0.0.1:17": true,
		"10.0.0.1:19": true, "[2001:db8::5]:37": true, "10.0.0.1:12345": true,
		"127.0.0.1:40000": true, "192.0.2.1:40000": true, "10.0.0.1:40000": false, "[::1]:40000": true,
		"10.0.0.1:53": false, "10.0.0.1:123": false, "127.0.0.1:1023": false, "10.0.0.1:65535": false,
	} {
		if got := l.Has(netip.MustParseAddrPort(from), h); got != want {
			t.Errorf("Has(%s) = %v, want %v", from, got, want)
		}
	}
}

func TestLimiter(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	take := func(l *Limiter, who string, at time.Duration, n int) (got int) {
		for range n {
			if l.Take(addr(who), start.Add(at)) {
				got++
			}
		}
		return got
	}
	l := NewLimiter(100)
	if got := take(l, "10.0.0.1", 0, 500); got != 100 {
		t.Errorf("at once: %d, want 100", got)
	}
	if got := take(l, "10.0.0.2", 0, 500); got != 100 {
		t.Errorf("somebody else at once: %d, want 100", got)
	}
	if got := take(l, "10.0.0.1", 250*time.Millisecond, 500); got != 25 {
		t.Errorf("a quarter of a second later: %d, want 25", got)
	}
	if got := take(l, "10.0.0.1", time.Hour, 500); got != 100 {
		t.Errorf("after an hour's rest: %d, want 100", got)
	}
	if got := take(l, "10.0.0.1", -time.Hour, 500); got != 100 {
		t.Errorf("after the host's clock was set back: %d, want 100", got)
	}
	if got := take(l, "2001:db8:0:1::1", 0, 60) + take(l, "2001:db8:0:1:ffff::2", 0, 60); got != 100 {
		t.Errorf("two addresses of a /64: %d, want 100", got)
	}
	if got := take(l, "2001:db8:0:2::1", 0, 60); got != 60 {
		t.Errorf("another /64: %d, want 60", got)
	}
	if got := take(l, "127.0.0.1", 0, 500) + take(l, "::1", 0, 500); got != 1000 {
		t.Errorf("loopback: %d, want 1000", got)
	}
	l.Loopback = true
	if got := take(l, "127.0.0.1", 0, 500); got != 100 {
		t.Errorf("loopback without its exemption: %d, want 100", got)
	}
}

// Requests whose stamps are a little out of order free nobody.
func TestLimiterStampsOutOfOrder(t *testing.T) {
	l, now := NewLimiter(100), time.Unix(1e9, 0)
	l.Take(addr("192.0.2.2"), now.Add(-time.Hour)) // the first of all
	for l.Take(addr("192.0.2.1"), now) {
	}
	for _, early := range []time.Duration{time.Nanosecond, time.Millisecond, 9 * time.Millisecond} {
		if l.Take(addr("192.0.2.1"), now.Add(-early)) {
			t.Errorf("answered %v before it had used up all", early)
		}
	}
}

func TestLimiterHasARate(t *testing.T) {
	for _, rate := range []int{0, -5, 1} {
		l, now := NewLimiter(rate), time.Unix(1e9, 0)
		for i, want := range []bool{true, false} {
			if got := l.Take(addr("192.0.2.1"), now); got != want {
				t.Errorf("rate %d, request %d: %v, want %v", rate, i, got, want)
			}
		}
	}
}

// Nobody can know which sources share a place: each Limiter has keys of its own.
func TestLimiterKeys(t *testing.T) {
	a, b := NewLimiter(1), NewLimiter(1)
	if who := addr("192.0.2.1"); a.hash(who) == b.hash(who) || a.keys[0] == b.keys[0] || a.keys[1] == b.keys[1] {
		t.Errorf("keys %x and %x", a.keys, b.keys)
	}
}

// A flood from more sources than the table holds neither grows it, nor sets free who is over the limit, nor stops
// anybody who asks for the first time.
func TestLimiterFlood(t *testing.T) {
	l := NewLimiter(10)
	now := time.Unix(1e9, 0)
	heavy := addr("192.0.2.1")
	for l.Take(heavy, now) {
	}
	refused := 0
	for i := range uint32(1_000_000) {
		if !l.Take(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+i))), now) {
			refused++
		}
	}
	if refused > 0 {
		t.Errorf("%d of a million first requests were refused", refused)
	}
	if l.Take(heavy, now) {
		t.Error("the flood set somebody free")
	}
	if len(l.table) != limiterBuckets {
		t.Errorf("the table has %d buckets", len(l.table))
	}
}

func TestGuard(t *testing.T) {
	allow, err := ParseAllow("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	g := &Guard{Host: new(Host), Allow: allow, Loops: NewLoops(), Limit: NewLimiter(1)}
	served := 0
	h := g.Middleware(exchange.HandlerFunc(func(*exchange.Reply, *exchange.Request) exchange.Verdict {
		served++
		return exchange.Answer
	}))
	request := func(from string) *exchange.Request {
		return &exchange.Request{From: netip.MustParseAddrPort(from), Received: time.Unix(1e9, 0)}
	}
	cast := request("192.0.2.9:5000")
	cast.Multicast = true
	for _, step := range []struct {
		r    *exchange.Request
		want exchange.Verdict
	}{
		{request("192.0.2.1:7"), exchange.Loop},
		{request("192.0.3.1:5000"), exchange.NotAllowed},
		{cast, exchange.Multicast},
		{request("192.0.2.1:5000"), exchange.Answer},
		{request("192.0.2.1:5001"), exchange.Limit},
		{request("192.0.2.9:5000"), exchange.Answer},
	} {
		if got := h.Serve(nil, step.r); got != step.want {
			t.Errorf("%v: %v, want %v", step.r.From, got, step.want)
		}
	}
	if served != 2 {
		t.Errorf("%d requests came through, want 2", served)
	}
	if got := new(Guard).Admit(request("1.1.1.1:7")); got != exchange.Answer {
		t.Errorf("the zero Guard: %v", got)
	}
}

func TestNoAllocation(t *testing.T) {
	allow, _ := ParseAllow("private,192.0.2.0/24")
	var h Host
	h.Refresh()
	g := &Guard{Host: &h, Allow: allow, Loops: NewLoops(), Limit: NewLimiter(1)}
	for _, from := range []string{"10.0.0.1:5000", "[fe80::1%eth0]:5000", "1.1.1.1:5000", "[2001:db8::1]:7"} {
		r := &exchange.Request{From: netip.MustParseAddrPort(from), Received: time.Unix(1e9, 0)}
		if n := testing.AllocsPerRun(100, func() { g.Admit(r) }); n != 0 {
			t.Errorf("%s: %v allocations", from, n)
		}
	}
}

func FuzzParseAllow(f *testing.F) {
	for _, s := range []string{"private", "any,10.0.0.0/8", "none", "::/0", "::ffff:0:0/95", ",", "fe80::%1/10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAllow(s)
		if err != nil {
			return
		}
		if again, err := ParseAllow(a.String()); err != nil || again.String() != a.String() {
			t.Errorf("%q prints as %q, which reads as %v, %v", s, a, again, err)
		}
		a.Has(addr("192.0.2.1"), nil)
	})
}

func BenchmarkAdmit(b *testing.B) {
	allow, _ := ParseAllow("private")
	g := &Guard{Host: new(Host), Allow: allow, Loops: NewLoops(), Limit: NewLimiter(1000)}
	now := time.Unix(1e9, 0)
	b.Run("one source", func(b *testing.B) {
		r := &exchange.Request{From: netip.MustParseAddrPort("10.0.0.1:5000"), Received: now}
		for b.Loop() {
			g.Admit(r)
		}
	})
	b.Run("10 million sources", func(b *testing.B) {
		r := &exchange.Request{Received: now}
		for i := uint32(0); b.Loop(); i = (i + 1) % 10_000_000 {
			r.From = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5000)
			g.Admit(r)
		}
	})
}
