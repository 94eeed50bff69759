package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// ntpServer answers as a good server 24 hours behind noon does, but for what change does to the answer and append adds.
func ntpServer(change func(count int, h *ntp.Header), behind ...byte) func([]byte) []byte {
	count := 0
	return func(question []byte) []byte {
		count++
		served := ntp.TimestampOf(noon.Add(-24*time.Hour + 13*time.Microsecond))
		h := ntp.Header{
			Version:        4,
			Mode:           ntp.ModeServer,
			Stratum:        1,
			Poll:           6,
			Precision:      -20,
			RootDelay:      ntp.ShortOf(20 * time.Millisecond),
			RootDispersion: ntp.ShortOf(time.Millisecond),
			ReferenceID:    ntp.ReferenceID{'X', 'D', 'A', 'Y'},
			Reference:      served - 17<<32,
			Origin:         ntp.Timestamp(binary.BigEndian.Uint64(question[40:])),
			Receive:        served,
			Transmit:       served,
		}
		if change != nil {
			change(count, &h)
		}
		return append(h.Append(nil), behind...)
	}
}

const goodBlock = `Sat Nov 21 12:00:00 2026   24h behind   0s   ntp/udp ADDR
  offset      -86399.999987s
  stratum     1, XDAY
  leap        none
  root        distance 11.01ms, delay 20ms, dispersion 1.01ms
  reference   set 17s before
  header      precision 2^-20 (953ns), poll 2^6 (1m4s), version 4, server
  verdict     good
`

func TestAskNTPTerminal(t *testing.T) {
	good := func(int, *ntp.Header) {}
	rate := func(h *ntp.Header) { h.Stratum, h.Leap, h.ReferenceID = 0, ntp.LeapUnknown, ntp.KissRate }
	for _, c := range []struct {
		name   string
		server func([]byte) []byte
		args   []string
		want   string // what is printed; "…" is anything
		says   string // on stderr
	}{
		{"good", ntpServer(good), nil, goodBlock, ""},
		{"a leap second", ntpServer(func(_ int, h *ntp.Header) { h.Leap = ntp.LeapInsert }), nil,
			strings.Replace(goodBlock, "none", "insert", 1), ""},
		{"a secondary server", ntpServer(func(_ int, h *ntp.Header) { h.Stratum, h.ReferenceID = 2, ntp.ReferenceID{192, 0, 2, 1} }), nil,
			strings.Replace(goodBlock, "1, XDAY", "2, 192.0.2.1", 1), ""},
		{"never set", ntpServer(func(_ int, h *ntp.Header) { h.Reference = 0 }), nil,
			strings.Replace(goodBlock, "set 17s before", "never set", 1), ""},
		{"odd powers of two", ntpServer(func(_ int, h *ntp.Header) { h.Precision, h.Poll = -31, 127 }), nil,
			strings.Replace(goodBlock, "2^-20 (953ns), poll 2^6 (1m4s)", "2^-31 s, poll 2^127 s", 1), ""},
		{"in another era", ntpServer(good), []string{"--era", "1"},
			"Tue Dec 28 18:28:16 2162   136y36d6h ahead   0s   ntp/udp ADDR\n  offset      4294880896.000013s\n…", ""},
		{"a MAC and a field", ntpServer(nil, append([]byte{1, 4, 0, 28}, make([]byte, 24+20)...)...), nil,
			strings.Replace(goodBlock, "  verdict", "  behind      1 extension field, 20 bytes of MAC, not looked at\n  verdict", 1), ""},
		{"samples", ntpServer(func(i int, h *ntp.Header) { h.Transmit += ntp.Timestamp(i) << 20; h.Receive = h.Transmit }), []string{"--samples", "3", "--every", "1ns"},
			"…\n  offset      -86399.999743s\n  samples     3 of 3, offsets from -86399.999743s to -86399.999255s\n…", ""},

		{"mode and stratum", ntpServer(func(_ int, h *ntp.Header) { h.Mode, h.Stratum = ntp.ModeClient, 16 }), nil,
			"…\n  stratum     16, XDAY\n…\n  verdict     mode is 3 (client), want 4 (server)\n              stratum is 16 (not synchronised), want 1 to 15\n",
			"bad answer for ntp/udp from ADDR: it fails on mode, stratum"},
		{"some samples fail", ntpServer(func(i int, h *ntp.Header) {
			if i == 2 {
				h.Stratum = 0
			}
		}), []string{"--samples", "3", "--every", "1ns"},
			"…\n  stratum     1, XDAY\n…\n  verdict     stratum is 0 (unspecified), want 1 to 15 (1 of 3 samples)\n",
			"bad answer for ntp/udp from ADDR: it fails on stratum"},
		{"set in the future", ntpServer(func(_ int, h *ntp.Header) { h.Reference = h.Transmit + 90<<32 }), nil,
			"…\n  reference   set 1m30s later\n…\n  verdict     reference time is 1m30s after the transmit time\n",
			"bad answer for ntp/udp from ADDR: it fails on reference"},
		{"no transmit time", ntpServer(func(_ int, h *ntp.Header) { h.Transmit = 0 }), nil,
			"no time   0s   ntp/udp ADDR\n  stratum     1, XDAY\n  leap        none\n  root        distance 11.01ms, delay 20ms, dispersion 1.01ms\n  header…\n  verdict     transmit time is zero\n",
			"bad answer for ntp/udp from ADDR: it fails on transmit"},
		{"a kiss code", ntpServer(func(_ int, h *ntp.Header) { rate(h) }), []string{"--samples", "3", "--every", "1ns"},
			"…\n  samples     1 of 3\n  stratum     0, RATE\n  leap        unknown\n…\n  verdict     leap indicator is 3: the server's clock is not synchronised\n              kiss code RATE: asked to ask less often\n",
			"ADDR says RATE: asked to ask less often"},
		{"a kiss code after a good sample", ntpServer(func(i int, h *ntp.Header) {
			if i == 2 {
				rate(h)
			}
		}), []string{"--samples", "3", "--every", "1ns"},
			"…\n  offset      -86399.999987s\n  samples     2 of 3, offsets from -86399.999987s to -86399.999987s\n  stratum     1, XDAY\n…\n  verdict     leap indicator is 3: the server's clock is not synchronised (1 of 2 samples)\n              kiss code RATE: asked to ask less often (1 of 2 samples)\n",
			"ADDR says RATE: asked to ask less often"},
		{"five bytes", says("hello"), []string{"--timeout", "50ms"},
			"no time   0s   ntp/udp ADDR…\n  verdict     answer has 5 bytes, want 48\n",
			"bad answer for ntp/udp from ADDR: it fails on length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := answering(t, c.server)
			stdout, stderr, code := asked(t, env{tty: true}, append(c.args, "--utc", "--service", "ntp", addr)...)
			stdout, want := strings.ReplaceAll(stdout, addr, "ADDR"), c.want
			for part := range strings.SplitSeq(want, "…") {
				if !strings.Contains(stdout, part) || !strings.Contains(want, "…") && stdout != want {
					t.Errorf("it printed\n%s, want\n%s", stdout, want)
					break
				}
			}
			wantErr, wantCode := "", 0
			if c.says != "" {
				wantErr, wantCode = "yesterday: "+c.says+"\n", 1
			}
			if got := strings.ReplaceAll(stderr, addr, "ADDR"); got != wantErr || code != wantCode {
				t.Errorf("exit code %d, stderr %q, want %d, %q", code, got, wantCode, wantErr)
			}
		})
	}
}

func TestAskNTPColour(t *testing.T) {
	addr := answering(t, ntpServer(nil))
	stdout, _, _ := asked(t, env{tty: true, color: true}, "--utc", "--service", "ntp", addr)
	first, rest, _ := strings.Cut(stdout, "\n")
	if want := "\x1b[1mSat Nov 21 12:00:00 2026\x1b[0m   \x1b[2m24h behind   0s   ntp/udp " + addr + "\x1b[0m"; first != want {
		t.Errorf("got %q, want %q", first, want)
	}
	if want := "  \x1b[2moffset   \x1b[0m   -86399.999987s\n"; !strings.HasPrefix(rest, want) {
		t.Errorf("got %q, want %q first", rest, want)
	}
}

func TestAskNTPPipe(t *testing.T) {
	addr := answering(t, ntpServer(nil))
	stdout, stderr, code := asked(t, env{}, "--service", "ntp", addr)
	want := `server ADDR
served 2026-11-21T12:00:00.500013Z
offset_seconds -86399.999987
delay_seconds 0
root_distance_seconds 0.011009216
reference_age_seconds 17
stratum 1
reference_id XDAY
leap none
version 4
precision -20
good true
`
	if got := strings.ReplaceAll(stdout, addr, "ADDR"); got != want || stderr != "" || code != 0 {
		t.Errorf("exit code %d, %q, it printed\n%s, want\n%s", code, stderr, got, want)
	}
	addr = answering(t, ntpServer(func(_ int, h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissDeny }))
	stdout, stderr, code = asked(t, env{}, "--service", "ntp", addr)
	if !strings.HasSuffix(stdout, "\nkiss DENY\ngood false\nfailed kiss code DENY: access denied\n") || stderr != "yesterday: "+addr+" says DENY: access denied\n" || code != 1 {
		t.Errorf("exit code %d, %q, it printed\n%s", code, stderr, stdout)
	}
}

func TestAskNTPJSON(t *testing.T) {
	type object struct {
		Service   string      `json:"service"`
		Server    string      `json:"server"`
		Sent      time.Time   `json:"sent"`
		Served    time.Time   `json:"served"`
		Arrived   time.Time   `json:"arrived"`
		Reference time.Time   `json:"reference"`
		Offset    json.Number `json:"offset_seconds"`
		Delay     json.Number `json:"delay_seconds"`
		Era       *int        `json:"era"`
		Stratum   *int        `json:"stratum"`
		Leap      string      `json:"leap"`
		Mode      string      `json:"mode"`
		Poll      int         `json:"poll"`
		Precision int         `json:"precision"`
		Kiss      string      `json:"kiss"`
		Ended     string      `json:"ended"`
		Good      bool        `json:"good"`
		Failed    []struct{ Check, Text string }
		Samples   []struct {
			Offset json.Number `json:"offset_seconds"`
			Failed []struct{ Check, Text string }
		}
		Raw string `json:"raw"`
	}
	read := func(t *testing.T, wantCode int, args ...string) (v object) {
		t.Helper()
		stdout, _, code := asked(t, env{tty: true}, append(args, "--json", "--service", "ntp")...)
		d := json.NewDecoder(strings.NewReader(stdout))
		d.UseNumber()
		if err := d.Decode(&v); err != nil || code != wantCode || strings.Count(stdout, "\n") != 1 {
			t.Fatalf("exit code %d, want %d; %v in %s", code, wantCode, err, stdout)
		}
		return v
	}
	t.Run("good", func(t *testing.T) {
		addr := answering(t, ntpServer(nil))
		v := read(t, 0, "--samples", "2", "--every", "1ns", addr)
		served := noon.Add(-24*time.Hour + 13*time.Microsecond)
		if v.Service != "ntp" || v.Server != addr || !v.Sent.Equal(noon) || !v.Served.Equal(served) || !v.Arrived.Equal(served) || !v.Reference.Equal(served.Add(-17*time.Second)) {
			t.Errorf("got %+v", v)
		}
		if v.Offset != "-86399.999987" || v.Delay != "0" || *v.Era != 0 || *v.Stratum != 1 || v.Leap != "none" || v.Mode != "server" || v.Poll != 6 || v.Precision != -20 {
			t.Errorf("got %+v", v)
		}
		if !v.Good || v.Failed == nil || len(v.Failed) != 0 || len(v.Samples) != 2 || v.Samples[1].Offset != v.Offset || len(v.Raw) != 96 || v.Kiss != "" || v.Ended != "" {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("bad", func(t *testing.T) {
		addr := answering(t, ntpServer(func(_ int, h *ntp.Header) { h.Stratum, h.ReferenceID, h.Transmit = 0, ntp.KissRate, 0 }))
		v := read(t, 1, "--samples", "2", addr)
		if v.Good || v.Kiss != "RATE" || v.Offset != "" || v.Era != nil || len(v.Samples) != 1 || len(v.Failed) != 2 || v.Failed[0].Check != "kiss" ||
			v.Failed[0].Text != "kiss code RATE: asked to ask less often" || v.Failed[1].Check != "transmit" || len(v.Samples[0].Failed) != 2 {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("five bytes", func(t *testing.T) {
		v := read(t, 1, "--timeout", "50ms", answering(t, says("hello")))
		if v.Good || v.Stratum != nil || v.Raw != fmt.Sprintf("%x", "hello") || len(v.Failed) != 1 || v.Failed[0].Check != "length" {
			t.Errorf("got %+v", v)
		}
	})
}

// TestAskHints is about what is said where nothing answers on a service's default port.
func TestAskHints(t *testing.T) {
	server := netip.MustParseAddrPort("192.0.2.1:12431")
	silent := &ask.NoReplyError{Service: service.NTP, Servers: []netip.AddrPort{server}, Attempts: 3, Took: 7 * time.Second}
	interrupted := &ask.NoReplyError{Service: service.NTP, Servers: []netip.AddrPort{server}, Attempts: 1, Err: errors.New("interrupted")}
	refused := &ask.RefusedError{Service: service.NTP, Servers: []ask.ServerError{{Server: server, Err: errors.New("connection refused")}}}
	const nobody = "no reply for ntp/udp from 192.0.2.1:12431: 3 datagrams sent in 7s, nothing came back"
	const nothing = "nothing listens for ntp/udp there: 192.0.2.1:12431: connection refused"
	for _, c := range []struct {
		target string
		kind   service.Kind
		err    error
		want   string
	}{
		{"192.0.2.1", service.NTP, silent, nobody + "; that is the port of yesterday serve, and HOST:ntp asks another's on port 123"},
		{"192.0.2.1:12431", service.NTP, silent, nobody},
		{"192.0.2.1", service.NTP, interrupted, "no reply for ntp/udp from 192.0.2.1:12431: 1 datagram sent in 0s, nothing came back; interrupted"},
		{"192.0.2.1", service.NTP, refused, nothing + `; "yesterday serve" starts a server there, and HOST:ntp asks another's on port 123`},
		{"192.0.2.1", service.Echo, refused, nothing + `; "yesterday serve" starts a server there, and HOST:echo asks another's on port 7`},
		{"192.0.2.1:ntp", service.NTP, refused, nothing},
	} {
		if got := (&askCmd{Server: c.target}).explain(c.err, c.kind); got.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.target, got, c.want)
		}
	}
}
