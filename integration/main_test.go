//go:build linux

package integration

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program is the built cmd/yesterday; YESTERDAY_RACE=1 builds it with the race detector, which then fails what it finds.
var (
	program string
	race    = os.Getenv("YESTERDAY_RACE") == "1"
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	// Most of these tests wait, for programs or for a moment to come: as many at once as there are cores would be too few.
	flag.Parse()
	if !slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.parallel=") }) {
		flag.Set("test.parallel", "8")
	}
	dir, err := os.MkdirTemp("", "yesterday-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // one test runs the program as nobody
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "yesterday")
	args := []string{"build", "-o", program}
	if race {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "./cmd/yesterday")...)
	build.Dir = ".."
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building cmd/yesterday:", err)
		return 1
	}
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") // where Debian has rdate, ip and nft, and users do not look
	return m.Run()
}

// missing skips the test, or fails it where everything is required to be there.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("YESTERDAY_REQUIRE") == "1" {
		t.Fatalf(format+"; YESTERDAY_REQUIRE=1 wants it", args...)
	}
	t.Skipf(format, args...)
}

// need returns the path of a client's binary, or skips the test naming the Debian package that has it.
func need(t testing.TB, binary, debian string) string {
	t.Helper()
	path, err := exec.LookPath(binary)
	if err != nil {
		missing(t, "no %s here: apt-get install %s, or make deps", binary, debian)
	}
	return path
}

// needIPv6 skips the test where there is no IPv6 loopback, as in many containers.
func needIPv6(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		missing(t, "no IPv6 here: %v", err)
	}
	l.Close()
}

// needRoot skips the test unless root runs it.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root: raw sockets and network namespaces")
	}
}
