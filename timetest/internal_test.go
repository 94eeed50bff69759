package timetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/yesterday-time/yesterday/exchange"
)

// What the engine drops before a Handler sees it is written down too, and nothing twice.
func TestStale(t *testing.T) {
	s := NewServer(t, "now")
	s.network.(*sockets).server.Watch([]exchange.Record{
		{Verdict: exchange.Answer, Service: "time"},
		{Verdict: exchange.Stale, Service: "ntp"},
	}, 0)
	if got := s.Exchanges(); len(got) != 1 || got[0].Verdict != exchange.Stale {
		t.Errorf("%+v, want the stale one", got)
	}
}

// A network that does not end.
type endless struct{ network }

func (endless) close() error { return errors.New("the server did not end") }

// A told is a testing.TB that keeps what it is told.
type told struct {
	testing.TB
	errors []string
}

func (t *told) Helper() {}
func (t *told) Errorf(format string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

// A server that does not end fails the test, once.
func TestEndless(t *testing.T) {
	tb := new(told)
	s := &Server{tb: tb, network: endless{}}
	s.Close()
	s.Close()
	if len(tb.errors) != 1 || tb.errors[0] != "timetest: the server did not end" {
		t.Errorf("%q", tb.errors)
	}
}
