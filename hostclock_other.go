//go:build !linux

package yesterday

import "time"

// hostMaxError knows nothing: there is no one way to ask.
func hostMaxError() (time.Duration, bool) { return 0, false }
