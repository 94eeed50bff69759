//go:build unix

package main

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// By the time it says that it serves, serve has a processor for each of its threads, and one more.
func TestServeTakesProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	for _, c := range []struct {
		outside string
		shards  string
		want    int
	}{{"", "1", 3}, {"", "3", 7}, {"", "20", 17}, {"2", "3", 2}} {
		runtime.GOMAXPROCS(2)
		t.Setenv("GOMAXPROCS", c.outside)
		ctx, cancel := context.WithCancel(t.Context())
		out := make(printed, 100)
		ended := make(chan int, 1)
		go func() {
			ended <- run([]string{"serve", "--shards", c.shards, "time=127.0.0.1:0", "echo=127.0.0.1:0"},
				&env{ctx: ctx, stdout: out, stderr: out, now: time.Now})
		}()
		out.await(t, "serving ")
		if got := runtime.GOMAXPROCS(0); got != c.want {
			t.Errorf("GOMAXPROCS=%q, two services with %s shards: %d processors, want %d", c.outside, c.shards, got, c.want)
		}
		cancel()
		if code := <-ended; code != exitGood {
			t.Errorf("exit code %d", code)
		}
	}
}
