//go:build !yesterday_portable

package probe

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// dropped is how many datagrams came to a socket so far and were not kept: its buffer was full. Kernels before 4.12 do not tell.
func dropped(fd int) uint64 {
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	if _, _, err := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0); err != 0 {
		return 0
	}
	return uint64(info[unix.SK_MEMINFO_DROPS])
}

// widen makes room for what comes to a socket, and leaves, while this program does not run. What there is none for is counted.
func widen(fd int) {
	const size = 8 << 20 // bytes
	mmsg.ReceiveBuffer(fd, size)
	mmsg.SendBuffer(fd, size)
}
