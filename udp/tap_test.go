package udp

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// One request is enough for the watcher to hear of it: a shard that has nothing more to do wakes it.
func TestWatcherHearsOfOne(t *testing.T) {
	s := &Server{Tap: exchange.NewTap()}
	told := make(chan exchange.Record, 16)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Tap.Run(ctx, func(batch []exchange.Record, _ uint64) {
			for _, r := range batch {
				told <- r
			}
		})
	}()
	addr, _ := serve(t, s, netip.MustParseAddrPort("127.0.0.1:0"), 1)
	for _, data := range []string{"one", "four"} {
		ask(t, dial(t, addr), []byte(data))
		select {
		case r := <-told:
			if r.Asked != len(data) {
				t.Errorf("heard of %d bytes, want %d", r.Asked, len(data))
			}
		case <-time.After(10 * time.Second):
			t.Fatal("not heard of")
		}
	}
	cancel()
	<-ended
}

// What finds no room, as nobody watches, is counted; all are answered.
func TestUntold(t *testing.T) {
	s := &Server{Tap: exchange.NewTap()}
	addr, _ := serve(t, s, netip.MustParseAddrPort("127.0.0.1:0"), 1)
	conn := dial(t, addr)
	asked := uint64(0)
	for ; s.Counts().Untold < 3; asked++ {
		ask(t, conn, []byte("x"))
	}
	s.Close()
	told := uint64(len(records(t, s.Tap)))
	if n := s.Counts(); n.Answered() != asked || n.Untold != asked-told {
		t.Errorf("%d answered and %d not told of, want %d and %d", n.Answered(), n.Untold, asked, asked-told)
	}
}
