//go:build linux

package integration

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
)

// A faultText is a fault that clients are to meet in every answer.
type faultText struct {
	text string
	ntp  bool // in docs/clients.md's table of NTP's clients
	time bool // in that of RFC 868's
}

var faultTexts = []faultText{
	{text: "loss", ntp: true, time: true},
	{text: "silence", ntp: true, time: true},
	{text: "delay 300ms", ntp: true, time: true},
	{text: "duplicate", ntp: true, time: true},
	{text: "corrupt", time: true},
	{text: "length 0", ntp: true, time: true},
	{text: "length 3", time: true},
	{text: "length 5", time: true},
	{text: "length 47", ntp: true},
	{text: "length 52", ntp: true},
	{text: "length 68", ntp: true},
	{text: "kiss RATE", ntp: true},
	{text: "kiss DENY", ntp: true},
	{text: "kiss RSTR", ntp: true},
	{text: "unsynchronised", ntp: true},
	{text: "stratum 16", ntp: true},
	{text: "stratum 17", ntp: true},
	{text: "leap unknown", ntp: true},
	{text: "leap insert", ntp: true},
	{text: "wrong-origin", ntp: true},
	{text: "zero-transmit", ntp: true},
	{text: "mode 3", ntp: true},
	{text: "version 2", ntp: true},
}

const (
	// endless is how long a client may wait for an answer before it counts as one that waits for ever. The slowest of those
	// that give up does after 15 seconds; the server itself ends connections that are silent for 30.
	endless = 28 * time.Second

	// settling is how long the start of a client takes at most, until it only waits.
	settling = 300 * time.Millisecond
)

// What each real client does about each fault is known.
func TestFaults(t *testing.T) {
	t.Parallel()
	f := faultTest{
		ntp:    &table{name: "faults of NTP", columns: []string{"fault"}},
		time:   &table{name: "faults of RFC 868", columns: []string{"fault"}},
		starts: make(chan struct{}, 4),
	}
	for i := range realClients {
		c := &realClients[i]
		f.of(c).columns = append(f.of(c).columns, c.name)
		if err := c.here(); err != nil {
			t.Run(c.name, func(t *testing.T) { missing(t, "%v", err) })
			continue
		}
		f.clients = append(f.clients, c)
	}
	var wg sync.WaitGroup
	for _, q := range faultTexts {
		if q.ntp {
			f.ntp.rows = append(f.ntp.rows, q.row())
		}
		if q.time {
			f.time.rows = append(f.time.rows, q.row())
		}
		l := newLab(t, "2026-01-01", "--faults", q.text)
		wg.Go(func() { f.meet(t, q, l) })
	}
	wg.Wait()
	if !t.Failed() {
		f.ntp.settle(t)
		f.time.settle(t)
	}
}

func (q faultText) row() string { return "`" + q.text + "`" }

// A faultTest has clients meet faults.
type faultTest struct {
	ntp, time *table
	clients   []*realClient
	starts    chan struct{} // has room for the clients that may be starting at once
}

// of returns the table that a client is in.
func (f *faultTest) of(c *realClient) *table {
	if c.service == "ntp/udp" {
		return f.ntp
	}
	return f.time
}

// meet has all clients meet a fault, so that they wait together, but start one by one.
func (f *faultTest) meet(t *testing.T, q faultText, l *lab) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, c := range f.clients {
		if c.service == "ntp/udp" && !q.ntp || c.service != "ntp/udp" && !q.time {
			continue
		}
		started := make(chan struct{})
		begun := sync.OnceFunc(func() { close(started) })
		wg.Go(func() {
			defer begun()
			if err := f.settleOn(t, q, l, c, i, begun); err != nil {
				t.Errorf("%s, %s: %v", q.text, c.name, err)
			}
		})
		<-started
	}
}

// settleOn has a client meet a fault until it does what the document says, or the same thing twice, and sets the cell.
func (f *faultTest) settleOn(t *testing.T, q faultText, l *lab, c *realClient, i int, begun func()) error {
	var last string
	for try := 1; ; try++ {
		text, err := f.once(t, q, l, c, i, begun)
		switch {
		case err == nil && (text == last || text == f.of(c).cell(t, q.row(), c.name)):
			f.of(c).set(q.row(), c.name, text)
			return nil
		case try == 10:
			return fmt.Errorf("%q at the last of ten tries (%w)", text, err)
		}
		last = text
	}
}

// once has a client meet a fault, and returns its cell. It calls begun when the client has ended, or only waits.
func (f *faultTest) once(t *testing.T, q faultText, l *lab, c *realClient, i int, begun func()) (string, error) {
	ctx := t.Context()
	l.awaitRoom(ctx, 8)
	select {
	case f.starts <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	release := sync.OnceFunc(func() { <-f.starts; begun() })
	defer release()
	time.AfterFunc(settling, release)
	ctx, cancel := context.WithTimeout(ctx, endless)
	defer cancel()
	o, err := l.observe(ctx, c, own(i))
	if err != nil {
		return "", err
	}
	word, _, _ := strings.Cut(q.text, " ")
	if word == "duplicate" && strings.HasSuffix(c.service, "/tcp") {
		word = "" // a stream has none
	}
	for _, e := range o.exchanges {
		if strings.Join(e.Notes, ", ") != word {
			return "", fmt.Errorf("the server notes %q, want %s", e.Notes, word)
		}
	}
	return l.reaction(o, word == "corrupt" || word == "wrong-origin")
}

// reaction is how a client took an answer that had a fault: the cell of a table. What it reads at random has no other name
// than another time.
func (l *lab) reaction(o observation, random bool) (string, error) {
	const step = 50 * time.Millisecond // of the delays that clients are off by
	switch {
	case o.refusal != nil && o.took >= endless:
		return "waits", nil
	case o.refusal != nil && !slices.ContainsFunc(o.exchanges, func(e exchange) bool { return e.Msg == "answered" }):
		return "gives up", nil
	case o.refusal != nil:
		return "refuses", nil
	}
	off := time.Duration(math.MaxInt64)
	for _, e := range o.exchanges { // of several exchanges a client takes one, or the mean
		d := o.offset - offset(l.clock, e.Received)
		if !o.date.IsZero() {
			d = o.date.Sub(clock.Read(l.clock, e.Received).Truncate(time.Second))
		}
		if d.Abs() < off.Abs() {
			off = d
		}
	}
	var text string
	switch near := off.Round(step); {
	case off.Abs() <= exact:
		text = reads
	case random:
		text = "another time"
	case off.Abs() < time.Second && (off-near).Abs() <= exact && near < 0:
		text = fmt.Sprintf("%d ms early", -near.Milliseconds())
	case years(off) != reads:
		text = years(off)
	default:
		return "", fmt.Errorf("it is %v off", off)
	}
	if o.leap != "" && o.leap != "none" {
		text += fmt.Sprintf(" LI %d", slices.Index(leaps[:], o.leap))
	}
	return text, nil
}
