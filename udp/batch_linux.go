//go:build !yesterday_portable

package udp

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yesterday-time/yesterday/internal/mmsg"
)

const (
	// batchSize is how many datagrams one system call receives or sends: beyond 64 nothing more is gained.
	batchSize = 64

	// bufferStride sets buffers apart by a little more than 64 KiB: at exactly that the starts of all of them, where
	// every small datagram lies, would compete for the same cache lines.
	bufferStride = maxDatagram + 1 + 128
)

// A destination is where a held reply goes, and which address it leaves from.
type destination struct {
	name    mmsg.Sockaddr
	namelen uint32
	from    mmsg.PacketInfo
}

// inbound is a batch of datagrams to receive. Everything a message points to lives as long as the batch and is
// reached from it: the kernel writes there, and a reply is sent to the name it came with.
type inbound struct {
	messages [batchSize]mmsg.Message
	names    [batchSize]mmsg.Sockaddr
	controls [batchSize][mmsg.ControlRoom]byte
	vectors  [batchSize]unix.Iovec
	data     []byte
}

func newInbound() *inbound {
	in := &inbound{data: make([]byte, batchSize*bufferStride)}
	for i := range in.messages {
		in.vectors[i].Base = &in.data[i*bufferStride]
		in.vectors[i].SetLen(maxDatagram)
		h := &in.messages[i].Header
		h.Name = &in.names[i][0]
		h.Iov = &in.vectors[i]
		h.SetIovlen(1)
		h.Control = &in.controls[i][0]
	}
	in.reset(batchSize)
	return in
}

// reset readies the first n messages to be received into again.
func (in *inbound) reset(n int) {
	for i := range n {
		h := &in.messages[i].Header
		h.Namelen = uint32(len(in.names[i]))
		h.SetControllen(mmsg.ControlRoom)
		h.Flags = 0
	}
}

// receive takes what has arrived, at most a batch, without waiting.
func (in *inbound) receive(fd int) (n int, err syscall.Errno) {
	return mmsg.Receive(fd, in.messages[:], 0)
}

// datagram returns the bytes of message i.
func (in *inbound) datagram(i int) []byte {
	n := in.messages[i].Length
	start := i * bufferStride
	return in.data[start : start+int(n) : start+int(n)]
}

// outbound is a batch of replies to send.
type outbound struct {
	messages [batchSize]mmsg.Message
	controls [batchSize][mmsg.ControlRoom]byte
	vectors  [batchSize]unix.Iovec
	buffers  [batchSize][]byte
	n        int
}

func newOutbound() *outbound {
	out := new(outbound)
	for i := range out.messages {
		out.buffers[i] = make([]byte, 0, replyRoom)
		h := &out.messages[i].Header
		h.Iov = &out.vectors[i]
		h.SetIovlen(1)
	}
	return out
}

// buffer returns the memory for the next reply.
func (out *outbound) buffer() []byte { return out.buffers[out.n][:0] }

// keep makes data, which was appended to buffer's, what buffer returned: it may have grown.
func (out *outbound) keep(data []byte) { out.buffers[out.n] = data }

// add queues data as a reply to name, a socket address of namelen bytes. It leaves from the address in from. data and
// name must stay as they are until it is sent.
func (out *outbound) add(data []byte, name *byte, namelen uint32, from mmsg.PacketInfo) {
	k := out.n
	out.n++
	out.vectors[k].Base = unsafe.SliceData(data)
	out.vectors[k].SetLen(len(data))
	h := &out.messages[k].Header
	h.Name = name
	h.Namelen = namelen
	h.Control = nil
	n := from.Put(&out.controls[k])
	if n > 0 {
		h.Control = &out.controls[k][0]
	}
	h.SetControllen(n)
}

// send sends queued replies from the first-th on and returns how many went, without waiting. An error means that the next did not go.
func (out *outbound) send(fd, first int) (n int, err syscall.Errno) {
	return mmsg.Send(fd, out.messages[first:out.n])
}
