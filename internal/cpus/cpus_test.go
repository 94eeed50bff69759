package cpus

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// A process that may use but one of several CPUs knows of the others.
func TestSeveral(t *testing.T) {
	if os.Getenv("ON_ONE_CPU") != "" {
		if n := runtime.NumCPU(); n != 1 || !Several() {
			t.Errorf("on one of several CPUs: NumCPU %d, Several %v", n, Several())
		}
		return
	}
	if runtime.NumCPU() < 2 {
		t.Skip("this process may use but one CPU")
	}
	if !Several() {
		t.Error("several CPUs are not told")
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		t.Skip("needs taskset: ", err)
	}
	status, err := os.ReadFile("/proc/self/status")
	allowed := regexp.MustCompile(`Cpus_allowed_list:\s*(\d+)`).FindSubmatch(status)
	if allowed == nil {
		t.Skip("which CPUs this process may use is not told: ", err)
	}
	cmd := exec.CommandContext(t.Context(), taskset, "-c", string(allowed[1]), os.Args[0], "-test.run=^TestSeveral$")
	cmd.Env = append(os.Environ(), "ON_ONE_CPU=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// What a process has run grows as it runs, and no other process's time is told for it.
func TestRan(t *testing.T) {
	before, err := Ran(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	for after, end := before, time.Now().Add(10*time.Second); after <= before; {
		if after, err = Ran(os.Getpid()); err != nil || after < 0 || time.Now().After(end) {
			t.Fatalf("%v after %v, %v", after, before, err)
		}
	}
	if ran, err := Ran(1 << 30); err == nil || ran != 0 {
		t.Errorf("a process that is none has run %v", ran)
	}
}
