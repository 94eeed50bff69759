//go:build linux

package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A netns is a network namespace, and a thread that lives in it: a socket made there or a program started there stays
// in that namespace. It has no name: the kernel takes it away with the last thread, socket and process in it, so none
// is left over, whatever becomes of the test. To look inside while a test runs: nsenter --net=PATH.
//
// The programs it starts are killed should this process die without having ended them.
type netns struct {
	work chan func()
	path string
}

// host is the namespace that the tests were started in.
var host = sync.OnceValue(func() *netns {
	n, err := startNetns(func() error { return nil })
	if err != nil {
		panic(err)
	}
	return n
})

// newNetns makes an empty namespace whose loopback is up. It lasts until the test ends.
func newNetns(t *testing.T) *netns {
	t.Helper()
	needRoot(t)
	n, err := startNetns(func() error { return unix.Unshare(unix.CLONE_NEWNET) })
	if err != nil {
		missing(t, "no network namespace to be had: %v", err)
	}
	t.Cleanup(func() { close(n.work) })
	n.ip(t, "link set lo up")
	return n
}

// startNetns starts the thread and lets it enter its namespace.
func startNetns(enter func() error) (*netns, error) {
	n := &netns{work: make(chan func())}
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := enter()
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		entered <- err
		for f := range n.work {
			f()
		}
	}()
	err := <-entered
	if err != nil {
		close(n.work)
	}
	return n, err
}

// do runs f on the namespace's thread. Sockets keep their namespace: f opens them, the test uses them anywhere.
func (n *netns) do(f func() error) error {
	done := make(chan error)
	n.work <- func() { done <- f() }
	return <-done
}

// start starts cmd in the namespace, to be killed when this process dies.
func (n *netns) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // of the thread that starts it, which lasts as long as the test
	return n.do(cmd.Start)
}

// run runs a command in the namespace to its end and returns what it wrote to both outputs.
func (n *netns) run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// mustRun is run for a command that has to succeed within half a minute.
func (n *netns) mustRun(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := n.run(ctx, stdin, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// ip runs ip(8) with the words of args.
func (n *netns) ip(t *testing.T, args string) {
	t.Helper()
	n.mustRun(t, "", need(t, "ip", "iproute2"), strings.Fields(args)...)
}

// link joins two namespaces by a veth pair without addresses: the end in n is called here, the other there.
func (n *netns) link(t *testing.T, here string, other *netns, there string) {
	t.Helper()
	n.ip(t, fmt.Sprintf("link add %s type veth peer name %s netns %s", here, there, other.path))
	// Link-local addresses come from the tests: one that the kernel makes is not usable for a second or two.
	n.ip(t, fmt.Sprintf("link set %s addrgenmode none up", here))
	other.ip(t, fmt.Sprintf("link set %s addrgenmode none up", there))
}

// addr gives a link its addresses.
func (n *netns) addr(t *testing.T, link string, addrs ...string) {
	t.Helper()
	for _, a := range addrs {
		flags := ""
		if strings.Contains(a, ":") {
			flags = " nodad" // usable at once
		}
		n.ip(t, fmt.Sprintf("addr add %s dev %s%s", a, link, flags))
	}
}

// udp opens a UDP socket in the namespace, closed when the test ends. An empty remote leaves it unconnected, an empty
// local lets the system choose.
func (n *netns) udp(t *testing.T, local, remote string) *net.UDPConn {
	t.Helper()
	resolve := func(s string) *net.UDPAddr {
		if s == "" {
			return nil
		}
		a, err := net.ResolveUDPAddr("udp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	laddr, raddr := resolve(local), resolve(remote)
	var conn *net.UDPConn
	err := n.do(func() (err error) {
		if raddr != nil {
			conn, err = net.DialUDP("udp", laddr, raddr)
		} else {
			network := "udp"
			if laddr != nil && laddr.IP.To4() != nil {
				network = "udp4" // else Go makes one socket for both of 0.0.0.0
			}
			conn, err = net.ListenUDP(network, laddr)
		}
		return err
	})
	if err != nil {
		t.Fatalf("a UDP socket from %q to %q: %v", local, remote, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// index returns the index of a link of the namespace: as a zone it is plain, while Go remembers the names of zones
// without regard to namespaces.
func (n *netns) index(t *testing.T, link string) int {
	t.Helper()
	var index int
	if err := n.do(func() error {
		i, err := net.InterfaceByName(link)
		if err == nil {
			index = i.Index
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return index
}

// tcp opens a TCP connection from the namespace, closed when the test ends.
func (n *netns) tcp(t *testing.T, remote string) *net.TCPConn {
	t.Helper()
	conn, err := n.dialTCP(t, remote)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// dialTCP is tcp where a failure may be what the test wants.
func (n *netns) dialTCP(t *testing.T, remote string) (*net.TCPConn, error) {
	t.Helper()
	raddr, err := net.ResolveTCPAddr("tcp", remote)
	if err != nil {
		t.Fatal(err)
	}
	var conn *net.TCPConn
	if err := n.do(func() (err error) {
		conn, err = net.DialTCP("tcp", nil, raddr)
		return err
	}); err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return conn, nil
}
