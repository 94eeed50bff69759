package yesterday_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/yesterday-time/yesterday"
	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/service"
)

// A server of one's own clock on a port that is free.
func Example() {
	srv := &yesterday.Server{
		Clock:    clock.MustParse("unix-rollover frozen").Start(time.Now()),
		Services: []yesterday.Service{{Kind: service.Time, Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
	}
	if err := srv.Listen(); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	go srv.Serve(ctx)
	defer srv.Shutdown(ctx)

	answer, err := ask.Time(ctx, srv.Endpoints()[0].Addr.String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Served.UTC())
	// Output: 2038-01-19 03:13:58 +0000 UTC
}
