package tcp

import (
	"container/list"
	"net"
)

// A kind is why a connection is open.
type kind uint8

const (
	healthy kind = iota // it is answered
	delayed             // it waits for its Delay
	silent              // it gets no answer, on purpose
)

// A place is what an open connection takes of a Server's MaxConns.
type place struct {
	conn  *net.TCPConn
	kind  kind
	taken chan struct{} // of a silent one: closed when another gets its place
	turn  *list.Element // of a silent one, among the others
}

// places are those that are taken: by those who wait or are silent no more than half, lest faults that were made for one
// client keep out the others. The Server's mutex guards them.
type places struct {
	open    map[*place]struct{}
	delayed int
	silent  list.List // of *place, the longest silent first
}

// add takes a place, with limit of them in all, and tells whether there was one. If need be, it closes the connection that
// has been silent longest.
func (s *places) add(p *place, limit int) bool {
	full := len(s.open) >= limit || p.kind != healthy && s.delayed+s.silent.Len() >= (limit+1)/2
	if full && !s.evict() {
		return false
	}
	if s.open == nil {
		s.open = make(map[*place]struct{})
	}
	s.open[p] = struct{}{}
	switch p.kind {
	case delayed:
		s.delayed++
	case silent:
		p.turn = s.silent.PushBack(p)
	}
	return true
}

// evict closes the connection that has been silent longest. There may be none.
func (s *places) evict() bool {
	first := s.silent.Front()
	if first == nil {
		return false
	}
	p := first.Value.(*place)
	s.remove(p)
	close(p.taken)
	p.conn.SetLinger(0) // as one that was refused
	p.conn.Close()
	return true
}

// settle makes p, which waited for its Delay or did not, one that is answered.
func (s *places) settle(p *place) {
	if p.kind == delayed {
		s.delayed--
		p.kind = healthy
	}
}

// remove frees the place of p, if it still has one.
func (s *places) remove(p *place) {
	if _, ok := s.open[p]; !ok {
		return
	}
	delete(s.open, p)
	switch p.kind {
	case delayed:
		s.delayed--
	case silent:
		s.silent.Remove(p.turn)
	}
}

// enter gives p a place, if there is one.
func (s *Server) enter(p *place) bool {
	limit := s.MaxConns
	if limit == 0 {
		limit = defaultMaxConns
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.places.add(p, limit)
}

func (s *Server) settle(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places.settle(p)
}

// leave closes the connection of p, and frees its place.
func (s *Server) leave(p *place) {
	p.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places.remove(p)
}
