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

// What finds no room, as nobody watches, is counted.
func TestUntold(t *testing.T) {
	l, err := Listen(loopback, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tap := exchange.NewTap()
	s := newShard(l, 0, "echo", echo, tap.Ring())
	n := uint64(0)
	for ; n < 1<<20 && s.counters.Load().Untold < 3; n++ {
		s.settle(new(held), exchange.Answer)
		s.publish()
	}
	told := uint64(len(records(t, tap)))
	if counts := s.counters.Load(); counts.Answered() != n || counts.Untold != 3 || told != n-3 {
		t.Errorf("%d of %d answered, %d told of and %d not, want all but 3", counts.Answered(), n, told, counts.Untold)
	}
}
