package probe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of times in /proc, which is the same on all of Go's platforms (USER_HZ).
const tick = 10 * time.Millisecond

// processTime is the CPU time that a process has used, in itself and in the kernel on its behalf.
func processTime(pid int) (time.Duration, error) {
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
