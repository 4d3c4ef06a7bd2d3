package plexor

import "sync"

// An entry is what waits in an Outbox. Its bytes may be those of other outboxes too, and never change.
type entry struct {
	p     []byte
	key   any    // nil: none
	after uint64 // so many casts of its loop come before it: see mail
}

// An outQueue is a ring of entries. One in which nothing waits holds no memory.
type outQueue struct {
	ring  []entry // its length is a power of two, or 0
	first int
	n     int
	bytes int
}

// smallRing is the length of the rings that are used again: most often a few entries wait for the loop, and not for
// long.
const smallRing = 8

var smallRings = sync.Pool{New: func() any { return new([smallRing]entry) }}

func (q *outQueue) at(i int) *entry { return &q.ring[(q.first+i)&(len(q.ring)-1)] }

// push puts e in before those that come after later casts, and behind all others.
func (q *outQueue) push(e entry) {
	if q.n == len(q.ring) {
		q.grow()
	}
	i := q.n
	for ; i > 0 && q.at(i-1).after > e.after; i-- {
		*q.at(i) = *q.at(i - 1)
	}
	*q.at(i) = e
	q.n++
	q.bytes += len(e.p)
}

func (q *outQueue) grow() {
	var bigger []entry
	if len(q.ring) == 0 {
		bigger = smallRings.Get().(*[smallRing]entry)[:]
	} else {
		bigger = make([]entry, 2*len(q.ring))
	}
	for i := range q.n {
		bigger[i] = *q.at(i)
	}
	q.release()
	q.ring, q.first = bigger, 0
}

// release gives the ring back.
func (q *outQueue) release() {
	if len(q.ring) == smallRing {
		small := (*[smallRing]entry)(q.ring)
		*small = [smallRing]entry{}
		smallRings.Put(small)
	}
	q.ring, q.first = nil, 0
}

// pop takes the first out. There is one.
func (q *outQueue) pop() entry {
	e := *q.at(0)
	*q.at(0) = entry{}
	q.first++
	q.bytes -= len(e.p)
	if q.n--; q.n == 0 {
		q.release()
	}
	return e
}

// find is the place of the entry with that key; -1 if there is none.
func (q *outQueue) find(key any) int {
	for i := q.n - 1; i >= 0; i-- {
		if q.at(i).key == key {
			return i
		}
	}
	return -1
}

// replace changes the bytes of an entry.
func (q *outQueue) replace(i int, p []byte) {
	e := q.at(i)
	q.bytes += len(p) - len(e.p)
	e.p = p
}

// remove takes one out of the middle.
func (q *outQueue) remove(i int) {
	e := *q.at(i)
	for ; i > 0; i-- {
		*q.at(i) = *q.at(i - 1)
	}
	*q.at(0) = e
	q.pop()
}

// drop takes all out, and says how many there were.
func (q *outQueue) drop() int {
	n := q.n
	q.release()
	q.n, q.bytes = 0, 0
	return n
}
