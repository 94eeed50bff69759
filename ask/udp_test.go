package ask_test

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/rfc867"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

var (
	today     = time.Date(2026, 11, 22, 9, 29, 9, 250_000_000, time.UTC)
	yesterday = today.Truncate(time.Second).Add(-24 * time.Hour)
	bytes868  = rfc868.Of(yesterday).Append(nil)
)

func clockAt(moment time.Time) func() time.Time { return func() time.Time { return moment } }

func TestTimeUDP(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		asked := make(chan datagram, 1)
		addr := serveUDP(t, host, func(d datagram) {
			asked <- d
			d.reply(bytes868)
		})
		c := ask.Client{Timeout: never, Now: clockAt(today)}
		a, err := c.Time(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		if d := <-asked; d.data != "" {
			t.Errorf("it was asked with %q, want an empty datagram", d.data)
		}
		if a.Service != service.Time || a.Transport != ask.UDP || a.Server != addrPort(t, addr) || a.Attempts != 1 {
			t.Errorf("answer is %+v, want 1 datagram for time/udp to %s", a, addr)
		}
		if !a.Served.Equal(yesterday) || a.Served.Location() != time.UTC || a.Offset != -86400 || !bytes.Equal(a.Raw, bytes868) {
			t.Errorf("answer is %+v, want %v in UTC, -86400 s, % x", a, yesterday, bytes868)
		}
		if !a.Sent.Equal(today) || !a.Received.Equal(today) || a.RoundTrip != 0 {
			t.Errorf("answer is %+v, want it sent and received at %v", a, today)
		}
	})
}

// TestRealClock lets the client read the host's clock, as it does by default.
func TestRealClock(t *testing.T) {
	addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply(rfc868.Of(time.Now().Add(-time.Hour)).Append(nil)) })
	before := time.Now()
	a, err := (&ask.Client{Timeout: never}).Time(t.Context(), addr)
	after := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	if a.Sent.Before(before) || a.Received.Before(a.Sent) || after.Before(a.Received) || a.RoundTrip != a.Received.Sub(a.Sent) {
		t.Errorf("sent %v, received %v, round trip %v, want them in order between %v and %v", a.Sent, a.Received, a.RoundTrip, before, after)
	}
	if a.Served.Before(before.Add(-time.Hour-time.Second)) || a.Served.After(after.Add(-time.Hour)) {
		t.Errorf("served %v, want an hour before %v", a.Served, before)
	}
}

func TestSend(t *testing.T) {
	for _, send := range []string{"\n", "what time is it?", strings.Repeat("x", 1400)} {
		asked := make(chan string, 1)
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			asked <- d.data
			d.reply(bytes868)
		})
		c := ask.Client{Timeout: never, Send: []byte(send)}
		if _, err := c.Time(t.Context(), addr); err != nil {
			t.Fatal(err)
		}
		if got := <-asked; got != send {
			t.Errorf("it was sent %q, want %q", got, send)
		}
	}
}

func TestEras(t *testing.T) {
	rollover := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	for _, c := range []struct {
		name  string
		value rfc868.Time
		pivot time.Time
		now   time.Time
		want  time.Time
	}{
		{"nearest to now, past 2036", 0, time.Time{}, today, rollover},
		{"before 2036, now past it", 0xffff_ffff, time.Time{}, rollover, rollover.Add(-time.Second)},
		{"era 0 by its middle", 0, rfc868.Time(1 << 31).In(0), today, time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"era 0's end by its middle", 0xffff_ffff, rfc868.Time(1 << 31).In(0), today, rollover.Add(-time.Second)},
		{"1600", rfc868.Of(time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)), time.Date(1590, 1, 1, 0, 0, 0, 0, time.UTC), today,
			time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply(c.value.Append(nil)) })
		client := ask.Client{Timeout: never, Pivot: c.pivot, Now: clockAt(c.now)}
		a, err := client.Time(t.Context(), addr)
		if err != nil || !a.Served.Equal(c.want) {
			t.Errorf("%s: served %v, %v, want %v", c.name, a.Served, err, c.want)
		}
		if want := c.want.Unix() - c.now.Unix(); a.Offset != want {
			t.Errorf("%s: offset %d s, want %d", c.name, a.Offset, want)
		}
	}
}

func TestDaytimeUDP(t *testing.T) {
	zone := time.FixedZone("there", -3*3600)
	for _, c := range []struct {
		line   string
		served time.Time
		offset int64
	}{
		{string(rfc867.Append(nil, yesterday.In(zone))), yesterday, -86400},
		{"57713 16-11-21 09:29:09 00 0 0 50.0 UTC(NIST) *\r\n", time.Time{}, 0},
		{"!", time.Time{}, 0},
		{strings.Repeat("y", 512), time.Time{}, 0},
	} {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) { d.reply([]byte(c.line)) })
		client := ask.Client{Timeout: never, Zone: zone, Now: clockAt(today)}
		a, err := client.Daytime(t.Context(), addr)
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		if string(a.Raw) != c.line || !a.Served.Equal(c.served) || a.Offset != c.offset || a.Service != service.Daytime {
			t.Errorf("%q: answer is %+v, want %v, %d s", c.line, a, c.served, c.offset)
		}
	}
}

func TestEchoUDP(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		addr := serveUDP(t, host, func(d datagram) { d.reply([]byte(d.data)) })
		for _, data := range []string{"", "hi", "\x00\xff\r\n", strings.Repeat("long ", 12000)} {
			a, err := (&ask.Client{Timeout: never}).Echo(t.Context(), addr, []byte(data))
			if err != nil || string(a.Raw) != data || a.Service != service.Echo || !a.Served.IsZero() {
				t.Errorf("%d bytes: %d came back, %v", len(data), len(a.Raw), err)
			}
		}
	})
}

// TestLossy asks a server that loses the first datagrams.
func TestLossy(t *testing.T) {
	for _, lost := range []int{1, 2} {
		addr := serveUDP(t, "127.0.0.1", func(d datagram) {
			if d.count > lost {
				d.reply(bytes868)
			}
		})
		// The last try has time for a busy machine.
		c := ask.Client{Timeout: 20 * time.Millisecond, Tries: 12, Now: clockAt(today)}
		a, err := c.Time(t.Context(), addr)
		if err != nil || a.Attempts <= lost || a.Offset != -86400 {
			t.Errorf("%d lost: %+v, %v, want an answer after more datagrams", lost, a, err)
		}
	}
}

func TestSilence(t *testing.T) {
	heard := make(chan string, 8)
	addr := serveUDP(t, "127.0.0.1", func(d datagram) { heard <- d.data })
	c := ask.Client{Timeout: 10 * time.Millisecond, Send: []byte("hello?")}
	begun := time.Now()
	_, err := c.Time(t.Context(), addr)
	took := time.Since(begun)
	e, ok := errors.AsType[*ask.NoReplyError](err)
	if !ok {
		t.Fatalf("error is %v, want a NoReplyError", err)
	}
	if e.Attempts != 3 || len(e.Servers) != 1 || e.Servers[0] != addrPort(t, addr) || e.Err != nil || !e.Timeout() {
		t.Errorf("error is %+v, want 3 datagrams to %s", e, addr)
	}
	if least := 70 * time.Millisecond; took < least || e.Took < least || e.Took > took {
		t.Errorf("it took %v by its own word, %v by ours, want at least 10+20+40 ms", e.Took, took)
	}
	text := err.Error()
	if !strings.HasPrefix(text, "ask: no reply for time/udp from "+addr+": 3 datagrams sent in ") ||
		!strings.HasSuffix(text, "s, nothing came back") {
		t.Errorf("error says %q", text)
	}
	for range 3 {
		if got := <-heard; got != "hello?" {
			t.Errorf("a try sent %q", got)
		}
	}
}

// TestLateReply has two addresses: the first answers only after the second, silent one has been asked.
func TestLateReply(t *testing.T) {
	second := make(chan struct{}, 8)
	port := twins(t, func(v4, v6 string) error {
		l, err := net.ListenPacket("udp", v4)
		if err != nil {
			return err
		}
		l.Close()
		serveUDPAt(t, v4, func(datagram) { second <- struct{}{} })
		serveUDPAt(t, v6, func(d datagram) {
			<-second
			d.reply(bytes868)
		})
		return nil
	})
	c := ask.Client{
		Timeout:  10 * time.Millisecond,
		Tries:    12,
		Resolver: names{hosts: map[string][]string{"server.test": {"::1", "127.0.0.1"}}},
		Now:      clockAt(today),
	}
	a, err := c.Time(t.Context(), "server.test:"+port)
	if err != nil || a.Server != addrPort(t, "[::1]:"+port) || a.Attempts < 2 || a.Offset != -86400 {
		t.Errorf("answer is %+v, %v, want one from ::1 after 2 datagrams", a, err)
	}
}

func TestRefusedUDP(t *testing.T) {
	onLoopbacks(t, func(t *testing.T, host string) {
		addr := refusingUDP(t, host)
		_, err := (&ask.Client{Timeout: never}).Time(t.Context(), addr)
		e, ok := errors.AsType[*ask.RefusedError](err)
		if !ok || len(e.Servers) != 1 || e.Servers[0].Server != addrPort(t, addr) {
			t.Fatalf("error is %v, want a RefusedError", err)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error %v is not the system's", err)
		}
		if want := "ask: nothing listens for time/udp there: " + addr + ": connection refused"; err.Error() != want {
			t.Errorf("error says %q, want %q", err, want)
		}
	})
}

// TestAddressesUDP asks names that have two addresses.
func TestAddressesUDP(t *testing.T) {
	both := names{hosts: map[string][]string{
		"both.test": {"::1", "127.0.0.1", "::ffff:127.0.0.1", "224.0.0.1", "fe80::1"}, // the last three are not asked
		"none.test": {"224.0.0.1", "fe80::1"},
	}}
	closed := func(addr string) error {
		l, err := net.ListenPacket("udp", addr)
		if err == nil {
			l.Close()
		}
		return err
	}
	t.Run("first refuses", func(t *testing.T) {
		port := twins(t, func(v4, v6 string) error {
			if err := closed(v4); err != nil {
				return err
			}
			serveUDPAt(t, v4, func(d datagram) { d.reply(bytes868) })
			return nil
		})
		a, err := (&ask.Client{Timeout: never, Resolver: both}).Time(t.Context(), "both.test:"+port)
		if err != nil || a.Server != addrPort(t, "127.0.0.1:"+port) {
			t.Errorf("answer is %+v, %v, want one from 127.0.0.1", a, err)
		}
	})
	t.Run("both refuse", func(t *testing.T) {
		port := twins(t, func(v4, v6 string) error { return closed(v4) })
		_, err := (&ask.Client{Timeout: never, Resolver: both}).Time(t.Context(), "both.test:"+port)
		e, ok := errors.AsType[*ask.RefusedError](err)
		if !ok || len(e.Servers) != 2 || !strings.Contains(err.Error(), "127.0.0.1:"+port) || !strings.Contains(err.Error(), "[::1]:"+port) {
			t.Errorf("error is %v, want a RefusedError of two addresses", err)
		}
	})
	t.Run("first is silent", func(t *testing.T) {
		port := twins(t, func(v4, v6 string) error {
			if err := closed(v4); err != nil {
				return err
			}
			serveUDPAt(t, v6, func(datagram) {})
			serveUDPAt(t, v4, func(d datagram) { d.reply(bytes868) })
			return nil
		})
		c := ask.Client{Timeout: 20 * time.Millisecond, Tries: 12, Resolver: both}
		a, err := c.Time(t.Context(), "both.test:"+port)
		if err != nil || a.Server != addrPort(t, "127.0.0.1:"+port) || a.Attempts < 2 {
			t.Errorf("answer is %+v, %v, want one from 127.0.0.1 after 2 datagrams", a, err)
		}
	})
	t.Run("one refuses, one is silent", func(t *testing.T) {
		port := twins(t, func(v4, v6 string) error {
			if err := closed(v4); err != nil {
				return err
			}
			serveUDPAt(t, v4, func(datagram) {})
			return nil
		})
		_, err := (&ask.Client{Timeout: 10 * time.Millisecond, Resolver: both}).Time(t.Context(), "both.test:"+port)
		e, ok := errors.AsType[*ask.NoReplyError](err)
		if !ok || len(e.Servers) != 1 || len(e.Dropped) != 1 || e.Attempts < 4 || !strings.Contains(err.Error(), "[::1]:"+port+": connection refused") {
			t.Errorf("error is %v, want a NoReplyError that tells of the refusal too", err)
		}
	})
	t.Run("none can be asked", func(t *testing.T) {
		_, err := (&ask.Client{Timeout: never, Resolver: both}).Time(t.Context(), "none.test:37")
		if err == nil || !strings.Contains(err.Error(), "none.test has no address that can be asked") {
			t.Errorf("error is %v", err)
		}
	})
}
