//go:build !yesterday_portable

package probe

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/internal/mmsg"
)

// A batch is datagrams to send, or to receive into, all from or to one socket. Everything a message points to lives as long
// as the batch and is reached from it.
type batch struct {
	messages [batchSize]mmsg.Message
	names    [batchSize]mmsg.Sockaddr
	controls [batchSize][mmsg.ControlRoom]byte
	vectors  [batchSize]unix.Iovec
	buffers  [batchSize][]byte
}

// newBatch makes room for datagrams of size bytes.
func newBatch(size int) *batch {
	b := new(batch)
	stride := (size+63)&^63 + 64 // apart by more than a power of two: their starts would compete for the same cache lines
	data := make([]byte, batchSize*stride)
	for i := range b.messages {
		b.buffers[i] = data[i*stride : i*stride+size : i*stride+stride]
		b.vectors[i].Base = unsafe.SliceData(b.buffers[i][:1])
		b.vectors[i].SetLen(size)
		h := &b.messages[i].Header
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
	}
	return b
}

// reset readies the first n messages to be received into.
func (b *batch) reset(n int) {
	for i := range n {
		h := &b.messages[i].Header
		h.Name, h.Namelen = &b.names[i][0], uint32(len(b.names[i]))
		h.Control = &b.controls[i][0]
		h.SetControllen(mmsg.ControlRoom)
		h.Flags = 0
	}
}

// receive takes what has arrived, at most a batch, without waiting; with MSG_ERRQUEUE what is said of what was sent.
func (b *batch) receive(fd, flags int) (int, syscall.Errno) {
	return mmsg.Receive(fd, b.messages[:], flags)
}

// send sends the first n messages without waiting, and returns how many went. An error means that the first did not go.
func (b *batch) send(fd, n int) (int, syscall.Errno) {
	return mmsg.Send(fd, b.messages[:n])
}

// A note is what the kernel says beside a datagram.
type note struct {
	stamp  int64 // nanoseconds since 1970; 0: none
	to     netip.Addr
	failed syscall.Errno // why a datagram that was sent did not arrive; 0: this is no such word
}

// readNote reads the control messages of one datagram. What it does not know, it skips.
func readNote(b []byte) (c note) {
	for {
		m, rest, ok := mmsg.Next(b)
		if !ok {
			return c
		}
		b = rest
		if s, ns, ok := m.Stamp(); ok {
			c.stamp = s*int64(time.Second) + ns
		} else if to, ok := m.PacketInfo(); ok {
			c.to = to.Addr
		} else if why, ok := m.Failed(); ok {
			c.failed = why
		}
	}
}

// An origin is the control message that makes a datagram leave from an address.
type origin struct {
	data [mmsg.ControlRoom]byte
	size int
}

func originOf(a netip.Addr) (o origin) {
	o.size = mmsg.PacketInfo{Addr: a}.Put(&o.data)
	return o
}
