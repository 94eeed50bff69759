//go:build !linux

package probe

import (
	"errors"
	"time"
)

func processTime(int) (time.Duration, error) {
	return 0, errors.New("the CPU time of a process can be read on Linux alone")
}
