//go:build linux

package integration

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/bits"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// serveFaults starts a server of all services whose answers meet faults, by a clock that stands still.
func serveFaults(t *testing.T, ns *netns, faults string, more ...string) *server {
	t.Helper()
	return serve(t, ns, append(append(more, "--clock", "2000-01-01 frozen", "--faults", faults), loopback...)...)
}

// The time, and the line, of that clock.
const (
	frozenTime = "\xbc\x17\xc2\x00"
	frozenLine = "Sat Jan  1 00:00:00 2000\r\n"
)

// A delay is added to every round trip, whoever measures it.
func TestFaultDelay(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const least = 50 * time.Millisecond
	ns := newNetns(t)
	s := serveFaults(t, ns, "delay 50ms..90ms")
	for service, question := range map[string]string{
		"echo/udp": "hi", "time/udp": "", "daytime/udp": "", "ntp/udp": string(ntpRequest(4, 3, 1, 0)),
	} {
		conn := ns.udp(t, "", s.addr(service))
		for range 5 {
			asked := time.Now()
			request(t, conn, question)
			if took := time.Since(asked); took < least {
				t.Errorf("%s answers after %v, want %v or more", service, took, least)
			}
		}
	}
	for service, want := range map[string]string{"time/tcp": frozenTime, "daytime/tcp": frozenLine} {
		asked := time.Now()
		conn := ns.tcp(t, s.addr(service))
		conn.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 64)
		n, err := conn.Read(buf)
		if took := time.Since(asked); took < least || err != nil || string(buf[:n]) != want {
			t.Errorf("%s: %q after %v (%v), want %q after %v or more", service, buf[:n], took, err, want, least)
		}
	}

	nping := need(t, "nping", "nmap")
	for try := 1; ; try++ {
		out := ns.mustRun(t, "", nping, "--udp", "-p", s.port("echo/udp"), "-c", "5", "--delay", "150ms", "--data-string", "hi", "127.0.0.1")
		m := regexp.MustCompile(`Min rtt: ([\d.]+)ms`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("nping measures nothing:\n%s", out)
		}
		rtt, err := time.ParseDuration(m[1] + "ms")
		if err != nil {
			t.Fatal(err)
		}
		if rtt >= least {
			break
		}
		if try == tries { // it looks at the clock after it has sent: on a busy machine long after
			t.Fatalf("nping measures %v at the last of %d tries, want %v or more:\n%s", rtt, tries, least, out)
		}
	}
	s.stop()
}

// A duplicate is one datagram more, the same to the last byte. A stream has none.
func TestFaultDuplicate(t *testing.T) {
	t.Parallel()
	s := serveFaults(t, host(), "duplicate")
	const asked = 5
	for _, service := range []string{"echo/udp", "time/udp", "daytime/udp", "ntp/udp"} {
		conn := host().udp(t, "", s.addr(service))
		for i := range asked {
			first := request(t, conn, string(ntpRequest(4, 3, uint64(i)+1, 0)))
			buf := make([]byte, 128)
			conn.SetReadDeadline(time.Now().Add(patience))
			if n, err := conn.Read(buf); err != nil || string(buf[:n]) != first {
				t.Errorf("%s: %q, then %q (%v)", service, first, buf[:n], err)
			}
		}
		defer nothing(t, conn)
	}
	conn := host().tcp(t, s.addr("time/tcp"))
	conn.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(conn); err != nil || string(got) != frozenTime {
		t.Errorf("time/tcp: %q (%v), want %q", got, err, frozenTime)
	}
	if summary := s.stop(); counted(t, summary, "answered") != 4*asked+1 || counted(t, summary, "duplicate") != 4*asked {
		t.Errorf("%s, want %d answered, %d duplicate", summary, 4*asked+1, 4*asked)
	}
}

// Faults on connections, as socat sees them.
func TestFaultsOverTCP(t *testing.T) {
	t.Parallel()
	socat := need(t, "socat", "socat")
	const hold, patient = 300 * time.Millisecond, time.Second // how long it waits where nothing comes
	for _, c := range []struct {
		faults    string
		time      string // what it prints of each service
		daytime   string
		echo      string
		wrongBits int           // how many are turned over in time and daytime
		least     time.Duration // how long these two take
	}{
		{faults: "silence", least: patient},
		{faults: "loss", least: patient},
		{faults: "delay 300ms", time: frozenTime, daytime: frozenLine, echo: "hi\n", least: hold},
		{faults: "length 0", echo: "hi\n"},
		{faults: "length 3", time: frozenTime[:3], daytime: frozenLine[:3], echo: "hi\n"},
		{faults: "length 30", time: frozenTime + strings.Repeat("\x00", 26), daytime: frozenLine + "\x00\x00\x00\x00", echo: "hi\n"},
		{faults: "corrupt", time: frozenTime, daytime: frozenLine, echo: "hi\n", wrongBits: 1},
		{faults: "corrupt, duplicate, length 3, delay 300ms", time: frozenTime[:3], daytime: frozenLine[:3], echo: "hi\n", wrongBits: 1, least: hold},
	} {
		t.Run(c.faults, func(t *testing.T) {
			t.Parallel()
			s := serveFaults(t, host(), c.faults)
			for service, want := range map[string]string{"time/tcp": c.time, "daytime/tcp": c.daytime, "echo/tcp": c.echo} {
				wait := fmt.Sprintf("-T%.0f", patience.Seconds())
				if c.least == patient {
					wait = fmt.Sprintf("-T%.0f", patient.Seconds())
				}
				args, stdin, wrong := []string{wait, "-u", "TCP:" + s.addr(service), "-"}, "", c.wrongBits
				if service == "echo/tcp" { // where its own end closes first
					args, stdin, wrong = []string{wait, "-t20", "-", "TCP:" + s.addr(service)}, "hi\n", 0
				}
				start := time.Now()
				got := host().mustRun(t, stdin, socat, args...)
				took := time.Since(start)
				if d := differingBits(got, want); d != wrong {
					t.Errorf("%s: socat prints %s, want %s with %d bits turned over", service, hex.EncodeToString([]byte(got)), hex.EncodeToString([]byte(want)), wrong)
				}
				if took < c.least && (service != "echo/tcp" || want != "") {
					t.Errorf("%s: socat ends after %v, want %v or more", service, took, c.least)
				}
			}
			s.stop()
		})
	}
}

// differingBits counts the bits in which two texts differ; -1 where they differ in length.
func differingBits(a, b string) (n int) {
	if len(a) != len(b) {
		return -1
	}
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// By the same seed the same requests meet the same faults, in another process too; by another seed they meet others.
func TestFaultSeed(t *testing.T) {
	t.Parallel()
	question := strings.Repeat("\x00", 1000)
	const asked = 18 // the server tells of 20 a second
	var seen []string
	for _, seed := range []string{"7", "7", "8"} {
		s := serveFaults(t, host(), "loss 50%, corrupt", "--seed", seed, "--log-format", "json")
		conn := host().udp(t, "", s.addr("echo/udp"))
		for range asked {
			if _, err := conn.Write([]byte(question)); err != nil {
				t.Fatal(err)
			}
		}
		var fates strings.Builder
		told, ok := s.awaitExchanges(s.bound["echo/udp"], time.Time{}, asked)
		if !ok {
			t.Fatalf("the server tells of %d exchanges, want %d", len(told), asked)
		}
		for _, e := range told {
			fmt.Fprint(&fates, " ", strings.Join(e.Notes, "+"))
			if e.Msg != "answered" {
				continue
			}
			conn.SetReadDeadline(time.Now().Add(patience))
			buf := make([]byte, 2000)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if d := differingBits(string(buf[:n]), question); d != 1 {
				t.Errorf("%d bits are turned over, want one", d)
			}
			i := bytes.IndexFunc(buf[:n], func(r rune) bool { return r != 0 })
			fmt.Fprintf(&fates, " %d:%x", i, buf[i])
		}
		seen = append(seen, fates.String())
	}
	if seen[0] != seen[1] || seen[0] == seen[2] {
		t.Errorf("by seed 7:%s\nand again:%s\nby seed 8:%s", seen[0], seen[1], seen[2])
	}
	for _, fate := range []string{" loss", " corrupt"} {
		if !strings.Contains(seen[0], fate) {
			t.Errorf("none of%s is%s", seen[0], fate)
		}
	}
}

// What is held back when the server ends is sent if it would be within a second, and counted as unsent if not. Answers that
// nobody holds back show that the ones before them are in the server.
func TestFaultDelayAtTheEnd(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/lab.yaml"
	if err := os.WriteFile(path, []byte(`
clock: 2000-01-01 frozen
rules:
  - {from: 127.0.0.2, faults: delay 1h}
  - {from: 127.0.0.3, faults: delay 900ms}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, host(), append([]string{"--config", path}, loopback...)...)
	never, soon := host().udp(t, "127.0.0.2:0", s.addr("time/udp")), host().udp(t, "127.0.0.3:0", s.addr("time/udp"))
	plain := host().udp(t, "127.0.0.1:0", s.addr("time/udp"))
	for _, conn := range []*net.UDPConn{never, soon} {
		if _, err := conn.Write(nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := request(t, plain, ""); got != frozenTime {
		t.Errorf("%q, want %q", got, frozenTime)
	}
	summary := s.stop()
	soon.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 16)
	if n, err := soon.Read(buf); err != nil || string(buf[:n]) != frozenTime {
		t.Errorf("%q (%v), want %q", buf[:n], err, frozenTime)
	}
	nothing(t, never)
	if a, u := counted(t, summary, "answered"), counted(t, summary, "unsent"); a != 2 || u != 1 {
		t.Errorf("%s, want 2 answered, 1 unsent", summary)
	}
}
