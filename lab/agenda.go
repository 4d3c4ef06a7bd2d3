package lab

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// An agenda is which hosts and ends of cables have something to do, and when: so that in a world of a thousand hosts
// what two of them say costs no look at the others. It is under World.mu.
type agenda struct {
	queue   appointments
	astir   []*Host // they may have something to send or to tell, or another time
	arrived []*plug // of one settle: frames may have come
	plugs   int     // ends that were made
}

// An appointment is when a host, or an end of a cable, has something to do. One that is not true any more is too early,
// and is left in the queue until its time comes; who is looked at then makes the next.
type appointment struct {
	at time.Duration
	h  *Host // nil: it is the plug's
	p  *plug
}

// stir notes that somebody has done something with a host.
func (w *World) stir(h *Host) {
	if !h.astir {
		h.astir = true
		w.agenda.astir = append(w.agenda.astir, h)
	}
}

// lock takes the world's mutex for a call of the host's.
func (h *Host) lock() {
	h.w.mu.Lock()
	h.w.stir(h)
}

// unlock lets go of it.
func (h *Host) unlock() { h.w.mu.Unlock() }

// again makes the next appointment of a host, if that is earlier than the one that there is.
func (a *agenda) again(h *Host) {
	if at, ok := h.ip.Next(); ok && at < h.next {
		h.next = at
		heap.Push(&a.queue, appointment{at: at, h: h})
	}
}

// expect does the same for the end of a cable.
func (a *agenda) expect(p *plug) {
	if at, ok := p.card.Next(); ok && at < p.next {
		p.next = at
		heap.Push(&a.queue, appointment{at: at, p: p})
	}
}

// due takes what is due by now from the queue: arrived and astir have it, each in the order in which it was made.
func (w *World) due(now time.Duration) {
	a := &w.agenda
	for len(a.queue) > 0 && a.queue[0].at <= now {
		switch x := heap.Pop(&a.queue).(appointment); {
		case x.h != nil && x.h.next == x.at:
			x.h.next = off
			w.stir(x.h)
		case x.p != nil && x.p.next == x.at:
			x.p.next = off
			a.arrived = append(a.arrived, x.p)
		}
	}
	slices.SortFunc(a.arrived, func(x, y *plug) int { return cmp.Compare(x.number, y.number) })
}

// upcoming is when something is due that is no loop's: at once, where somebody has done something since the last
// settle.
func (w *World) upcoming() time.Duration {
	a, next := &w.agenda, off
	if len(a.astir) > 0 {
		return w.sched.time()
	}
	if len(a.queue) > 0 {
		next = a.queue[0].at // it may be early, and then nothing is done at that time
	}
	for _, o := range w.outside {
		if at, ok := o.card.Next(); ok {
			next = min(next, at)
		}
	}
	return next
}

// appointments are a heap. Its order among equals counts for nothing: due sorts.
type appointments []appointment

func (q appointments) Len() int           { return len(q) }
func (q appointments) Less(i, j int) bool { return q[i].at < q[j].at }
func (q appointments) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *appointments) Push(x any)        { *q = append(*q, x.(appointment)) }
func (q *appointments) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
