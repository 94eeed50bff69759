package ask

import (
	"errors"
	"syscall"
)

// wsaeconnrefused is how a connection fails that was refused; the syscall package has no name for it.
const wsaeconnrefused = syscall.Errno(10061)

// refused tells whether err is a host's word that nothing listens on the port. For a UDP socket Windows calls that a
// reset connection.
func refused(err error) bool {
	return errors.Is(err, wsaeconnrefused) || errors.Is(err, syscall.WSAECONNRESET)
}
