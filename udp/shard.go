package udp

import (
	"time"

	"github.com/yesterday-time/yesterday/exchange"
)

// What a shard does on every system, however it receives and sends.

// hold holds back what of the shard's reply, which goes to to, is not to be sent now. Copies for which there is no room are
// not made, unless the reply is delayed: it returns false where there is no room for all of that.
func (s *shard) hold(to *destination) bool {
	var told exchange.Record
	told.Tell(s.service, "udp", &s.request, &s.reply, exchange.Answer)
	if s.held.hold(time.Now(), &s.reply, &told, to) {
		return true
	}
	if s.reply.Delay > 0 {
		return false
	}
	s.counters.Local.Uncopied += uint64(s.reply.Copies)
	s.reply.Notes &^= exchange.FaultDuplicate
	return true
}

// settle counts and tells what became of h, which was taken out, and lets go of it.
func (s *shard) settle(h *held, v exchange.Verdict) {
	if !h.copy {
		s.counters.Local.Count(v, h.told.Notes)
		if s.ring != nil {
			if told := s.ring.Slot(); told != nil {
				*told = h.told
				if v == exchange.Unsent {
					tellUnsent(told)
				}
			}
		}
	}
	s.held.release(h)
}

// dropHeld counts and tells what is held as not sent.
func (s *shard) dropHeld() {
	for i := 1; len(s.held.heap) > 0; i++ {
		s.settle(s.held.first(), exchange.Unsent)
		if i%1024 == 0 {
			s.publish() // lest the ring be full before its watcher wakes up
		}
	}
	s.publish()
	s.rest()
}

// publish lets others see what was counted and told.
func (s *shard) publish() {
	if s.ring != nil {
		s.ring.Pass()
		s.counters.Local.Untold = s.ring.Lost()
	}
	s.counters.Publish()
}

// rest has what was told looked at, before there is nothing more to do.
func (s *shard) rest() {
	if s.ring != nil {
		s.ring.Flush()
	}
}

// tellUnsent makes the Record of an answer that of one that was not sent.
func tellUnsent(d *exchange.Record) {
	d.Verdict, d.Told, d.Notes, d.Answered = exchange.Unsent, time.Time{}, 0, 0
}
