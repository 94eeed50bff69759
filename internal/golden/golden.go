// Package golden reads the golden datagrams in testdata/golden: requests, and the answers that every layer, from the
// handlers to the sockets, must give to the byte.
package golden

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/clock"
	"github.com/yesterday-time/yesterday/exchange"
)

// A Case is one request and what it must be answered with.
type Case struct {
	Name     string
	Service  string
	Clock    clock.Clock
	Received time.Time // real time
	Request  []byte
	Verdict  exchange.Verdict
	Reply    []byte // nil where the Verdict is not Answer
}

// Frozen returns a clock that always reads what the Case's does when the request is received, for layers that take the
// time of the receipt from the system.
func (c *Case) Frozen() clock.Clock {
	recipe, err := clock.Parse(clock.Read(c.Clock, c.Received).Format(time.RFC3339Nano) + " frozen")
	if err != nil {
		panic(err)
	}
	return recipe.Start(c.Received)
}

// Cases reads all cases. A file is a list of blocks of "key: value" lines, parted by empty lines; # begins a comment,
// and a value of "ab * 3" is ab three times.
func Cases(tb testing.TB) []Case {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(here), "../../testdata/golden/*.txt"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no golden files (%v)", err)
	}
	var cases []Case
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "\n\n") {
			if c, ok := parse(tb, block); ok {
				cases = append(cases, c)
			} else if tb.Failed() {
				tb.Fatalf("%s: block %d is wrong", file, i+1)
			}
		}
	}
	return cases
}

func parse(tb testing.TB, block string) (c Case, ok bool) {
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		key, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !found {
			continue
		}
		ok = true
		var err error
		switch key {
		case "name":
			c.Name = value
		case "service":
			c.Service = value
		case "clock":
			var r clock.Recipe
			r, err = clock.Parse(value)
			c.Clock = r.Start(c.Received)
		case "received":
			c.Received, err = time.Parse(time.RFC3339Nano, value)
		case "request":
			c.Request, err = unhex(value)
		case "reply":
			c.Reply, err = unhex(value)
		case "verdict":
			for c.Verdict = 0; c.Verdict.String() != value; c.Verdict++ {
				if c.Verdict == exchange.NumVerdicts {
					err = fmt.Errorf("no such verdict: %q", value)
					break
				}
			}
		default:
			tb.Errorf("unknown key %q", key)
		}
		if err != nil {
			tb.Errorf("%s: %v", key, err)
		}
	}
	return c, ok && !tb.Failed()
}

func unhex(value string) ([]byte, error) {
	times := 1
	if text, count, ok := strings.Cut(value, "*"); ok {
		value = text
		times = 0
		for _, digit := range strings.TrimSpace(count) {
			times = times*10 + int(digit-'0')
		}
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(value), ""))
	return []byte(strings.Repeat(string(b), times)), err
}
