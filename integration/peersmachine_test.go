//go:build linux

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/integration/peers"
	"github.com/yesterday-time/yesterday/internal/cpus"
)

// busy is how long a core has worked since the machine started, in whatever it is: programs, the kernel, interrupts.
func busy(core int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	name := fmt.Sprintf("cpu%d ", core)
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, name) {
			continue
		}
		// proc(5): user, nice, system, idle, iowait, irq, softirq, steal, and guest times that are in the first two.
		var sum time.Duration
		for i, field := range strings.Fields(line)[1:] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/stat: %w", err)
			}
			if i < 3 || i == 5 || i == 6 {
				sum += time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100 on all that Go runs on
			}
		}
		return sum, nil
	}
	return 0, fmt.Errorf("/proc/stat has no line %q", name)
}

// machine tells of this one.
func machine(t *testing.T) peers.Machine {
	t.Helper()
	m := peers.Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: runtime.GOARCH, System: "Linux"}
	if value, ok := lineOf("/proc/cpuinfo", "model name", ":"); ok {
		m.CPU = value
	}
	if value, ok := lineOf("/etc/os-release", "PRETTY_NAME", "="); ok {
		m.System = strings.Trim(value, `"`)
	}
	if value, ok := lineOf("/proc/meminfo", "MemTotal", ":"); ok {
		n, _ := strconv.ParseUint(strings.TrimSuffix(value, " kB"), 10, 64)
		m.Memory = n << 10
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	m.Kernel = unix.ByteSliceToString(u.Release[:])
	if out, err := exec.Command("gcc", "--version").Output(); err == nil {
		m.C, _, _ = strings.Cut(string(out), "\n")
	} else {
		m.C = "no C compiler"
	}
	return m
}

// lineOf finds what stands behind a key in a file.
func lineOf(path, key, separator string) (string, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(text)) {
		if k, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

func TestCPUMask(t *testing.T) {
	for core, want := range map[int]string{0: "1", 1: "2", 31: "80000000", 32: "1,00000000", 69: "20,00000000,00000000"} {
		if got := cpuMask(core); got != want {
			t.Errorf("core %d: %q, want %q", core, got, want)
		}
	}
}

// In as many rounds as there are servers each is once at each place.
func TestRotated(t *testing.T) {
	list := []string{"a", "b", "c"}
	var lines []string
	for i := range 4 {
		lines = append(lines, strings.Join(rotated(list, i), ""))
	}
	if got, want := strings.Join(lines, " "), "abc bca cab abc"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What the harness reads in /proc moves as it should: a core and a process have worked no less later on.
func TestWorkIsRead(t *testing.T) {
	own, err := cpus.Ran(os.Getpid())
	if err != nil {
		t.Skip(err) // a kernel without CONFIG_SCHED_INFO
	}
	core, err := busy(0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := busy(0)
	if err != nil {
		t.Fatal(err)
	}
	if own <= 0 || core <= 0 || again < core {
		t.Errorf("this process ran %v, core 0 worked %v and then %v", own, core, again)
	}
}
