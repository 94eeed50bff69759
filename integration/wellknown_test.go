//go:build linux

package integration

import (
	"os"
	"regexp"
	"testing"
	"time"
)

// Clients that can't be told another port: the server takes the well-known ones, in a network of its own.
func TestWellKnownPorts(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	srv.addr(t, "eth0", "10.1.0.1/24", "fe80::1/64")
	cli.addr(t, "eth0", "10.1.0.9/24", "fe80::9/64")
	s := serve(t, srv, "--port-offset", "0")
	hardWired(t, cli, "10.1.0.1")
	// The program's own client knows the names of these ports where the system has no list of them.
	for _, host := range []string{"10.1.0.1", "[fe80::1%eth0]"} {
		before := time.Now()
		told := cli.mustRun(t, "", program, "ask", "--utc", host+":time")
		behind(t, ctime(time.ANSIC)(t, told), before, time.Now())
	}
	t.Run("lesson", func(t *testing.T) {
		if _, err := os.Stat("/etc/services"); err != nil {
			missing(t, "no /etc/services here, in which Python looks the name up: apt-get install netbase")
		}
		before := time.Now()
		told := cli.mustRun(t, "\n", systemPython(t), "testdata/lesson/client.py", "10.1.0.1", "time")
		behind(t, ctime(time.ANSIC)(t, told), before, time.Now())
	})
	if got := cli.mustRun(t, "", program, "ask", "--send", "hi", "10.1.0.1:echo"); got != "hi\n" {
		t.Errorf("echo printed %q", got)
	}
	s.stop()
}

// Or the firewall leads port 37 to where the server is, as the README says.
func TestRedirectedPort(t *testing.T) {
	t.Parallel()
	srv, cli := pair(t)
	need(t, "nft", "nftables")
	srv.addr(t, "eth0", "10.1.0.1/24")
	cli.addr(t, "eth0", "10.1.0.9/24")
	s := serve(t, srv)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^\s*nft add .*$`).FindAllString(string(readme), -1)
	if len(commands) == 0 {
		t.Fatal("the README has no nft commands")
	}
	for _, command := range commands {
		srv.mustRun(t, "", "sh", "-c", command)
	}
	hardWired(t, cli, "10.1.0.1")
	s.stop()
}

// hardWired asks by a real client that is told no port.
func hardWired(t *testing.T, ns *netns, host string) {
	t.Helper()
	rdate := need(t, "rdate", "rdate")
	for _, args := range [][]string{{"-p", host}, {"-u", "-p", host}} {
		before := time.Now()
		out := ns.mustRun(t, "", rdate, args...)
		behind(t, ctime("Mon Jan _2 15:04:05 MST 2006")(t, out), before, time.Now())
	}
}
