package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/yesterday-time/yesterday/ask"
	"github.com/yesterday-time/yesterday/service"
)

// --help names each key that --json prints.
func TestHelpNamesEachKey(t *testing.T) {
	marshal := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	answer := func(show func(*env) error) string {
		var b bytes.Buffer
		if err := show(&env{stdout: &b}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	now := time.Unix(0, 0)
	sample := ask.Sample{Timed: true, Arrived: now, Kiss: "RATE", Failed: []ask.Failure{{}}}
	sample.Raw, sample.Served, sample.Reference = make([]byte, 48), now, now
	for _, c := range []struct{ help, json string }{
		{new(askCmd).Help(), answer(func(e *env) error { return shower{e: e}.json(ask.Answer{Service: service.Time, Served: now}) })},
		{new(askCmd).Help(), answer(func(e *env) error { return shower{e: e}.json(ask.Answer{Service: service.Daytime}) })},
		{new(askCmd).Help(), answer(func(e *env) error {
			a := ask.NTPAnswer{Sample: sample, Samples: []ask.Sample{sample, sample}, Ended: errors.New("x")}
			return ntpShower{shower: shower{e: e}, wanted: 2}.json(a)
		})},
		{new(clockCmd).Help(), marshal(clockView{Until: now, Changes: []changeView{{}}})},
		{new(benchCmd).Help(), marshal(benchJSON{UnsentReason: "e", ServerCPU: new(float64), AnsweredPerCPU: new(float64), SearchRate: new(int), SearchLimits: []string{""}, Runs: []runJSON{{}}})},
		{new(pingCmd).Help(), marshal(pingSummary{Offset: &offsetJSON{Best: "0", Min: "0", Median: "0", Mean: "0", Max: "0", Deviation: "0"}})},
		{new(pingCmd).Help(), marshal(pingEvent{Seq: 1, Bytes: new(int), RoundTrip: new(float64), Stamps: "kernel", Offset: "0", Code: "RATE", Error: "e"})},
	} {
		keys := regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(c.json, -1)
		if len(keys) == 0 {
			t.Errorf("no keys in %s", c.json)
		}
		for _, m := range keys {
			if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(c.help) {
				t.Errorf("--help does not name %s", m[1])
			}
		}
	}
}
