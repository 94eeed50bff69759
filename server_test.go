package yesterday

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/guard"
	"github.com/yesterday-time/yesterday/service"
	"github.com/yesterday-time/yesterday/wire/ntp"
	"github.com/yesterday-time/yesterday/wire/rfc868"
)

// patience is how long a test waits for what must come. It is never waited out but by a test that fails.
const patience = 10 * time.Second

var (
	anyFree = netip.MustParseAddrPort("[::]:0")
	local   = netip.MustParseAddrPort("127.0.0.1:0")
)

// start serves, until the test's end. The channel has what Serve returns.
func start(t *testing.T, s *Server) <-chan error {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	t.Cleanup(func() { s.Shutdown(context.Background()) })
	return ended
}

// ask sends data to the first endpoint of a kind and transport, from IPv4 loopback, and returns what comes back.
func ask(t *testing.T, s *Server, k service.Kind, transport Transports, data string) string {
	t.Helper()
	got, err := tryAsk(s, k, transport, data)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func tryAsk(s *Server, k service.Kind, transport Transports, data string) (string, error) {
	endpoints := s.Endpoints()
	i := slices.IndexFunc(endpoints, func(e Endpoint) bool { return e.Kind == k && e.Transport == transport })
	conn, err := net.Dial(transport.String(), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), endpoints[i].Addr.Port()).String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, data); err != nil {
		return "", err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.CloseWrite()
		b, err := io.ReadAll(conn)
		return string(b), err
	}
	b := make([]byte, 1500)
	n, err := conn.Read(b)
	return string(b[:n]), err
}

func everything(addr netip.AddrPort) []Service {
	var all []Service
	for _, k := range service.Kinds() {
		all = append(all, Service{k, addr})
	}
	return all
}

// A Server with nothing but ports serves yesterday, over both transports, one port number a service.
func TestServesYesterday(t *testing.T) {
	var mu sync.Mutex
	var told []exchange.Record
	s := &Server{Services: everything(anyFree), Watch: func(batch []exchange.Record, _ uint64) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, batch...)
	}}
	ended := start(t, s)
	endpoints := s.Endpoints()
	if len(endpoints) != 7 { // NTP has no TCP
		t.Fatalf("endpoints %v, want 7", endpoints)
	}
	for i, b := range endpoints[1:] {
		if a := endpoints[i]; a.Kind == b.Kind && (a.Addr.Port() != b.Addr.Port() || a.Transport != UDP || b.Transport != TCP) {
			t.Errorf("%v and %v share no port", a, b)
		}
	}
	for _, transport := range []Transports{UDP, TCP} {
		before := time.Now().Add(-24 * time.Hour)
		reply, err := rfc868.Parse([]byte(ask(t, s, service.Time, transport, "")))
		if err != nil {
			t.Fatal(err)
		}
		if got, after := reply.Near(before), time.Now().Add(-24*time.Hour); got.Before(before.Truncate(time.Second)) || got.After(after) {
			t.Errorf("time/%v: %v, want it between %v and %v", transport, got, before, after)
		}
		if got := ask(t, s, service.Daytime, transport, ""); !strings.HasSuffix(got, "\r\n") || len(got) != 26 {
			t.Errorf("daytime/%v: %q", transport, got)
		}
		if got := ask(t, s, service.Echo, transport, "hi"); got != "hi" {
			t.Errorf("echo/%v: %q", transport, got)
		}
	}
	before := time.Now().Add(-24 * time.Hour)
	a, err := ntp.Parse([]byte(ask(t, s, service.NTP, UDP, "\x23"+strings.Repeat("\x00", 47))))
	if err != nil {
		t.Fatal(err)
	}
	if got, after := a.Transmit.Near(before), time.Now().Add(-24*time.Hour); got.Before(before.Round(0)) || got.After(after.Round(0)) {
		t.Errorf("ntp: %v, want it between %v and %v", got, before, after)
	}
	if a.Precision > -10 || a.RootDispersion == 0 {
		t.Errorf("ntp: precision %d, root dispersion %v: not measured", a.Precision, a.RootDispersion.Duration())
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
	for i, n := range s.Counts() {
		if n.Answered() != 1 || n.Dropped() != 0 {
			t.Errorf("%v: %+v, want 1 answer", endpoints[i], n)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 7 {
		t.Fatalf("%d records by the time Shutdown returns, want 7", len(told))
	}
	for _, d := range told {
		if d.Verdict != exchange.Answer || d.Clock == nil || d.Told.IsZero() != (d.Service == "echo") {
			t.Errorf("record %+v", d)
		}
	}
}

func TestOwnClock(t *testing.T) {
	recipe, err := clock.Parse("1970-01-01 frozen")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Clock: recipe.Start(time.Now()), Services: everything(local), Zone: time.UTC}
	start(t, s)
	if got := ask(t, s, service.Time, UDP, ""); got != "\x83\xaa\x7e\x80" {
		t.Errorf("time: % x", got)
	}
	if got, want := ask(t, s, service.Daytime, TCP, ""), "Thu Jan  1 00:00:00 1970\r\n"; got != want {
		t.Errorf("daytime: %q, want %q", got, want)
	}
}

func TestGuarded(t *testing.T) {
	nobody, err := guard.ParseAllow("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan exchange.Record, 2)
	s := &Server{Services: []Service{{service.Echo, local}}, Allow: nobody, Watch: func(batch []exchange.Record, _ uint64) {
		for _, d := range batch {
			told <- d
		}
	}}
	ended := start(t, s)
	if got, err := tryAsk(s, service.Echo, TCP, "hi"); err == nil && got != "" {
		t.Errorf("echo/tcp answered %q", got)
	}
	conn, err := net.Dial("udp", s.Endpoints()[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "hi")
	for range 2 {
		if d := <-told; d.Verdict != exchange.NotAllowed {
			t.Errorf("%+v, want not allowed", d)
		}
	}
	s.Shutdown(t.Context())
	<-ended
	for i, n := range s.Counts() {
		if n.Verdicts[exchange.NotAllowed] != 1 || n.Answered() != 0 {
			t.Errorf("%v: %+v, want one not allowed", s.Endpoints()[i], n)
		}
	}
}

// NTP answers who asks from a port that the small services must not answer: other servers ask from 123, which this one
// may be told to serve.
func TestNTPAnswersServers(t *testing.T) {
	free, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	port := free.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	s := &Server{Services: []Service{{service.NTP, netip.AddrPortFrom(local.Addr(), port)}}}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	free.WriteToUDPAddrPort(append([]byte{0x23}, make([]byte, 47)...), s.Endpoints()[0].Addr)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Serve(ctx)
	if n := s.Counts()[0]; n.Answered() != 1 {
		t.Errorf("%+v, want an answer", n)
	}
}

// The Server never answers its own sockets, not even those whose ports the system picked.
func TestNoLoopWithItself(t *testing.T) {
	s := &Server{Services: []Service{{service.Echo, local}}, Transports: UDP}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	addr := s.Endpoints()[0].Addr
	// As if it came from the other of two endpoints of the same Server: from a socket of its own port.
	neighbour, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), addr.Port())))
	if err != nil {
		t.Fatal(err)
	}
	defer neighbour.Close()
	neighbour.WriteToUDPAddrPort([]byte("hi"), addr)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it answers what was received, and ends
	s.Serve(ctx)
	if n := s.Counts()[0]; n.Verdicts[exchange.Loop] != 1 {
		t.Errorf("%+v, want one loop", n)
	}
}

func TestListenFailsWhole(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.LocalAddr().(*net.UDPAddr).AddrPort()
	s := &Server{Services: []Service{{service.Echo, local}, {service.Time, addr}}}
	err = s.Listen()
	l, ok := errors.AsType[*ListenError](err)
	if !ok || l.Kind != service.Time || l.Transport != UDP || l.Addr != addr || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("Listen: %#v", err)
	}
	if want := "time/udp: listen on " + addr.String() + ": address already in use"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if got := s.Endpoints(); len(got) > 0 {
		t.Errorf("still bound: %v", got)
	}
}

func TestBrokenServiceEndsAll(t *testing.T) {
	s := &Server{Services: everything(local)}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.endpoints[3].tcpListener.Close() // daytime over TCP
	err := s.Serve(t.Context())
	if err == nil || err == ErrServerClosed || !strings.HasPrefix(err.Error(), "daytime/tcp: ") {
		t.Errorf("Serve: %v, want daytime's error", err)
	}
}

// What is left zero is safe: private addresses, and a limit.
func TestDefaults(t *testing.T) {
	s := &Server{Services: []Service{{service.Time, local}}}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	if got := s.Allow.String(); got != "private" {
		t.Errorf("allowed: %s, want private", got)
	}
	if s.Limit != 1000 {
		t.Errorf("limit %d, want 1000", s.Limit)
	}
	if got := DefaultPort(service.Time); got != 12345 {
		t.Errorf("time's default port is %d", got)
	}
}

// A second Shutdown waits as the first does.
func TestShutdownTwice(t *testing.T) {
	s := &Server{Services: everything(local)}
	ended := start(t, s)
	ask(t, s, service.Echo, UDP, "hi")
	errs := make(chan error)
	for range 2 {
		go func() { errs <- s.Shutdown(context.Background()) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-ended:
		if err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(patience):
		t.Error("Serve goes on")
	}
}

func TestStates(t *testing.T) {
	var s Server
	if err := s.Serve(t.Context()); err == nil {
		t.Error("Serve before Listen")
	}
	s.Services = []Service{{service.Time, local}}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err == nil {
		t.Error("Listen twice")
	}
	addr := s.Endpoints()[0].Addr
	if err := s.Shutdown(t.Context()); err != nil { // bound, never served
		t.Error(err)
	}
	if err := s.Serve(t.Context()); err != ErrServerClosed {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	again := &Server{Services: []Service{{service.Time, addr}}}
	if err := again.Listen(); err != nil {
		t.Errorf("its port is not free: %v", err)
	}
	again.Shutdown(t.Context())
}

func TestContextEndsServe(t *testing.T) {
	s := &Server{Services: everything(local)}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.Serve(ctx); err != ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
}

func TestThreads(t *testing.T) {
	s := &Server{Services: []Service{{service.Echo, local}, {service.NTP, local}}, Shards: 3}
	if n := s.Threads(); n != 0 {
		t.Errorf("%d threads before Listen", n)
	}
	start(t, s)
	if n := s.Threads(); n != 6 {
		t.Errorf("%d threads of two UDP ports with 3 shards each, and one of TCP; want 6", n)
	}
}
