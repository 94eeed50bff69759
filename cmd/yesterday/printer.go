package main

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// flushWithin is how long printers that close wait for whoever does not read.
const flushWithin = 300 * time.Millisecond

// A printer writes lines without making anybody wait: where the terminal or the pipe is not read, lines are lost and
// counted. Any goroutine may write, at any time.
type printer struct {
	lines   chan []byte
	closing chan struct{}
	once    sync.Once
	done    chan struct{}
	lost    atomic.Uint64
}

func newPrinter(w io.Writer) *printer {
	p := &printer{lines: make(chan []byte, 256), closing: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for {
			select {
			case line := <-p.lines:
				w.Write(line) // a reader that has gone is no reason to stop serving
			case <-p.closing:
				p.rest(w)
				return
			}
		}
	}()
	return p
}

// rest writes what is still queued.
func (p *printer) rest(w io.Writer) {
	for {
		select {
		case line := <-p.lines:
			w.Write(line)
		default:
			return
		}
	}
}

// Write queues a copy of line, or counts it as lost.
func (p *printer) Write(line []byte) (int, error) {
	select {
	case p.lines <- append([]byte(nil), line...):
	default:
		p.lost.Add(1)
	}
	return len(line), nil
}

// closePrinters writes what is queued, as far as it is read in time. What is written later is lost.
func closePrinters(printers ...*printer) {
	for _, p := range printers {
		p.once.Do(func() { close(p.closing) })
	}
	end := time.After(flushWithin)
	for _, p := range printers {
		select {
		case <-p.done:
		case <-end:
			return
		}
	}
}
