package guard

import "net/netip"

// Ports whose services answer anything: an answer sent there comes back as the next request, for ever
// (CERT CA-1996-01, CVE-2024-2169). Port 0 cannot be answered.
var answering = []uint16{0, 7, 9, 13, 17, 19, 37}

// Loops knows the source ports that must never be answered because what sits there would answer the answer: the small
// services' well-known ports, the ports this server was told to serve, and its own sockets. It is not changed while in
// use, so any number of goroutines may use it.
type Loops struct {
	ports portSet // from whatever address
	own   portSet // from this host's addresses
}

// NewLoops returns the Loops of the well-known ports alone.
func NewLoops() *Loops {
	l := new(Loops)
	for _, p := range answering {
		l.ports.add(p)
	}
	return l
}

// AddTold adds a port that this server was told to serve: its like, on any host, may serve the same.
func (l *Loops) AddTold(port uint16) { l.ports.add(port) }

// AddOwn adds a port on which this server has a socket, be it one the system picked.
func (l *Loops) AddOwn(port uint16) { l.own.add(port) }

// Has tells whether an answer to from could make a loop; host tells what is this host's own. It allocates nothing and
// takes no lock.
func (l *Loops) Has(from netip.AddrPort, host *Host) bool {
	return l.ports.has(from.Port()) || l.own.has(from.Port()) && host.Owns(from.Addr())
}

// A portSet is a set of port numbers.
type portSet [1 << 16 / 64]uint64

func (s *portSet) add(p uint16)      { s[p/64] |= 1 << (p % 64) }
func (s *portSet) has(p uint16) bool { return s[p/64]&(1<<(p%64)) != 0 }
