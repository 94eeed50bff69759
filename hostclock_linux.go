package yesterday

import (
	"time"

	"golang.org/x/sys/unix"
)

// hostMaxError returns the kernel's bound on the error of its clock, and false where nobody keeps that clock.
func hostMaxError() (time.Duration, bool) {
	var t unix.Timex // no mode: it is read, never set
	state, err := unix.Adjtimex(&t)
	if err != nil || state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return 0, false
	}
	return time.Duration(t.Maxerror) * time.Microsecond, true
}
