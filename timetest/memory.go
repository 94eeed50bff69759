package timetest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/fault"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
)

// ntpHandler is the same on each host, whatever its clock is like: a source that is never off.
var ntpHandler = service.NTPHandler{
	Precision: -20, // a microsecond
	Root:      func() (delay, dispersion ntp.Short) { return 0, 0 },
}

// memory reaches a Server without sockets, nor goroutines: a Handler is called by whoever asks, and a reply lies in wait at its
// connection until it is due. All waiting is that of the one who reads or writes.
type memory struct {
	endpoints map[endpoint]exchange.Handler

	mu    sync.Mutex
	conns map[uint16]ender // the open connections by their local ports
	last  uint16           // the local port that was taken last
	ended bool
}

// An endpoint is where a service is asked.
type endpoint struct {
	transport string // "udp" or "tcp"
	addr      netip.AddrPort
}

// An ender is a connection as the server sees it when it ends.
type ender interface{ end(now time.Time) }

// The local ports are those that belong to nobody (RFC 6335, section 6).
const (
	firstPort = 49152
	lastPort  = 65535
)

// dueSoon is how early a reply that is held back is sent when the server ends, as in packages udp and tcp.
const dueSoon = time.Second

// newMemory composes what the root package does, with the same random numbers.
func newMemory(s *Server) *memory {
	m := &memory{endpoints: make(map[endpoint]exchange.Handler), conns: make(map[uint16]ender), last: lastPort}
	handlers := map[service.Kind]exchange.Handler{
		service.Time:    service.TimeHandler{},
		service.Daytime: service.DaytimeHandler{},
		service.Echo:    service.EchoHandler{},
		service.NTP:     ntpHandler,
	}
	for _, k := range service.Kinds() {
		for _, transport := range []string{"udp", "tcp"} {
			if transport == "tcp" && !k.OverTCP() {
				continue
			}
			in := fault.NewInjector(k, transport == "tcp", 0, 0)
			m.endpoints[endpoint{transport, memoryAddr(k)}] = s.writeDown(k, transport, s.lab.Middleware(in)(handlers[k]))
		}
	}
	return m
}

func memoryAddr(k service.Kind) netip.AddrPort {
	return netip.AddrPortFrom(loopback, yesterday.DefaultPort(k))
}

func (m *memory) addr(k service.Kind) string { return memoryAddr(k).String() }

func (m *memory) dial(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error) {
	c, err := m.connect(ctx, from, network, address)
	if err != nil {
		e := &net.OpError{Op: "dial", Net: network, Err: err}
		if to, err := parseAddr(address); err == nil {
			e.Addr = addrOf(network, to)
		}
		return nil, e
	}
	return c, nil
}

func (m *memory) connect(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var transport string
	switch network {
	case "udp", "udp4", "udp6", "tcp", "tcp4", "tcp6":
		transport = network[:3]
	default:
		return nil, net.UnknownNetworkError(network)
	}
	to, err := parseAddr(address)
	if err != nil {
		return nil, err
	}
	handler := m.endpoints[endpoint{transport, to}]
	if handler == nil || strings.HasSuffix(network, "6") {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	if !from.IsValid() {
		from = loopback
	}
	if transport == "udp" {
		c := &datagramConn{handler: handler}
		return c, m.enter(&c.conn, c, network, from, to)
	}
	c := new(streamConn)
	if err := m.enter(&c.conn, c, network, from, to); err != nil {
		return nil, err
	}
	c.greet(handler, to == memoryAddr(service.Echo))
	return c, nil
}

// parseAddr reads an address as net.Dial does, but knows no names other than localhost.
func parseAddr(address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: fmt.Sprintf("port %q, want a number of 0 to 65535", port), Addr: address}
	}
	if host == "" || host == "localhost" {
		return netip.AddrPortFrom(loopback, uint16(n)), nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// enter makes c, which is e to the server, a connection with a local port of its own, unless the server has ended or no port
// is left.
func (m *memory) enter(c *conn, e ender, network string, from netip.Addr, to netip.AddrPort) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	for range lastPort - firstPort + 1 {
		if m.last++; m.last < firstPort { // past the last
			m.last = firstPort
		}
		if m.conns[m.last] != nil {
			continue
		}
		m.conns[m.last] = e
		c.memory, c.network, c.changed = m, network, make(chan struct{})
		c.local, c.remote = netip.AddrPortFrom(from.Unmap(), m.last), to
		return nil
	}
	return os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)
}

// leave frees a local port.
func (m *memory) leave(port uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, port)
}

func (m *memory) hasEnded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended
}

func (m *memory) close() error {
	m.mu.Lock()
	m.ended = true
	conns := make([]ender, 0, len(m.conns))
	for _, c := range m.conns {
		conns = append(conns, c)
	}
	m.mu.Unlock()
	now := time.Now()
	for _, c := range conns {
		c.end(now)
	}
	return nil
}
