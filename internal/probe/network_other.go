//go:build !linux || yesterday_portable

package probe

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A watch is sockets, each read by a goroutine. No datagram is stamped: the time of reading has to do.
type watch struct {
	server  netip.AddrPort
	came    chan arrival
	ended   chan struct{}
	readers sync.WaitGroup
	sockets map[uint64]*net.UDPConn // by handle
}

func connectTo(server netip.AddrPort) (network, error) {
	return &watch{server: server, came: make(chan arrival, 256), ended: make(chan struct{}), sockets: make(map[uint64]*net.UDPConn)}, nil
}

func (w *watch) arrivals() <-chan arrival { return w.came }

func (w *watch) open(handle uint64) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(w.server))
	if err != nil {
		return err
	}
	w.sockets[handle] = conn
	w.readers.Go(func() { w.read(handle, conn) })
	return nil
}

func (w *watch) send(handle, _ uint64, data []byte) (before time.Time, err error) {
	before = time.Now()
	_, err = w.sockets[handle].Write(data)
	return before, err
}

func (w *watch) shut(handle uint64) {
	if conn := w.sockets[handle]; conn != nil {
		conn.Close()
		delete(w.sockets, handle)
	}
}

// overflow is not known: there is no one way to ask.
func (w *watch) overflow() uint64 { return 0 }

func (w *watch) close() {
	close(w.ended)
	for handle := range w.sockets {
		w.shut(handle)
	}
	w.readers.Wait()
}

// read passes on what comes until the socket is shut.
func (w *watch) read(handle uint64, conn *net.UDPConn) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buffer)
		a := arrival{handle: handle, at: time.Now(), err: err}
		if err == nil {
			a.data = bytes.Clone(buffer[:n])
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case w.came <- a:
		case <-w.ended:
			return
		}
		if err != nil && !refused(err) {
			return
		}
	}
}
