package timetest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/timetest"
)

func closeWrite(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// wantBroken says that writing fails as on a connection whose other end is gone.
func wantBroken(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := io.WriteString(conn, "x"); n != 0 || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %d, %v, want EPIPE", n, err)
	}
}

// A greeting comes when the connection is made, then the end; the server reads on for a second.
func TestMemoryGreets(t *testing.T) {
	inBubble(t, "1970-01-01 frozen", func(t *testing.T, s *timetest.Server) {
		conn := dial(t, s, "tcp", service.Time)
		if told := s.Exchanges(); len(told) != 1 || told[0].Transport != "tcp" || told[0].Answered != 4 {
			t.Errorf("%+v, want the exchange before anything was read", told)
		}
		if n, err := conn.Read(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		half := make([]byte, 3)
		if _, err := io.ReadFull(conn, half); err != nil || string(half) != "\x83\xaa\x7e" {
			t.Errorf("%x, %v", half, err)
		}
		wantRead(t, conn, "\x80", 0)
		wantError(t, conn, io.EOF, 0)
		time.Sleep(999 * time.Millisecond)
		write(t, conn, "still read")
		time.Sleep(time.Millisecond)
		wantBroken(t, conn)
		wantError(t, conn, io.EOF, 0)
	})
}

func TestMemoryGreetsLate(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		s.SetFaults("delay 40s") // longer than a connection may be silent
		daytime, echo := dial(t, s, "tcp", service.Daytime), dial(t, s, "tcp", service.Echo)
		write(t, daytime, "?")
		write(t, echo, "first")
		time.Sleep(20 * time.Second)
		write(t, echo, " and second")
		closeWrite(t, echo)
		wantRead(t, daytime, time.Now().Add(-20*time.Second).Local().Format("Mon Jan _2 15:04:05 2006")+"\r\n", 20*time.Second)
		wantRead(t, echo, "first and second", 0)
		wantError(t, echo, io.EOF, 0)
		wantBroken(t, echo)

		empty := dial(t, s, "tcp", service.Echo)
		closeWrite(t, empty)
		wantBroken(t, empty)
		wantError(t, empty, io.EOF, 40*time.Second)
	})
}

// An echo goes on as long as the client does, and 30 seconds of silence.
func TestMemoryStream(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		conn := dial(t, s, "tcp", service.Echo)
		for range 3 {
			time.Sleep(29 * time.Second)
			write(t, conn, "hello, ")
			write(t, conn, "world")
			wantRead(t, conn, "hello, world", 0)
		}
		wantError(t, conn, io.EOF, 30*time.Second)
		write(t, conn, "read, and no more")
		wantError(t, conn, io.EOF, 0)
		time.Sleep(time.Second)
		wantBroken(t, conn)

		conn = dial(t, s, "tcp", service.Echo)
		time.AfterFunc(time.Second, func() { closeWrite(t, conn) })
		wantError(t, conn, io.EOF, time.Second)
		closeWrite(t, conn)
		if told := s.Exchanges(); len(told) != 2 {
			t.Errorf("%d exchanges, want one a connection", len(told))
		}
		conn.Close()
		if err := conn.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, want net.ErrClosed", err)
		}
	})
}

// A connection that a fault meets is left open and silent, until the client ends it or says nothing for 30 seconds.
func TestMemorySilence(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		for _, text := range []string{"silence", "loss"} {
			s.SetFaults(text)
			for _, k := range []service.Kind{service.Time, service.Echo} {
				conn := dial(t, s, "tcp", k)
				conn.SetReadDeadline(time.Now().Add(20 * time.Second))
				wantError(t, conn, os.ErrDeadlineExceeded, 20*time.Second)
				write(t, conn, "?")
				conn.SetReadDeadline(time.Time{})
				wantError(t, conn, io.EOF, 30*time.Second)
				wantBroken(t, conn)

				// Its half-close is not heard otherwise than what it writes.
				conn = dial(t, s, "tcp", k)
				time.Sleep(20 * time.Second)
				closeWrite(t, conn)
				wantBroken(t, conn)
				wantError(t, conn, io.EOF, 30*time.Second)
				closeWrite(t, conn)
				wantError(t, conn, io.EOF, 0)
			}
		}
	})
}

// Who writes and does not read has to wait, as where buffers are full.
func TestMemoryWindow(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		const window = 256 << 10
		conn := dial(t, s, "tcp", service.Echo)
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		sent := strings.Repeat("0123456789abcdef", window/16)
		if n, err := io.WriteString(conn, sent+sent); n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v, want %d and no time left", n, err, window)
		}
		conn.SetWriteDeadline(time.Time{})
		var writing sync.WaitGroup
		writing.Go(func() {
			time.Sleep(time.Second)
			write(t, conn, sent)
			closeWrite(t, conn)
		})
		time.Sleep(10 * time.Second)
		got, err := io.ReadAll(conn)
		if string(got) != sent+sent || err != nil {
			t.Errorf("read %d bytes, %v, want the %d sent", len(got), err, 2*window)
		}
		writing.Wait()

		// After 30 seconds the server gives up.
		conn = dial(t, s, "tcp", service.Echo)
		write(t, conn, sent)
		begun := time.Now()
		write(t, conn, "lost")
		if took := time.Since(begun); took != 30*time.Second {
			t.Errorf("waited for %v, want 30s", took)
		}
		got, err = io.ReadAll(conn)
		if string(got) != sent || err != nil {
			t.Errorf("read %d bytes, %v, want %d", len(got), err, window)
		}
	})
}

// A server that goes away sends what is due soon, ends its connections, and refuses.
func TestMemoryServerCloses(t *testing.T) {
	inBubble(t, "now", func(t *testing.T, s *timetest.Server) {
		type asked struct {
			faults   string
			udp, tcp net.Conn
		}
		var all []asked
		for _, text := range []string{"delay 1s", "delay 1001ms", "loss 0%"} {
			s.SetFaults(text)
			a := asked{text, dial(t, s, "udp", service.Echo), dial(t, s, "tcp", service.Echo)}
			write(t, a.udp, "asked")
			write(t, a.tcp, "asked")
			all = append(all, a)
		}
		waiting := dial(t, s, "tcp", service.Echo)
		var reading sync.WaitGroup
		reading.Go(func() { wantError(t, waiting, io.EOF, 0) })
		synctest.Wait()
		s.Close()
		s.Close()
		reading.Wait()
		for _, a := range all {
			if a.faults != "delay 1001ms" {
				wantRead(t, a.udp, "asked", 0)
				wantRead(t, a.tcp, "asked", 0)
			}
			wantError(t, a.tcp, io.EOF, 0)
			wantBroken(t, a.tcp)
			a.udp.SetReadDeadline(time.Now().Add(time.Hour))
			wantError(t, a.udp, os.ErrDeadlineExceeded, time.Hour)
			a.udp.SetReadDeadline(time.Time{})
			write(t, a.udp, "anybody there?")
			wantError(t, a.udp, syscall.ECONNREFUSED, 0)
		}
		for _, network := range []string{"udp", "tcp"} {
			if _, err := s.Dial(network, s.Addr(service.Time)); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: %v, want it refused", network, err)
			}
		}
	})
}
