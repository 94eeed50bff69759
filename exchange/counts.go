package exchange

import (
	"iter"
	"sync/atomic"
)

// Counts is how many requests met which Verdict, and what went wrong beside them.
type Counts struct {
	Verdicts [NumVerdicts]uint64
	Notes    [NumNotes]uint64 // how many answers, or faults, bore each
	Overflow uint64           // datagrams that the kernel dropped because the receive buffer was full
	Errors   uint64           // failed receives or accepts after which the service went on
	Untold   uint64           // Records lost because whoever watches was too slow
	Uncopied uint64           // Copies of answers that found no room: the answers went out without them
}

// Add adds o to c.
func (c *Counts) Add(o Counts) {
	for i, n := range o.Verdicts {
		c.Verdicts[i] += n
	}
	for i, n := range o.Notes {
		c.Notes[i] += n
	}
	c.Overflow += o.Overflow
	c.Errors += o.Errors
	c.Untold += o.Untold
	c.Uncopied += o.Uncopied
}

// Count counts one request; notes are those of its Reply, which only an answer and a fault have.
func (c *Counts) Count(v Verdict, notes Notes) {
	c.Verdicts[v]++
	if notes != 0 && (v == Answer || v == Fault) {
		for i := range c.Notes {
			c.Notes[i] += uint64(notes >> i & 1)
		}
	}
}

// Noted yields each note that was borne, with its count.
func (c *Counts) Noted() iter.Seq2[Notes, uint64] {
	return func(yield func(Notes, uint64) bool) {
		for i, n := range c.Notes {
			if n > 0 && !yield(1<<i, n) {
				return
			}
		}
	}
}

// Dropped returns how many requests got no answer, whatever the cause.
func (c *Counts) Dropped() uint64 {
	n := c.Overflow
	for v := Answer + 1; v < NumVerdicts; v++ {
		n += c.Verdicts[v]
	}
	return n
}

// Answered returns how many requests were answered.
func (c *Counts) Answered() uint64 { return c.Verdicts[Answer] }

// Causes yields each cause for which requests got no answer, with its count.
func (c *Counts) Causes() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for v := Answer + 1; v < NumVerdicts; v++ {
			if n := c.Verdicts[v]; n > 0 && !yield(v.String(), n) {
				return
			}
		}
		if c.Overflow > 0 {
			yield("overflow", c.Overflow)
		}
	}
}

// Counters is a Counts that one goroutine writes while others read it. The writer counts in plain memory (Local) and
// makes it visible with Publish, once a batch.
type Counters struct {
	Local     Counts
	published struct {
		verdicts         [NumVerdicts]atomic.Uint64
		notes            [NumNotes]atomic.Uint64
		overflow, errors atomic.Uint64
		untold, uncopied atomic.Uint64
	}
}

// Publish lets Load see what Local holds. Only the writer may call it.
func (c *Counters) Publish() {
	p := &c.published
	store := func(a *atomic.Uint64, n uint64) {
		if a.Load() != n {
			a.Store(n)
		}
	}
	for i, n := range c.Local.Verdicts {
		store(&p.verdicts[i], n)
	}
	for i, n := range c.Local.Notes {
		store(&p.notes[i], n)
	}
	store(&p.overflow, c.Local.Overflow)
	store(&p.errors, c.Local.Errors)
	store(&p.untold, c.Local.Untold)
	store(&p.uncopied, c.Local.Uncopied)
}

// Load returns what was last published. Any goroutine may call it.
func (c *Counters) Load() Counts {
	p := &c.published
	var n Counts
	for i := range n.Verdicts {
		n.Verdicts[i] = p.verdicts[i].Load()
	}
	for i := range n.Notes {
		n.Notes[i] = p.notes[i].Load()
	}
	n.Overflow, n.Errors = p.overflow.Load(), p.errors.Load()
	n.Untold, n.Uncopied = p.untold.Load(), p.uncopied.Load()
	return n
}
