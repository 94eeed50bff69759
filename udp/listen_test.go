package udp

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/yesterday-time/yesterday/exchange"
	"github.com/yesterday-time/yesterday/internal/ipv6"
)

func TestIPv6(t *testing.T) {
	ipv6.Need(t)
	addr, _ := serve(t, new(Server), netip.MustParseAddrPort("[::1]:0"), 1)
	if got := ask(t, dial(t, addr), []byte("six")); string(got) != "six" {
		t.Errorf("reply %q", got)
	}
}

// The Server on all addresses speaks IPv4 and IPv6, and tells its Handler both in their own dress.
func TestWildcardSpeaksBoth(t *testing.T) {
	seen := make(chan netip.Addr, 1)
	s := &Server{NewHandler: func(int) exchange.Handler {
		return exchange.HandlerFunc(func(p *exchange.Reply, r *exchange.Request) exchange.Verdict {
			seen <- r.From.Addr()
			return echo.Serve(p, r)
		})
	}}
	addr, _ := serve(t, s, netip.AddrPort{}, 1)
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			want := netip.MustParseAddr(host)
			if want.Is6() {
				ipv6.Need(t)
			}
			ask(t, dial(t, netip.AddrPortFrom(want, addr.Port())), []byte("hi"))
			if got := <-seen; got != want {
				t.Errorf("from %v, want %v", got, want)
			}
		})
	}
}

func TestPortIsNotShared(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::]:0"} {
		for _, shards := range []int{1, 2} {
			l, err := Listen(netip.MustParseAddrPort(addr), shards)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, shards := range []int{1, 2} {
				second, err := Listen(l.Addr(), shards)
				if !errors.Is(err, syscall.EADDRINUSE) {
					t.Errorf("a second Listener on %v: %v", l.Addr(), err)
				}
				if err == nil {
					second.Close()
				}
			}
		}
	}
}

func TestListenRefuses(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:0", "[fe80::1%nosuch]:0"} {
		if l, err := Listen(netip.MustParseAddrPort(addr), 1); err == nil {
			l.Close()
			t.Errorf("%s was bound", addr)
		}
	}
}
