package probe

import (
	"context"
	"slices"
	"time"
)

const (
	// MaxLost is the share of requests that a Search lets be lost or late.
	MaxLost = 0.001

	// maxRates bounds a Search, and within is how close it comes: the lowest rate that failed is at most that much above the
	// highest that did not.
	maxRates = 24
	within   = 0.02

	// trialRequests is how many requests a trial sends at least, so that one is not good or bad by luck, if that takes no longer
	// than longestTrial.
	trialRequests = 3000
	longestTrial  = 10 * time.Second

	// easyRate is a rate that every machine can hold that is not kept from it: where the generator fails at that, a lower one tells
	// nothing of the server.
	easyRate = 1000

	// sendsAtLeast is how much of a rate must have been sent for the run to count as one of that rate.
	sendsAtLeast = 0.99
)

// A Trial is one run of a Search.
type Trial struct {
	Rate   int
	Good   bool // at most MaxLost of the requests were lost or late, and all left as they were due
	Report BenchReport
	Limits []Limit // why it is not good, where it is the generator's fault alone
}

// A SearchReport is what a Search has found.
type SearchReport struct {
	Rate   int     // the highest rate of a good trial; 0: there was none
	Limits []Limit // why the trials above it failed, where it was for the generator rather than the server
	Trials []Trial // in the order in which they were run

	// Cut is of the trial under way when the search was ended before its time; nil: none was. It counts for nothing.
	Cut *BenchReport
}

// Best is the report of the trial of the highest good rate, and whether there is one.
func (r *SearchReport) Best() (BenchReport, bool) {
	for i := len(r.Trials) - 1; i >= 0; i-- {
		if t := r.Trials[i]; t.Good && t.Rate == r.Rate {
			return t.Report, true
		}
	}
	return BenchReport{}, false
}

// Search looks for the highest rate at which at most MaxLost of the requests are lost or late: it doubles the Bench's Rate, or
// 1000 where there is none, while trials are good, and then halves the interval that is left. A trial takes the Bench's
// Duration, or longer where that is less than 3,000 requests, but not more than 10 seconds for their sake; one that is not good
// is repeated, and counts as what it is then. There are at most 24 rates, and none below 1,000 where the generator itself fails at that. after is called after each trial, if it is not nil.
// An error, or the end of ctx, ends it with what was found by then.
func (b *Bench) Search(ctx context.Context, after func(Trial)) (SearchReport, error) {
	start := b.Rate
	if start == 0 {
		start = 1000
	}
	var cut *BenchReport
	found, err := search(start, func(rate int) (Trial, error) {
		one := b.trial(rate)
		r, err := one.Run(ctx)
		if err == nil {
			err = ctx.Err()
		}
		t := Trial{Rate: rate, Good: good(&r), Report: r, Limits: blame(&r)}
		switch {
		case err != nil && r.Sent > 0:
			cut = &r
		case err == nil && after != nil:
			after(t)
		}
		return t, err
	})
	found.Cut = cut
	return found, err
}

// trial is the Bench of one trial.
func (b *Bench) trial(rate int) Bench {
	one := *b
	one.Rate = rate
	one.Duration = max(b.Duration, min(trialRequests*time.Second/time.Duration(rate), longestTrial))
	return one
}

// good tells whether a run held its rate and its replies came.
func good(r *BenchReport) bool {
	return r.Sent > 0 && replied(r) && len(r.Limits) == 0 && float64(r.Sent) >= sendsAtLeast*float64(r.Sent+r.Unsent)
}

// replied tells whether enough replies came. The request of a wrong reply is among the lost ones, unless a good one came too.
func replied(r *BenchReport) bool {
	return float64(max(r.Lost, r.Wrong)+r.Late) <= MaxLost*float64(r.Sent)
}

// blame is what the generator fell short in, unless replies did not come of what it has sent and read all the same: then the
// server could not bear so much either.
func blame(r *BenchReport) []Limit {
	if replied(r) || slices.Contains(r.Limits, LimitOverflow) {
		return r.Limits
	}
	return nil
}

// search runs trials from start on.
func search(start int, run func(rate int) (Trial, error)) (SearchReport, error) {
	var r SearchReport
	low, high := 0, 0 // the highest good rate, and the lowest bad one; 0: none yet
	for rate, rates := start, 0; rates < maxRates; rates++ {
		var t Trial
		for range 2 { // a hiccup of the machine is no fault of the rate
			var err error
			if t, err = run(rate); err != nil {
				return r, err
			}
			if r.Trials = append(r.Trials, t); t.Good {
				break
			}
		}
		if t.Good {
			low, r.Rate = rate, rate
		} else {
			high, r.Limits = rate, t.Limits
		}
		switch {
		case high == 0 && low == MaxRate:
			return r, nil
		case low == 0 && rate <= easyRate && len(t.Limits) > 0:
			return r, nil
		case high == 0:
			rate = min(2*rate, MaxRate)
		case float64(high-low) <= within*float64(high) || high-low <= 1:
			return r, nil
		default:
			rate = low + (high-low)/2
		}
	}
	return r, nil
}
