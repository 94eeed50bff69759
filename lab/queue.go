package lab

// A queue is a binary heap of first requests, the one to be forgotten on top. Its keys lag behind: a client may have been
// seen later than its key says, never before.
type queue []place

type place struct {
	seen  uint64 // what first.seen once was
	first *first
}

func (q *queue) push(e *first) {
	*q = append(*q, place{e.seen.Load(), e})
	h := *q
	for i := len(h) - 1; i > 0; {
		above := (i - 1) / 2
		if h[above].seen <= h[i].seen {
			return
		}
		h[above], h[i] = h[i], h[above]
		i = above
	}
}

// pop takes out the client least recently seen. There must be one.
func (q *queue) pop() *first {
	h := *q
	// The top is the one as soon as its key is true: all others were seen later than their keys, which are later.
	for late := 0; ; late++ {
		if late > len(h)/8 { // from here on it is cheaper to make all keys true
			for i := range h {
				h[i].seen = h[i].first.seen.Load()
			}
			h.order()
			break
		}
		seen := h[0].first.seen.Load()
		if seen == h[0].seen {
			break
		}
		h[0].seen = seen
		if h.sink(0) == 0 {
			break
		}
	}
	top, last := h[0].first, len(h)-1
	h[0], h[last] = h[last], place{}
	*q = h[:last]
	q.sink(0)
	return top
}

// sink lets the place i sink to where it belongs, and returns where that is.
func (q queue) sink(i int) int {
	for {
		least := i
		for below := 2*i + 1; below <= 2*i+2 && below < len(q); below++ {
			if q[below].seen < q[least].seen {
				least = below
			}
		}
		if least == i {
			return i
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

// drop takes out those for whom is is true.
func (q *queue) drop(is func(*first) bool) {
	h := (*q)[:0]
	for _, p := range *q {
		if !is(p.first) {
			h = append(h, p)
		}
	}
	clear((*q)[len(h):])
	*q = h
	h.order()
}

// order makes a heap of places in any order.
func (q queue) order() {
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
}
