package ipc

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// What waits in a manager: locks, semaphores, events, barriers, queues. Nothing blocks there: a call that has to wait
// is a waiter at its object, and its reply is sent by whoever brings about what it waits for. Those who wait are served
// in the order in which they came, so that one which wants much is not overtaken for ever.

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
	if err := st.admits(s, o, p); err != nil {
		return reply{}, false, err
	}
	o = st.open(p.name, kindOf(p.op))
	o.bound = bound
	if p.op == opBarrierWait {
		st.join(s, o)
	}
	w := &waiter{s: s, id: id, o: o, step: *p}
	if rp, ok := st.try(w, true); ok {
		return rp, false, nil
	}
	if p.m == 1 {
		return reply{status: statusNo}, false, nil
	}
	return st.enqueue(w)
}

// enqueue has a call wait. Of its step only what it will need is kept, and counted.
func (st *store) enqueue(w *waiter) (reply, bool, error) {
	s, o := w.s, w.o
	if len(s.waits) >= st.opt.MaxWaits {
		return reply{}, false, refuse(codeBusy, "%d calls of this client wait already (ManagerOptions.MaxWaits)",
			len(s.waits))
	}
	w.name, w.b = o.name, nil
	w.cost = overhead
	if w.op == opQueuePut {
		w.cost += len(w.a)
	} else {
		w.a = nil
	}
	if err := st.room(0, w.cost); err != nil {
		return reply{}, false, err
	}
	w.a = bytes.Clone(w.a)
	st.charge(o, w.cost)
	s.waits[w.id] = w
	s.m.waiting.Add(1)
	o.waiting = append(o.waiting, w)
	return reply{}, true, nil
}

// admits refuses what would be kept beyond the options: a name, an item, a hold, a party. What only takes something
// away, as the Get of a queue that is full does, is never refused.
func (st *store) admits(s *session, o *object, p *step) error {
	switch {
	case o == nil || p.op == opQueuePut:
		if err := st.room(names(o), p.cost()); err != nil {
			return err
		}
	case p.op == opLock, p.op == opAcquire, p.op == opBarrierWait && !o.parties[s]:
		if err := st.room(0, overhead); err != nil {
			return err
		}
	}
	// Those that wait may come to hold, so they count.
	if (p.op == opLock || p.op == opAcquire) && len(s.held)+len(s.waits) >= st.opt.MaxHolds {
		return refuse(codeBusy, "this client has %d locks and shares of semaphores, and %d calls that wait, already "+
			"(ManagerOptions.MaxHolds)",
			len(s.held), len(s.waits))
	}
	return nil
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
		if !first || w.n > o.bound-o.used { // not used + n, which a client can have overflow
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
		for i, other := range st.takeAll(o) {
			other.done(reply{n: o.bound - 1 - int64(i)})
		}
		return reply{}, true
	case opQueuePut:
		switch {
		case len(o.waiting) > 0 && o.waiting[0].op == opQueueGet:
			st.take(o, 0).done(reply{items: [][]byte{w.a}})
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
			put := st.take(o, 0)
			o.items = append(o.items, put.a)
			st.charge(o, overhead+len(put.a))
			put.done(reply{})
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
	st.charge(w.o, overhead)
	w.o.holds[h.token] = h
	w.s.held[h.token] = h
	return h
}

// release takes it back, and serves those who wait for it.
func (st *store) release(h *hold) {
	delete(h.s.held, h.token)
	delete(h.o.holds, h.token)
	st.charge(h.o, -overhead)
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
		st.take(o, 0).done(rp)
	}
}

// take takes a waiter out. The first one costs the same however many wait behind it.
func (st *store) take(o *object, i int) *waiter {
	w := o.waiting[i]
	if i == 0 {
		o.waiting[0] = nil
		o.waiting = o.waiting[1:]
	} else {
		o.waiting = slices.Delete(o.waiting, i, i+1)
	}
	st.out(w)
	return w
}

// takeAll takes all out.
func (st *store) takeAll(o *object) []*waiter {
	all := o.waiting
	o.waiting = nil
	for _, w := range all {
		st.out(w)
	}
	return all
}

func (st *store) out(w *waiter) {
	st.charge(w.o, -w.cost)
	delete(w.s.waits, w.id)
	w.s.m.waiting.Add(-1)
}

// done sends the reply.
func (w *waiter) done(rp reply) { w.s.push(rp.append(nil, w.id), nil) }

// forget takes a waiter out that is cancelled.
func (st *store) forget(w *waiter) {
	st.take(w.o, slices.Index(w.o.waiting, w))
	st.serve(w.o)
}

// join makes a client a party to a barrier.
func (st *store) join(s *session, o *object) {
	if o.parties == nil {
		o.parties = make(map[*session]bool)
	}
	if !o.parties[s] {
		o.parties[s], s.barriers[o] = true, true
		st.charge(o, overhead)
	}
}

// leave takes back all that a client that is gone has: what it waits for first, so that nothing more is given to it.
func (st *store) leave(s *session) {
	st.forgetAll(s)
	for o := range s.barriers {
		delete(o.parties, s)
		st.charge(o, -overhead)
		for _, w := range st.takeAll(o) {
			rp := errorReply(refuse(codeBarrier, "a party of the barrier %q is gone", o.name))
			w.done(rp)
		}
	}
	for _, h := range s.held {
		st.release(h)
	}
	for _, w := range s.watches {
		st.unwatch(w)
	}
	s.charge(-s.outBytes)
}

// forgetAll takes all waiters of a client out, of each object in one pass, however many others wait there.
func (st *store) forgetAll(s *session) {
	objects := make(map[*object]bool)
	for _, w := range s.waits {
		objects[w.o] = true
	}
	for o := range objects {
		o.waiting = slices.DeleteFunc(o.waiting, func(w *waiter) bool {
			if w.s == s {
				st.out(w)
			}
			return w.s == s
		})
		st.serve(o)
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
		if len(s.watches) >= st.opt.MaxWatches {
			return reply{}, false, refuse(codeBusy, "this client has %d watches already (ManagerOptions.MaxWatches)",
				len(s.watches))
		}
		if err := st.room(names(o), p.cost()); err != nil {
			return reply{}, false, err
		}
		o = st.open(p.name, k)
		w := &watcher{s: s, id: id, o: o}
		o.watchers = append(o.watchers, w)
		s.watches[id] = w
		st.charge(o, overhead)
		return reply{}, false, nil
	case opUnwatch:
		w := s.watches[uint64(p.n)]
		if w == nil {
			return reply{status: statusNo}, false, nil
		}
		st.unwatch(w)
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

// A watcher is a client that is told of an object's changes. What it has not been sent yet is bounded: beyond that
// events are dropped and counted, and it is told how many, once those before them are sent.
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
		st := &w.s.m.st
		if w.lost > 0 || w.pending >= st.opt.MaxEvents || w.s.outBytes > st.opt.MaxMessage ||
			st.bytes+len(key)+len(value) > st.opt.MaxMemory {
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

func (st *store) unwatch(w *watcher) {
	st.charge(w.o, -overhead)
	w.o.watchers = slices.DeleteFunc(w.o.watchers, func(other *watcher) bool { return other == w })
	delete(w.s.watches, w.id)
	w.lost = 0 // what it was not told it need not know any more
}
