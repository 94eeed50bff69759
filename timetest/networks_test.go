package timetest_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
)

// What a client sees of a fault over TCP when it ends its side, and when the server goes away, is the same in memory as with
// sockets.
func TestNetworksAgree(t *testing.T) {
	const quiet = 10 * time.Millisecond
	for _, test := range []struct {
		name   string
		faults string
		kind   service.Kind
		asked  string
		half   bool   // the client ends its side
		silent bool   // nothing comes before the server goes away
		first  string // comes before the server goes away
		want   string // comes then, before the end
	}{
		{"silence", "silence", service.Time, "", false, true, "", ""},
		{"silence, half-closed", "silence", service.Time, "", true, true, "", ""},
		{"silence, asked and half-closed", "silence", service.Echo, "hello", true, true, "", ""},
		{"loss, half-closed", "loss", service.Echo, "", true, true, "", ""},
		{"an echo", "loss 0%", service.Echo, "", false, true, "", ""},
		{"an echo, half-closed", "loss 0%", service.Echo, "hello", true, false, "hello", ""},
		{"due soon", "delay 800ms", service.Echo, "hello", false, false, "", "hello"},
		{"due soon, half-closed", "delay 800ms", service.Echo, "hello", true, false, "", "hello"},
		{"due soon, without a question", "delay 800ms", service.Echo, "", true, false, "", ""},
		{"a time due soon", "delay 800ms", service.Time, "hello", false, false, "", "\x83\xaa\x7e\x80"},
		{"due later", "delay 1h", service.Echo, "hello", false, true, "", ""},
		{"due later, half-closed", "delay 1h", service.Echo, "hello", true, true, "", ""},
		{"a time due later, half-closed", "delay 1h", service.Time, "", true, true, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			both(t, "1970-01-01 frozen", func(t *testing.T, s *timetest.Server) {
				s.SetFaults(test.faults)
				conn := dial(t, s, "tcp", test.kind)
				dial(t, s, "tcp", test.kind)
				for len(s.Exchanges()) < 2 { // with the second accepted, the first is open
					runtime.Gosched()
				}
				write(t, conn, test.asked)
				if test.half {
					closeWrite(t, conn)
				}
				if got := make([]byte, len(test.first)); len(got) > 0 {
					if _, err := io.ReadFull(conn, got); err != nil || string(got) != test.first {
						t.Errorf("read %q, %v, want %q", got, err, test.first)
					}
				}
				if test.silent {
					conn.SetReadDeadline(time.Now().Add(quiet))
					if got, err := read(conn); got != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("read %q, %v, want silence", got, err)
					}
				}
				s.Close()
				conn.SetReadDeadline(time.Now().Add(patience))
				if got, err := io.ReadAll(conn); string(got) != test.want || err != nil {
					t.Errorf("read %q, %v, want %q and the end", got, err, test.want)
				}
			})
		})
	}
}
