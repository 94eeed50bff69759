// Package cpus tells what there is to run on, and how long a process has.
package cpus

import (
	"os"
	"runtime"
	"strings"
)

// Several tells whether this host has another CPU for others while this process spins, whichever CPUs this process may use: the
// kernel's list of those that are online is not cut to the process, as runtime.NumCPU is.
func Several() bool {
	online, err := os.ReadFile("/sys/devices/system/cpu/online")
	return runtime.NumCPU() > 1 || err == nil && strings.TrimSpace(string(online)) != "0"
}
