package probe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/yesterday-time/yesterday/internal/cpus"
)

// tick is the unit of times in /proc/PID/stat, which is the same on all of Go's platforms (USER_HZ).
const tick = 10 * time.Millisecond

// A cpuTime is the CPU time that a process has used, in itself and in the kernel on its behalf.
type cpuTime struct {
	exact  time.Duration // of the threads that it has now, to the nanosecond; 0 where the kernel does not tell
	coarse time.Duration // of all that it ever had: user's and kernel's ticks, each rounded down
}

// since is how much was used since before.
func (c cpuTime) since(before cpuTime) time.Duration {
	exact, coarse := c.exact-before.exact, c.coarse-before.coarse
	if c.exact == 0 || (exact-coarse).Abs() > 2*tick { // a thread ended in between
		return coarse
	}
	return exact
}

// processTime reads the CPU time of a process.
func processTime(pid int) (cpuTime, error) {
	coarse, err := ticks(pid)
	exact, _ := cpus.Ran(pid)
	return cpuTime{exact, coarse}, err
}

// ticks is the CPU time of a process in whole ticks.
func ticks(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("no process %d on this host", pid)
	}
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold spaces and parentheses; behind it, from the third field on, are none.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields behind the name, want at least 13", pid, len(fields))
	}
	var sum time.Duration
	for _, f := range fields[11:13] { // utime and stime: proc(5) counts them from 1, and the name is 2
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
