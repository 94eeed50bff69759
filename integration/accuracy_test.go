//go:build linux

package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asAccurate is how much further off than chronyd's the median answer of ours may be.
const asAccurate = 5 * time.Microsecond

// BenchmarkAccuracy asks this server, on the clock "now", and chronyd in turn, on one host, so that each offset that is
// measured is an error. The asker's stamps are the kernel's, so that its own scheduling is no part of it.
//
//	go test -run '^$' -bench Accuracy -benchtime 200x -count 5
func BenchmarkAccuracy(b *testing.B) {
	ns := newNetns(b)
	chronyd := startChronyd(b, ns)
	s := serve(b, ns, "--clock", "now", "--quiet", "ntp=127.0.0.1:0")
	type server struct {
		name            string
		conn            *stampedConn
		offsets, delays []time.Duration
	}
	servers := []*server{{name: "ours", conn: dialStamped(b, ns, s.bound["ntp/udp"])}, {name: "chronyd", conn: dialStamped(b, ns, chronyd)}}
	for _, s := range servers {
		warmUp(b, s.name, s.conn)
	}
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		for j := range servers {
			s := servers[(i+j)%2]
			offset, delay, err := s.conn.exchange(uint64(i + 1))
			if err != nil {
				b.Fatalf("%s: %v", s.name, err)
			}
			s.offsets, s.delays = append(s.offsets, offset.Abs()), append(s.delays, delay)
		}
	}
	b.StopTimer()
	median := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)/2]
	}
	ours, theirs := median(servers[0].offsets), median(servers[1].offsets)
	b.ReportMetric(0, "ns/op") // says nothing here
	b.ReportMetric(float64(ours), "ours-ns")
	b.ReportMetric(float64(theirs), "chronyd-ns")
	b.ReportMetric(float64(ours-theirs), "difference-ns")
	b.ReportMetric(float64(median(servers[0].delays)), "our-delay-ns")
	b.ReportMetric(float64(median(servers[1].delays)), "chronyd-delay-ns")
	if len(servers[0].offsets) >= 100 && ours > theirs+asAccurate {
		b.Errorf("the median error is %v, chronyd's %v: want no more than %v beyond it", ours, theirs, asAccurate)
	}
}

// warmUp asks until a server answers, as chronyd binds its port at some time after its start, and then until both have gone
// their ways often enough to be measured.
func warmUp(b *testing.B, name string, conn *stampedConn) {
	b.Helper()
	deadline := time.Now().Add(patience)
	for answers := 0; answers < 100; {
		_, _, err := conn.exchange(0)
		switch {
		case err == nil:
			answers++
		case time.Now().After(deadline):
			b.Fatalf("%s does not answer: %v", name, err)
		default:
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// startChronyd starts chronyd as a server of the host's own clock, which it leaves alone (-x; and it has not the right to set
// it). It answers on the loopback of the namespace, and takes no commands.
func startChronyd(b testing.TB, ns *netns) netip.AddrPort {
	b.Helper()
	path, err := (&realClient{binary: ".peers/chrony/usr/sbin/chronyd", debian: "chrony"}).path()
	if err != nil {
		missing(b, "%v", err)
	}
	dir := b.TempDir()
	addr := netip.MustParseAddrPort("127.0.0.1:1123")
	conf := filepath.Join(dir, "chrony.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `port %d
bindaddress %v
allow 127.0.0.0/8
local stratum 1
cmdport 0
bindcmdaddress /
pidfile %s/pid
`, addr.Port(), addr.Addr(), dir), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(path, "-x", "-d", "-u", "root", "-f", conf)
	var out transcript
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.start(cmd); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
		if b.Failed() {
			b.Logf("chronyd: %s", &out)
		}
	})
	return addr
}

// A stampedConn is a UDP socket to a server, of whose datagrams the kernel stamps the times at which they are sent and
// received.
type stampedConn struct {
	fd   int
	sent uint32 // datagrams
}

func dialStamped(b *testing.B, ns *netns, to netip.AddrPort) *stampedConn {
	b.Helper()
	c := new(stampedConn)
	if err := ns.do(func() (err error) {
		c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(c.fd) })
	const stamps = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
		unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY
	if err := errors.Join(
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, stamps),
		unix.Connect(c.fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}),
	); err != nil {
		b.Fatal(err)
	}
	return c
}

// exchange asks once and returns the offset and the delay of RFC 5905, section 8, by the kernel's stamps.
func (c *stampedConn) exchange(cookie uint64) (offset, delay time.Duration, err error) {
	id := c.sent
	if _, err := unix.Write(c.fd, ntpRequest(4, 3, cookie, 0)); err != nil {
		return 0, 0, err
	}
	c.sent++
	buf := make([]byte, 128)
	n, received, _, err := c.receive(buf, 0)
	if err != nil {
		return 0, 0, err
	}
	if n != 48 || binary.BigEndian.Uint64(buf[24:]) != cookie {
		return 0, 0, fmt.Errorf("%d bytes, origin %x, want 48 and %x", n, buf[24:32], cookie)
	}
	var sent time.Time
	for of := id - 1; of != id; { // there may be those of requests that were not answered
		if _, sent, of, err = c.receive(nil, unix.MSG_ERRQUEUE); err != nil {
			return 0, 0, fmt.Errorf("no stamp of what was sent: %w", err)
		}
	}
	instant := func(b []byte) time.Time {
		return time.Unix(int64(binary.BigEndian.Uint32(b))-2_208_988_800, int64(uint64(binary.BigEndian.Uint32(b[4:]))*1e9>>32))
	}
	there, back := instant(buf[32:]), instant(buf[40:])
	return (there.Sub(sent) + back.Sub(received)) / 2, received.Sub(sent) - back.Sub(there), nil
}

// receive waits for a datagram and its stamp, or from the error queue for the stamp of one that was sent, and which it was.
func (c *stampedConn) receive(buf []byte, flags int) (n int, stamp time.Time, id uint32, err error) {
	var oob [256]byte
	var oobn int
	for deadline := time.Now().Add(2 * time.Second); ; {
		if n, oobn, _, _, err = unix.Recvmsg(c.fd, buf, oob[:], flags); err != unix.EAGAIN || time.Now().After(deadline) {
			break
		}
		events := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if flags&unix.MSG_ERRQUEUE != 0 {
			events[0].Events = 0 // POLLERR is always looked for
		}
		unix.Poll(events, 100)
	}
	if err != nil {
		return 0, time.Time{}, 0, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return 0, time.Time{}, 0, err
	}
	for _, m := range messages {
		switch {
		// struct scm_timestamping64: three times seconds and nanoseconds, of which the first is the software's.
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPING_NEW && len(m.Data) >= 16:
			stamp = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		// struct sock_extended_err, which ends in its ee_data.
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_RECVERR && len(m.Data) >= 16:
			id = binary.NativeEndian.Uint32(m.Data[12:])
		}
	}
	if stamp.IsZero() {
		return 0, time.Time{}, 0, errors.New("no kernel stamp")
	}
	return n, stamp, id, nil
}
