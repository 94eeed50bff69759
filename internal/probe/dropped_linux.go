//go:build !yesterday_portable

package probe

import (
	"unsafe"

	"golang.org/x/sys/unix"
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

// widen asks for room for what comes to a socket, and leaves, while this program does not run. Beyond net.core's limits only the
// administrator may go; less is no failure, since what is lost by it is counted.
func widen(fd int) {
	const size = 8 << 20 // bytes
	for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], size) != nil {
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], size)
		}
	}
}
