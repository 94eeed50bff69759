//go:build linux

package integration

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/integration/peers"
)

// The ports that the measured servers have where they can be told one: ours those of its defaults, the others those behind, each
// its own, since all run at once.
const (
	peerEcho = 12315
	peerTime = 12345
	peerNTP  = 12431
)

// peerPorts are the ports of the n-th other server; of the 0th, which is ours, the defaults.
func peerPorts(n uint16) map[string]uint16 {
	return map[string]uint16{peers.NTP: peerNTP + n, peers.Time: peerTime + n, peers.Echo: peerEcho + n}
}

// A peer is a server that is measured.
type peer struct {
	peers.Server
	ports   map[string]uint16 // by service
	command func(r *route, service string) []string
	mute    bool // it prints a line a request
	settled bool // it answers at once, and with a time later
}

// findPeers returns all servers in the order in which they are told of, built into dir where they have to be. Those that
// cannot be had say why.
func findPeers(t *testing.T, dir string) []*peer {
	return []*peer{
		ourPeer(),
		ceilingPeer(t, dir),
		chronydPeer(t, dir),
		ntpsecPeer(t, dir),
		responderPeer(t, dir),
		plainPeer(t, dir),
		lessonPeer(t),
	}
}

// debianPeer is a server of Debian's, with the path of its binary.
func debianPeer(t *testing.T, s peers.Server, debian, binary string) (p *peer, path string) {
	p = &peer{Server: s}
	path, err := filepath.Abs(filepath.Join(".peers", debian, binary))
	if err == nil {
		_, err = exec.LookPath(path)
	}
	if err != nil {
		p.Absent = fmt.Sprintf("Debian's package %s is not unpacked in integration/.peers: make deps.", debian)
		return p, ""
	}
	p.Version = (&realClient{binary: ".peers/" + debian + "/" + binary, debian: debian}).version(t)
	return p, path
}

// builtPeer is a server that a compiler makes of what is at hand, with the path of its binary.
func builtPeer(t *testing.T, s peers.Server, dir, name string, compiler ...string) (p *peer, path string) {
	p, path = &peer{Server: s}, filepath.Join(dir, name)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, compiler[0], compiler[1:]...).CombinedOutput(); err != nil {
		p.Absent = fmt.Sprintf("%s: %v: %s", strings.Join(compiler, " "), err, strings.TrimSpace(string(out)))
	}
	return p, path
}

func ourPeer() *peer {
	version := "this tree's"
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	return &peer{
		Server: peers.Server{Name: peers.Ours, Version: version, Answers: []string{peers.NTP, peers.Time, peers.Echo},
			How: "yesterday serve; on loopback with --limit 1000000 --limit-loopback"},
		ports: peerPorts(0),
		command: func(r *route, _ string) []string {
			return append([]string{program, "serve"}, r.ours...)
		},
	}
}

func ceilingPeer(t *testing.T, dir string) *peer {
	p, path := builtPeer(t, peers.Server{Name: peers.Ceiling, Version: "this tree's", Answers: []string{peers.NTP},
		How: "ceiling PORT"}, dir, "ceiling", "gcc", "-O2", "-o", filepath.Join(dir, "ceiling"), "peers/ceiling/ceiling.c")
	p.ports = peerPorts(1)
	p.command = func(*route, string) []string { return []string{path, strconv.Itoa(int(p.ports[peers.NTP]))} }
	return p
}

// chronydPeer serves the host's own clock, which it leaves alone (-x; and it has not the right to set it).
func chronydPeer(t *testing.T, dir string) *peer {
	p, path := debianPeer(t, peers.Server{Name: peers.Chronyd, Answers: []string{peers.NTP},
		How: "chronyd -x -d -u root, with local stratum 1, allow"}, "chrony", "usr/sbin/chronyd")
	p.ports = peerPorts(2)
	conf := writeConf(t, dir, "chrony.conf", fmt.Sprintf("port %d\nlocal stratum 1\nallow\ncmdport 0\nbindcmdaddress /\npidfile %s/chronyd.pid\n",
		p.ports[peers.NTP], dir))
	p.command = func(*route, string) []string { return []string{path, "-x", "-d", "-u", "root", "-f", conf} }
	return p
}

// ntpsecPeer serves the host's own clock, which it leaves alone (disable ntp; and it has not the right to set it).
func ntpsecPeer(t *testing.T, dir string) *peer {
	p, path := debianPeer(t, peers.Server{Name: "ntpsec", Answers: []string{peers.NTP},
		How: "ntpd -n -N, with refclock local stratum 1, unrestrict default limited"}, "ntpsec", "usr/sbin/ntpd")
	p.ports = map[string]uint16{peers.NTP: 123} // it can have no other
	p.settled = true
	conf := writeConf(t, dir, "ntp.conf", fmt.Sprintf(
		"disable ntp\ndriftfile %s/drift\nstatsdir %[1]s/\nrefclock local stratum 1 prefer\nunrestrict default limited\n", dir)) // else it answers an address once a second
	p.command = func(*route, string) []string { return []string{path, "-n", "-N", "-c", conf} }
	return p
}

func responderPeer(t *testing.T, dir string) *peer {
	const tool = "github.com/facebook/time/cmd/ntpresponder"
	p, path := builtPeer(t, peers.Server{Name: "ntpresponder", Answers: []string{peers.NTP},
		How: "ntpresponder -manage-loopback=false -port PORT -ip ADDR"}, dir, "ntpresponder",
		"go", "build", "-o", filepath.Join(dir, "ntpresponder"), tool)
	if out, err := exec.Command("go", "list", "-f", "{{.Module.Version}}", tool).Output(); err == nil {
		p.Version = strings.TrimSpace(string(out))
	}
	p.ports = peerPorts(3)
	p.command = func(r *route, _ string) []string {
		return []string{path, "-manage-loopback=false", "-port", strconv.Itoa(int(p.ports[peers.NTP])), "-ip", r.addr.String()}
	}
	return p
}

func plainPeer(t *testing.T, dir string) *peer {
	p, path := builtPeer(t, peers.Server{Name: peers.PlainGo, Version: "this tree's", Answers: []string{peers.NTP, peers.Time, peers.Echo},
		How: "plain SERVICE 0.0.0.0:PORT"}, dir, "plain", "go", "build", "-o", filepath.Join(dir, "plain"), "./peers/plain")
	p.ports = peerPorts(4)
	p.command = func(_ *route, service string) []string {
		return []string{path, service, fmt.Sprintf("0.0.0.0:%d", p.ports[service])}
	}
	return p
}

func lessonPeer(t *testing.T) *peer {
	const python = "/usr/bin/python3"
	p := &peer{
		Server: peers.Server{Name: peers.Lesson, Answers: []string{peers.Time, peers.Echo}, How: "python3 server.py, python3 echo.py"},
		ports:  peerPorts(5),
		mute:   true,
	}
	out, err := exec.Command(python, "--version").Output()
	if err != nil {
		p.Absent = fmt.Sprintf("No %s here: make deps. (%v)", python, err)
	}
	p.Version = strings.TrimSpace(string(out))
	scripts := map[string]string{peers.Time: "server.py", peers.Echo: "echo.py"}
	p.command = func(_ *route, service string) []string {
		return []string{python, filepath.Join("testdata/lesson", scripts[service]), strconv.Itoa(int(p.ports[service]))}
	}
	return p
}

func writeConf(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A serving is a peer that runs.
type serving struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when the process has ended
}

// serve starts a peer on the server's core and waits until it answers.
func (r *route) serve(ctx context.Context, p *peer, service, dir string) (*serving, error) {
	argv := p.command(r, service)
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(r.cores.server)}, argv...)...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	name := filepath.Join(dir, "log."+strings.ReplaceAll(p.Name, "/", " "))
	if p.mute {
		name = os.DevNull
	}
	log, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	s := &serving{cmd: cmd, log: log, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	if err := r.server.start(cmd); err != nil {
		log.Close()
		return nil, err
	}
	go func() {
		cmd.Wait()
		close(s.ended)
	}()
	if err := s.await(ctx, r, p, service); err != nil {
		s.stop()
		said, _ := os.ReadFile(name)
		return nil, fmt.Errorf("%s does not answer %s: %w: %s", p.Name, service, err, strings.TrimSpace(string(said)))
	}
	return s, nil
}

// await asks until there is an answer.
func (s *serving) await(ctx context.Context, r *route, p *peer, service string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var conn net.Conn
	err := r.client.do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(r.addr, p.ports[service]).String())
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	question := map[string][]byte{peers.NTP: ntpRequest(4, 3, 1, 0), peers.Time: nil, peers.Echo: []byte("ready?")}[service]
	reply := make([]byte, 512)
	for {
		conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := 0, error(nil)
		if _, err = conn.Write(question); err == nil {
			n, err = conn.Read(reply)
		}
		switch {
		case err == nil && (!p.settled || n >= 48 && reply[1] > 0 && binary.BigEndian.Uint64(reply[40:]) > 0):
			return nil
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), err)
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended: %v", s.cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the peer.
func (s *serving) stop() {
	s.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(2 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
	}
	s.log.Close()
}
