//go:build !yesterday_portable

package probe

import "golang.org/x/sys/unix"

// listen asks for what the network says of a socket's requests: without that an unconnected socket hears nothing of it, and a
// connected one not of all.
func listen(fd, family int) error {
	if family == unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVERR, 1)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1)
}

// hear counts all that the network has said of a socket's requests, and returns how much it was. What it has not heard keeps
// the socket from sleeping.
func (g *generator) hear(socket int) (said int) {
	s := &g.sockets[socket]
	s.errs = false
	for {
		n, errno := g.in.receive(s.fd, unix.MSG_ERRQUEUE)
		if errno != 0 || n == 0 {
			return said
		}
		for i := range n {
			switch c := readNote(g.in.controls[i][:g.in.messages[i].Header.Controllen]); c.failed {
			case 0, unix.EMSGSIZE: // how long a datagram may be is the system's business
			case unix.ECONNREFUSED:
				g.refused++
			default:
				g.unreachable++
			}
		}
		said += n
		g.in.reset(n)
	}
}
