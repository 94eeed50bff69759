// Package ipv6 tells tests whether this host has IPv6.
package ipv6

import (
	"net"
	"os"
	"testing"
)

// Need skips the test where this host has no IPv6 loopback address, as in many containers. Under YESTERDAY_REQUIRE=1 the test
// fails there.
func Need(t testing.TB) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "[::1]:0")
	if err == nil {
		conn.Close()
		return
	}
	if os.Getenv("YESTERDAY_REQUIRE") == "1" {
		t.Fatalf("no IPv6 here: %v; YESTERDAY_REQUIRE=1 wants it", err)
	}
	t.Skipf("no IPv6 here: %v", err)
}
