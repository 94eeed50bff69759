//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A measured is what ping and bench say in JSON, as far as it is looked at.
type measured struct {
	Sent, Received, Answered, Late, Lost, Pending uint64
	Duplicated, Doubled, Reordered                uint64
	Corrupted, Wrong, Stray, Refused, Unsent      uint64
	Min                                           float64 `json:"min_us"`
	Median                                        float64 `json:"median_us"`
	Max                                           float64 `json:"max_us"`
	Kernel                                        uint64  `json:"kernel_stamped"`
	Offset                                        struct {
		Best float64 `json:"best_seconds"`
	}
	Latency struct {
		Min    float64 `json:"min_us"`
		Median float64 `json:"median_us"`
		Max    float64 `json:"max_us"`
	}
}

// measure runs `yesterday args --json` in a namespace and reads the last object that it prints.
func measure(t *testing.T, ns *netns, args ...string) (m measured) {
	t.Helper()
	out := strings.TrimSpace(ns.mustRun(t, "", program, append(args, "--json")...))
	last := out[strings.LastIndexByte(out, '\n')+1:]
	if err := json.Unmarshal([]byte(last), &m); err != nil {
		t.Fatalf("%v: %v: %s", args, err, last)
	}
	return m
}

// foreign starts a server that nobody here wrote, in a namespace, and waits until it answers what ask is told to ask.
func foreign(t *testing.T, ns *netns, asks []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out transcript
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true} // with all that it forks
	if err := ns.start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, &out)
		}
	})
	for deadline := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		said, err := ns.run(ctx, "", program, append([]string{"ask", "--timeout", "100ms"}, asks...)...)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %s", name, said)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// allAnswered fails the test where a measurement of a healthy server on loopback says otherwise. Late is what a busy machine
// makes of a reply.
func allAnswered(t *testing.T, m measured, sent uint64) {
	t.Helper()
	if m.Sent != sent || m.Received+m.Answered+m.Late != sent || m.Lost+m.Pending+m.Duplicated+m.Doubled+m.Corrupted+m.Wrong+m.Stray+m.Refused+m.Unsent != 0 {
		t.Errorf("%+v, want %d sent and good", m, sent)
	}
}

// ping against the echo of socat, which starts a process for each source port.
func TestPingSocat(t *testing.T) {
	t.Parallel()
	ns := newNetns(t)
	foreign(t, ns, []string{"--service", "echo", "--send", "hi", "127.0.0.1:7007"}, need(t, "socat", "socat"), "UDP4-LISTEN:7007,fork", "PIPE")
	m := measure(t, ns, "ping", "-c", "20", "--interval", "20ms", "--timeout", "10s", "127.0.0.1:7007")
	allAnswered(t, m, 20)
	if m.Kernel < 15 || m.Min <= 0 || m.Min > m.Median || m.Median > m.Max {
		t.Errorf("%+v: want most round trips stamped by the kernel", m)
	}
	allAnswered(t, measure(t, ns, "ping", "-c", "5", "--interval", "20ms", "--timeout", "10s", "--size", "1000", "127.0.0.1:7007"), 5)
}

// ping and bench against chronyd, whose clock is this host's.
func TestProbeChronyd(t *testing.T) {
	t.Parallel()
	ns := newNetns(t)
	addr := startChronyd(t, ns).String()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := ns.run(t.Context(), "", program, "ask", "--service", "ntp", "--timeout", "100ms", addr); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("chronyd does not answer: %v", err)
		}
	}
	m := measure(t, ns, "ping", "--service", "ntp", "-c", "100", "--interval", "2ms", "--timeout", "10s", addr)
	allAnswered(t, m, 100)
	// The offset of the quickest is wrong by at most half of its round trip, and by chronyd's precision.
	if off := math.Abs(m.Offset.Best) * 1e6; off > m.Min/2+5 {
		t.Errorf("offset %v s with a round trip of %v µs", m.Offset.Best, m.Min)
	}
	m = measure(t, ns, "bench", "--service", "ntp", "--rate", "1000", "--duration", "500ms", "--timeout", "10s", addr)
	allAnswered(t, m, 500)
	if m.Latency.Min <= 0 || m.Latency.Median > m.Latency.Max {
		t.Errorf("%+v", m)
	}
	m = measure(t, ns, "bench", "--service", "ntp", "--max", "--window", "4", "--sources", "127.1.0.0/24", "--duration", "200ms", "--timeout", "10s", addr)
	allAnswered(t, m, m.Sent)
	if m.Sent < 10 {
		t.Errorf("%d sent", m.Sent)
	}
}

// unpacked returns the path of a daemon in integration/.peers.
func unpacked(t *testing.T, debian, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(".peers", debian, path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(path); err != nil {
		missing(t, "%s is not in integration/.peers: make deps", debian)
	}
	return path
}

// smallServices are those of inetd that are asked here.
var smallServices = []string{"echo", "daytime", "time"}

// config writes a file that lasts as long as the test.
func config(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The small services of xinetd, on their well-known ports.
func TestProbeXinetd(t *testing.T) {
	t.Parallel()
	ns := newNetns(t)
	var lines strings.Builder
	lines.WriteString("defaults\n{\n\tinstances = UNLIMITED\n\tper_source = UNLIMITED\n\tcps = 1000000 1\n}\n")
	for _, service := range smallServices {
		fmt.Fprintf(&lines, "service %s\n{\n\ttype = INTERNAL\n\tsocket_type = dgram\n\tprotocol = udp\n\tuser = root\n\twait = yes\n}\n", service)
	}
	conf := config(t, lines.String())
	foreign(t, ns, []string{"127.0.0.1:time"}, unpacked(t, "xinetd", "usr/sbin/xinetd"), "-dontfork", "-filelog", "/dev/stderr",
		"-pidfile", conf+".pid", "-f", conf)
	// It throws away what waits in a socket that it has just answered on. The kernel has counted what it sent.
	for _, args := range [][]string{
		{"ping", "-c", "100", "--interval", "2ms", "127.0.0.1:echo"},
		{"ping", "-c", "100", "--interval", "2ms", "127.0.0.1:daytime"},
		{"ping", "-c", "100", "--interval", "2ms", "127.0.0.1:time"},
		{"bench", "--rate", "500", "--duration", "200ms", "127.0.0.1:echo"},
		{"bench", "--rate", "500", "--duration", "200ms", "--sources", "127.1.0.0/24", "--clock", "now", "127.0.0.1:time"},
	} {
		before := datagramsSent(t, ns)
		m := measure(t, ns, append(args, "--timeout", "2s")...)
		replies := datagramsSent(t, ns) - before - m.Sent
		good := m.Received + m.Answered + m.Late
		if args[0] == "ping" && good != replies || good > replies || good+20 < replies { // bench has asked once beforehand, or some times
			t.Errorf("%v: %d good replies, xinetd sent %d", args, good, replies)
		}
		if m.Sent != 100 || good+m.Lost != 100 || good == 0 || m.Pending+m.Duplicated+m.Doubled+m.Corrupted+m.Wrong+m.Stray+m.Refused+m.Unsent != 0 {
			t.Errorf("%v: %+v", args, m)
		}
	}
}

// datagramsSent is how many UDP datagrams of IPv4 were sent in a namespace, by anybody.
func datagramsSent(t *testing.T, ns *netns) uint64 {
	t.Helper()
	text := ns.mustRun(t, "", "cat", "/proc/net/snmp")
	m := regexp.MustCompile(`(?m)^Udp: (\d+) (\d+) (\d+) (\d+) `).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no counters of UDP in %s", text)
	}
	n, err := strconv.ParseUint(m[4], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The inetd of GNU inetutils answers for the time with eight bytes where a long has as many, which is no answer.
func TestProbeInetd(t *testing.T) {
	t.Parallel()
	ns := newNetns(t)
	var lines strings.Builder
	for _, service := range smallServices {
		fmt.Fprintf(&lines, "%s dgram udp4 wait root internal\n", service)
	}
	conf := config(t, lines.String())
	foreign(t, ns, []string{"127.0.0.1:daytime"}, unpacked(t, "inetutils-inetd", "usr/sbin/inetutils-inetd"), "-d", "-R", "1000000", "-p"+conf+".pid", conf)
	for _, service := range []string{"echo", "daytime"} {
		allAnswered(t, measure(t, ns, "ping", "-c", "50", "--interval", "2ms", "--timeout", "5s", "127.0.0.1:"+service), 50)
	}
	allAnswered(t, measure(t, ns, "bench", "--rate", "500", "--duration", "200ms", "--timeout", "10s", "127.0.0.1:echo"), 100)
	if strconv.IntSize < 64 {
		return
	}
	out, err := ns.run(t.Context(), "", program, "ping", "-c", "3", "--interval", "1ms", "--timeout", "100ms", "127.0.0.1:time")
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || !strings.Contains(out, "3 lost (100%), 0 duplicated, 0 reordered, 3 corrupted") {
		t.Errorf("a time of eight bytes: %v\n%s", err, out)
	}
}

// On a path that loses replies at random what ping and bench say was lost is what the firewall says that it dropped, and that is
// about as much as it was told to drop.
func TestProbeLossyPath(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"ping", "--service", "echo", "-c", "2000", "--interval", "1ms", "--timeout", "1s"},
		{"ping", "--service", "time", "-c", "2000", "--interval", "1ms", "--timeout", "1s"},
		{"bench", "--service", "ntp", "--rate", "2000", "--duration", "1s", "--timeout", "2s"},
		{"bench", "--service", "time", "--rate", "2000", "--duration", "1s", "--timeout", "2s", "--sources", "127.1.0.0/20"},
	} {
		t.Run(args[0]+" "+args[2], func(t *testing.T) {
			t.Parallel()
			ns := newNetns(t)
			nft := need(t, "nft", "nftables")
			s := serve(t, ns, "--quiet", args[2]+"=127.0.0.1:5000")
			addr := netip.MustParseAddrPort(s.addr(args[2] + "/udp"))
			ns.mustRun(t, "", nft, "add table ip lossy { chain in { type filter hook input priority 0; }; }")
			ns.mustRun(t, "", nft, fmt.Sprintf("add rule ip lossy in udp sport %d numgen random mod 10 == 0 counter drop", addr.Port()))
			m := measure(t, ns, append(args, addr.String())...)
			listed := ns.mustRun(t, "", nft, "list", "table", "ip", "lossy")
			counter := regexp.MustCompile(`counter packets (\d+)`).FindStringSubmatch(listed)
			if counter == nil {
				t.Fatalf("no counter in %s", listed)
			}
			dropped, err := strconv.ParseUint(counter[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if m.Sent != 2000 || m.Pending+m.Duplicated+m.Doubled+m.Corrupted+m.Wrong+m.Unsent != 0 || m.Received+m.Answered+m.Late+m.Lost != 2000 {
				t.Errorf("%+v", m)
			}
			// bench has asked once beforehand, or more often where that was dropped.
			if m.Lost > dropped || args[0] == "ping" && m.Lost != dropped || dropped > m.Lost+5 {
				t.Errorf("%d lost, the firewall dropped %d", m.Lost, dropped)
			}
			// Six standard deviations: once in 500 million runs.
			if mean, deviation := 200.0, math.Sqrt(2000*0.1*0.9); math.Abs(float64(m.Lost)-mean) > 6*deviation {
				t.Errorf("%d lost of 2000, want 200 ± %.0f", m.Lost, 6*deviation)
			}
		})
	}
}
