package ipc

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// What waits in a manager: locks, semaphores, events, barriers, queues. Nothing blocks there: a call that has to wait is a
// waiter at its object, and its reply is sent by whoever brings about what it waits for. Those who wait are served in the
// order in which they came, so that one which wants much is not overtaken for ever.

// wait does the ops of those kinds.
func (st *store) wait(s *session, id uint64, o *object, p *step) (rp reply, later bool, err error) {
	switch p.op {
	case opUnlock, opRelease:
		h := s.held[p.n]
		if h == nil || h.o != o {
			return reply{}, false, refuse(codeNotHeld, "%q is not held with token %d by this client", p.name, p.n)
		}
		st.release(h)
		return reply{}, false, nil
	}
	bound, err := p.bound()
	if err != nil {
		return reply{}, false, err
	}
	if o != nil && o.bound != bound {
		return reply{}, false, refuse(codeKind, "the %v %q was made with %d, not %d", o.kind, p.name, o.bound, bound)
	}
	if o == nil || p.op == opQueuePut {
		if err := st.room(names(o), p.cost()); err != nil {
			return reply{}, false, err
		}
	}
	o = st.open(p.name, kindOf(p.op))
	o.bound = bound
	if p.op == opBarrierWait {
		s.join(o)
	}
	w := &waiter{s: s, id: id, o: o, step: *p}
	if rp, ok := st.try(w, true); ok {
		return rp, false, nil
	}
	switch {
	case p.m == 1:
		return reply{status: statusNo}, false, nil
	case len(s.waits) >= st.opt.MaxWaits:
		return reply{}, false, refuse(codeBusy, "%d calls of this client wait already (ManagerOptions.MaxWaits)", len(s.waits))
	}
	w.a = bytes.Clone(p.a)
	if p.op == opQueuePut {
		st.charge(o, overhead+len(w.a))
	}
	s.waits[id] = w
	s.m.waiting.Add(1)
	o.waiting = append(o.waiting, w)
	return reply{}, true, nil
}

// bound is what the object of a step is made with: it says the same each time.
func (p *step) bound() (int64, error) {
	switch p.op {
	case opAcquire:
		total, n := binary.Varint(p.a)
		if n <= 0 || total < 1 || p.n < 1 || p.n > total {
			return 0, refuse(codeMalformed, "%d units of a semaphore of %d", p.n, total)
		}
		return total, nil
	case opBarrierWait, opQueuePut, opQueueGet:
		if p.n < 1 {
			return 0, refuse(codeMalformed, "a %v with %d: it must be at least 1", kindOf(p.op), p.n)
		}
		return p.n, nil
	}
	return 0, nil
}

// try does what a call wants, if that can be now. A new one stands behind those that wait already for the same.
func (st *store) try(w *waiter, isNew bool) (reply, bool) {
	o := w.o
	first := !isNew || len(o.waiting) == 0
	switch w.op {
	case opLock:
		shared := w.n == 1
		if !first || o.alone != nil || !shared && len(o.holds) > 0 {
			return reply{}, false
		}
		h := st.hold(w, 0)
		if !shared {
			o.alone = h
		}
		return reply{n: h.token}, true
	case opAcquire:
		if !first || o.used+w.n > o.bound {
			return reply{}, false
		}
		o.used += w.n
		return reply{n: st.hold(w, w.n).token}, true
	case opEventWait:
		return reply{}, o.set
	case opBarrierWait:
		if int64(len(o.waiting))+1 < o.bound {
			return reply{}, false
		}
		for i, other := range o.takeAll() {
			other.done(reply{n: o.bound - 1 - int64(i)})
		}
		return reply{}, true
	case opQueuePut:
		switch {
		case len(o.waiting) > 0 && o.waiting[0].op == opQueueGet:
			o.take(0).done(reply{items: [][]byte{w.a}})
		case int64(len(o.items)) < o.bound && first:
			o.items = append(o.items, bytes.Clone(w.a))
			st.charge(o, overhead+len(w.a))
		default:
			return reply{}, false
		}
		return reply{}, true
	case opQueueGet:
		if len(o.items) == 0 {
			return reply{}, false
		}
		item := o.items[0]
		o.items[0] = nil
		o.items = o.items[1:]
		st.charge(o, -overhead-len(item))
		if len(o.waiting) > 0 { // to put, for there was something to get
			o.items = append(o.items, o.waiting[0].a) // which is counted already
			o.take(0).done(reply{})
		}
		return reply{items: [][]byte{item}}, true
	}
	panic("ipc: wait of an op that is none")
}

// hold gives out a lock, or units, with a token that is greater than all before.
func (st *store) hold(w *waiter, units int64) *hold {
	st.token++
	h := &hold{w.s, w.o, st.token, units}
	if w.o.holds == nil {
		w.o.holds = make(map[int64]*hold)
	}
	w.o.holds[h.token] = h
	w.s.held[h.token] = h
	return h
}

// release takes it back, and serves those who wait for it.
func (st *store) release(h *hold) {
	delete(h.s.held, h.token)
	delete(h.o.holds, h.token)
	h.o.used -= h.units
	if h.o.alone == h {
		h.o.alone = nil
	}
	st.serve(h.o)
}

// serve is for an object at which something came free: a lock, units, or the place of one that waited.
func (st *store) serve(o *object) {
	if o.kind != kindLock && o.kind != kindSemaphore {
		return
	}
	for len(o.waiting) > 0 {
		rp, ok := st.try(o.waiting[0], false)
		if !ok {
			return
		}
		o.take(0).done(rp)
	}
}

// take takes a waiter out.
func (o *object) take(i int) *waiter {
	w := o.waiting[i]
	o.waiting = slices.Delete(o.waiting, i, i+1)
	w.out()
	return w
}

// takeAll takes all out.
func (o *object) takeAll() []*waiter {
	all := o.waiting
	o.waiting = nil
	for _, w := range all {
		w.out()
	}
	return all
}

func (w *waiter) out() {
	delete(w.s.waits, w.id)
	w.s.m.waiting.Add(-1)
}

// done sends the reply.
func (w *waiter) done(rp reply) { w.s.push(rp.append(nil, w.id), nil) }

// forget takes a waiter out that is cancelled, or whose client is gone.
func (st *store) forget(w *waiter) {
	i := slices.Index(w.o.waiting, w)
	w.o.take(i)
	if w.op == opQueuePut {
		st.charge(w.o, -overhead-len(w.a))
	}
	st.serve(w.o)
}

// join makes a client a party to a barrier.
func (s *session) join(o *object) {
	if o.parties == nil {
		o.parties = make(map[*session]int)
	}
	o.parties[s]++
	s.barriers[o] = true
}

// leave takes back all that a client that is gone has: what it waits for first, so that nothing more is given to it.
func (st *store) leave(s *session) {
	for _, w := range s.waits {
		st.forget(w)
	}
	for o := range s.barriers {
		delete(o.parties, s)
		for _, w := range o.takeAll() {
			rp := errorReply(refuse(codeBarrier, "a party of the barrier %q is gone", o.name))
			w.done(rp)
		}
	}
	for _, h := range s.held {
		st.release(h)
	}
	for _, w := range s.watches {
		w.drop()
	}
}

// manage does the ops that are for any kind.
func (st *store) manage(s *session, id uint64, o *object, p *step) (reply, bool, error) {
	switch p.op {
	case opWatch:
		k := kind(p.n)
		if p.n < 1 || p.n >= int64(kindEnd) {
			return reply{}, false, refuse(codeMalformed, "a watch of what is none")
		}
		if _, err := st.find(p.name, k); err != nil {
			return reply{}, false, err
		}
		if len(s.watches) >= maxWatches {
			return reply{}, false, refuse(codeBusy, "this client has %d watches already", maxWatches)
		}
		if err := st.room(names(o), p.cost()); err != nil {
			return reply{}, false, err
		}
		o = st.open(p.name, k)
		w := &watcher{s: s, id: id, o: o}
		o.watchers = append(o.watchers, w)
		s.watches[id] = w
		return reply{}, false, nil
	case opUnwatch:
		w := s.watches[uint64(p.n)]
		if w == nil {
			return reply{status: statusNo}, false, nil
		}
		w.drop()
		return reply{}, false, nil
	}
	// opRemove
	switch {
	case o == nil:
		return reply{status: statusNo}, false, nil
	case len(o.waiting) > 0 || len(o.holds) > 0 || len(o.watchers) > 0:
		return reply{}, false, refuse(codeInUse, "%q is held, waited for or watched", p.name)
	}
	for other := range o.parties {
		delete(other.barriers, o)
	}
	delete(st.objects, o.name)
	st.bytes -= o.size
	return reply{}, false, nil
}

// maxWatches is how many watches a client may have.
const maxWatches = 256

// A watcher is a client that is told of an object's changes. What it has not been sent yet is bounded: beyond that events
// are dropped and counted, and it is told how many, once those before them are sent.
type watcher struct {
	s       *session
	id      uint64
	o       *object
	pending int   // events that wait to be sent
	lost    int64 // since the last one that was not
}

// tell tells all who watch. key and value are views.
func (o *object) tell(what op, n int64, key, value []byte) {
	for _, w := range o.watchers {
		if w.lost > 0 || w.pending >= w.s.m.st.opt.MaxEvents || w.s.outBytes > w.s.m.st.opt.MaxMessage {
			w.lost++
			if w.pending == 0 {
				w.tellLost()
			}
			continue
		}
		w.pending++
		rp := reply{status: statusEvent, n: int64(what), items: [][]byte{binary.AppendVarint(nil, n), key, value}}
		w.s.push(rp.append(nil, w.id), w)
	}
}

// sent is called when an event of the watch has left.
func (w *watcher) sent() {
	if w.pending--; w.pending == 0 && w.lost > 0 {
		w.tellLost()
	}
}

func (w *watcher) tellLost() {
	rp := reply{status: statusLost, n: w.lost}
	w.lost = 0
	w.pending++
	w.s.push(rp.append(nil, w.id), w)
}

func (w *watcher) drop() {
	w.o.watchers = slices.DeleteFunc(w.o.watchers, func(other *watcher) bool { return other == w })
	delete(w.s.watches, w.id)
	w.lost = 0 // what it was not told it need not know any more
}
