package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version names the program, the module's version or the commit it was built from, and Go's.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "yesterday (unknown build)"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("yesterday %s %s %s/%s", v, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
