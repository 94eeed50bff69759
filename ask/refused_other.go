//go:build !windows

package ask

import (
	"errors"
	"syscall"
)

// refused tells whether err is a host's word that nothing listens on the port.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
