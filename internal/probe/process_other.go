//go:build !linux

package probe

import (
	"errors"
	"time"
)

// A cpuTime is the CPU time that a process has used.
type cpuTime struct{}

func (cpuTime) since(cpuTime) time.Duration { return 0 }

func processTime(int) (cpuTime, error) {
	return cpuTime{}, errors.New("the CPU time of a process can be read on Linux alone")
}
