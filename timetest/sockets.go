package timetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/service"
)

// endWithin is how long a server may take to end, which takes a moment.
const endWithin = 10 * time.Second

// loopback is where a Server is, and its clients that are from nowhere else.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// sockets reach a Server through the operating system.
type sockets struct {
	server *yesterday.Server
	ended  chan error // what Serve returned
}

// listen serves by s on free ports.
func listen(s *Server) (*sockets, error) {
	n := &sockets{ended: make(chan error, 1)}
	n.server = &yesterday.Server{
		Lab: &s.lab,
		NTP: ntpHandler,
		Wrap: func(e yesterday.Endpoint, h exchange.Handler) exchange.Handler {
			return s.writeDown(e.Kind, e.Transport.String(), h)
		},
		Watch: s.watch,
	}
	for _, k := range service.Kinds() {
		n.server.Services = append(n.server.Services, yesterday.Service{Kind: k, Addr: netip.AddrPortFrom(loopback, 0)})
	}
	if err := n.server.Listen(); err != nil {
		return nil, err
	}
	go func() { n.ended <- n.server.Serve(context.Background()) }()
	return n, nil
}

// watch writes down what no Handler sees: a request that waited too long, since the machine had no time for the server.
func (s *Server) watch(batch []exchange.Record, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range batch {
		if d.Verdict == exchange.Stale {
			s.exchanges = append(s.exchanges, d)
		}
	}
}

func (n *sockets) addr(k service.Kind) string {
	for _, e := range n.server.Endpoints() {
		if e.Kind == k {
			return e.Addr.String()
		}
	}
	return ""
}

func (n *sockets) dial(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error) {
	var d net.Dialer
	if from.IsValid() {
		d.LocalAddr = addrOf(network, netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, network, address)
}

func (n *sockets) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	if err := n.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("the server did not end within %v: %w", endWithin, err)
	}
	if err := <-n.ended; !errors.Is(err, yesterday.ErrServerClosed) {
		return fmt.Errorf("the server broke: %w", err)
	}
	return nil
}

// addrOf makes a net.Addr of an address, for a network whose name begins with "udp" or "tcp".
func addrOf(network string, a netip.AddrPort) net.Addr {
	if strings.HasPrefix(network, "tcp") {
		return net.TCPAddrFromAddrPort(a)
	}
	return net.UDPAddrFromAddrPort(a)
}
