package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// atOnce is how many items are moved under one holding of the lock, and inline how many bytes of items that are put: what
	// is more is copied without it. They bound how long others wait for it.
	atOnce = 64
	inline = 16 << 10
)

// A Ring is one party's hold on a queue in shared memory. All methods may be called by any goroutine. They block the
// goroutine, not its thread's P; those that do not wait for others (TryPut, TryGet, Done, Return, End, Stats, Close) may
// take some milliseconds all the same, when another process has just died in the middle of one of them.
type Ring struct {
	shape  shape
	dataAt uint64
	fd     int // open for this Ring alone: the lock on its byte makes it a party
	number uint32
	token  uint32
	base   uintptr // the address of mem, for guard

	turns   [waits]chan struct{} // held by who sleeps
	closing chan struct{}        // closed by Close

	mu     sync.Mutex // held by whoever touches mem, but who said begin
	mem    []byte     // nil once closed
	head   *header
	held   int              // items that this Ring has taken, to know whether Close has something to give back
	toWake []*atomic.Uint32 // by leave
	users  int              // between begin and end
	closed bool
	idle   *sync.Cond // users is 0
}

// MaxItem is the greatest length of an item, in bytes.
func (r *Ring) MaxItem() int { return int(r.shape.maxItem) }

func (r *Ring) checkLength(n int) error {
	if n < 0 || uint64(n) > uint64(r.shape.maxItem) {
		return &Error{Op: "put", Err: ErrTooLong, Hint: fmt.Sprintf("it has %d bytes, and this ring takes %d; make the ring with a "+
			"greater MaxItem, or put a reference in its place", n, r.shape.maxItem)}
	}
	return nil
}

// TryPut puts items, as many as there is room for, and says how many those are; the first n are in the queue, each whole.
// The error says why the others are not: ErrFull, ErrEnded, ErrTooLong. It is nil if all are.
// The bytes are copied.
func (r *Ring) TryPut(items ...[]byte) (n int, err error) {
	for k, item := range items {
		if err = r.checkLength(len(item)); err != nil {
			items = items[:k]
			break
		}
	}
	n, full := r.put(items)
	if full != nil {
		err = full
	}
	return n, failed("put", err)
}

func (r *Ring) put(items [][]byte) (n int, err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, ErrClosed
	}
	for n < len(items) {
		k := 0
		if len(items[n]) > inline {
			k, err = r.putLarge(items[n])
		} else {
			k, err = r.putSmall(items[n:])
		}
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// putSmall puts as many items as may be put under one holding of the lock: at least one, or there is an error.
func (r *Ring) putSmall(items [][]byte) (n int, err error) {
	if err := r.enter(); err != nil {
		return 0, err
	}
	defer r.leave()
	for bytes := 0; n < len(items) && n < atOnce; n++ {
		if bytes += len(items[n]); bytes > inline && n > 0 {
			break
		}
		i, e := r.allocate(uint32(len(items[n])))
		if e == nil {
			e = r.fill(i, items[n])
		}
		if e == nil {
			e = r.publish(i)
		}
		if err = e; err != nil {
			break
		}
	}
	r.wakeSome(forItem, uint32(n))
	return n, err
}

// putLarge puts one item, and copies it while others have the lock: its slots are this party's meanwhile.
func (r *Ring) putLarge(item []byte) (n int, err error) {
	if err := r.enter(); err != nil {
		return 0, err
	}
	i, err := r.allocate(uint32(len(item)))
	if r.leave(); err != nil {
		return 0, err
	}
	if err := r.fill(i, item); err != nil {
		return 0, err
	}
	if err := r.enter(); err != nil {
		return 0, err
	}
	defer r.leave()
	if err := r.publish(i); err != nil {
		return 0, err
	}
	r.wakeSome(forItem, 1)
	return 1, nil
}

// allocate takes slots off the list of free ones, for an item of that length.
func (r *Ring) allocate(length uint32) (first uint32, err error) {
	if r.head.ended.Load() != 0 {
		return none, ErrEnded
	}
	need := r.shape.slotsFor(length)
	if r.head.free.Load() < need {
		return none, ErrFull
	}
	first = r.head.freeHead.load()
	last := first
	next := first
	for k := range need {
		if next >= r.shape.slots || kindOf(r.slot(next).state.Load()) != slotFree {
			return none, r.breakDown("slot %d is in the list of free slots, of %d", next, r.shape.slots)
		}
		if k > 0 {
			r.slot(last).chain.set(next)
		}
		last = next
		next = r.slot(next).link.load()
	}
	s := r.slot(first)
	s.length.set(length)
	r.step("put: slots chained")
	s.state.Store(stateOf(slotWriting, r.token, 0))
	r.step("put: slots taken")
	r.head.freeHead.set(next)
	r.head.free.Store(r.head.free.Load() - need)
	return first, nil
}

// fill copies an item's bytes to its slots.
func (r *Ring) fill(i uint32, item []byte) error {
	if len(item) <= int(r.shape.slotSize) {
		copy(r.place(i), item)
		return nil
	}
	return r.walk(i, uint32(len(item)), func(j uint32) error {
		item = item[copy(r.place(j), item):]
		r.step("put: a slot filled")
		return nil
	})
}

// publish makes a written item one that is there.
func (r *Ring) publish(i uint32) error {
	s := r.slot(i)
	tail := r.head.readyTail.load()
	if tail != none && tail >= r.shape.slots {
		return r.breakDown("the queue ends in slot %d, and there are %d", tail, r.shape.slots)
	}
	seq := r.head.seq.Load()
	r.head.seq.Store(seq + 1)
	s.seq.Store(seq)
	s.link.set(none)
	r.step("put: to be published")
	s.state.Store(stateOf(slotFull, noToken, 0)) // here it is put
	r.step("put: published")
	if tail == none {
		r.head.readyHead.set(i)
	} else {
		r.slot(tail).link.set(i)
	}
	r.step("put: half in the queue")
	r.head.readyTail.set(i)
	r.head.ready.Add(1)
	r.head.undone.Add(1)
	return nil
}

// Put puts items, waiting for room as long as ctx allows. When it returns the first n are in the shared memory, each
// whole, and stay whatever becomes of this process. If n is not all, the error says why. The bytes are copied.
func (r *Ring) Put(ctx context.Context, items ...[]byte) (n int, err error) {
	for {
		k, err := r.TryPut(items[n:]...)
		if n += k; err == nil || !errors.Is(err, ErrFull) {
			return n, err
		}
		if err := r.WaitRoom(ctx, len(items[n])); err != nil {
			return n, err
		}
	}
}

// TryGet takes items, as many as are there and fit, and says how many. Their bytes are copied into buf as long as it has
// room, and into memory of their own from there on; buf may be nil. The error is ErrEmpty if there is none, and
// io.EOF if there is none and never will be, since End was called and all is done.
func (r *Ring) TryGet(items []Item, buf []byte) (n int, err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, failed("get", ErrClosed)
	}
	for n < len(items) {
		if err := r.enter(); err != nil {
			return n, err
		}
		some := items[n:min(len(items), n+atOnce)]
		k, err := r.take(some)
		over := r.head.ended.Load() != 0 && r.head.undone.Load() == 0
		r.leave()
		if err != nil {
			return n, err
		}
		r.step("get: taken, not yet read")
		for i := range some[:k] {
			// Nobody else touches what this party has taken, so the lock is not needed.
			if buf, err = r.read(&some[i], buf); err != nil {
				return n, err
			}
		}
		n += k
		switch {
		case k == 0 && n == 0 && over:
			return 0, io.EOF
		case k == 0 && n == 0:
			return 0, ErrEmpty
		case k < len(some):
			return n, nil
		}
	}
	return n, nil
}

// take makes the first items of the queue this party's. The caller holds the lock.
func (r *Ring) take(items []Item) (n int, err error) {
	for n < len(items) && r.head.ready.Load() > 0 {
		i := r.head.readyHead.load()
		if i >= r.shape.slots {
			return n, r.breakDown("the queue begins in slot %d, and there are %d", i, r.shape.slots)
		}
		s := r.slot(i)
		st := s.state.Load()
		if kindOf(st) != slotFull {
			return n, r.breakDown("slot %d is in the queue, with the state %#x", i, st)
		}
		taken := stateOf(slotTaken, r.token, min(deliveriesOf(st)+1, maxDeliveries))
		r.step("get: to be taken")
		s.state.Store(taken) // here it is taken
		r.step("get: taken")
		next := s.link.load()
		r.head.readyHead.set(next)
		if next == none {
			r.step("get: half out of the queue")
			r.head.readyTail.set(none)
		}
		r.head.ready.Add(none) // minus 1
		items[n] = Item{slot: i, seq: s.seq.Load(), state: taken, Deliveries: int(deliveriesOf(taken))}
		n++
		r.held++
	}
	if left := r.head.ready.Load(); n > 0 && left > 0 {
		// Who was woken for them may have died, or come too late for others.
		r.wakeSome(forItem, 1)
	}
	return n, nil
}

// read copies an item's bytes out, and gives what is left of buf.
func (r *Ring) read(item *Item, buf []byte) ([]byte, error) {
	length := r.slot(item.slot).length.load()
	if length > r.shape.maxItem {
		return buf, r.breakDown("slot %d has an item of %d bytes, and at most %d may be", item.slot, length, r.shape.maxItem)
	}
	n := int(length)
	if n > len(buf) {
		buf = make([]byte, n)
	}
	item.Data, buf = buf[:n:n], buf[n:]
	if n <= int(r.shape.slotSize) {
		copy(item.Data, r.place(item.slot))
		return buf, nil
	}
	to := item.Data
	return buf, r.walk(item.slot, length, func(j uint32) error {
		to = to[copy(to, r.place(j)):]
		r.step("get: a slot read")
		return nil
	})
}

// Get takes items, at least one and as many more as are there and fit, waiting for the first as long as ctx allows. It is
// otherwise as TryGet.
func (r *Ring) Get(ctx context.Context, items []Item, buf []byte) (n int, err error) {
	if len(items) == 0 {
		return 0, nil
	}
	for {
		if n, err := r.TryGet(items, buf); err != ErrEmpty {
			return n, err
		}
		if err := r.WaitItem(ctx); err != nil {
			return 0, err
		}
	}
}

// Done says that the work on items is over: they are gone from the ring. An item that is not taken by this Ring, or that
// was done or returned before, is an ErrNotTaken; the others are done all the same.
func (r *Ring) Done(items ...Item) (err error) {
	return r.giveUp("done", items, func(i uint32, _ state, length uint32) error {
		s := r.slot(i)
		r.step("done: to be freed")
		s.state.Store(slotFree) // here it is done
		r.step("done: freed")
		err := r.walk(i, length, func(j uint32) error {
			r.slot(j).link.set(r.head.freeHead.load())
			r.step("done: half in the list")
			r.head.freeHead.set(j)
			r.head.free.Add(1)
			return nil
		})
		r.step("done: in the list")
		if r.head.undone.Add(none) == 0 {
			r.wakeAll(forQuiet)
			if r.head.ended.Load() != 0 {
				r.wakeAll(forItem)
			}
		}
		return err
	})
}

// Return gives items back undone, to whoever gets them next: they come before all others. Its errors are those of Done.
func (r *Ring) Return(items ...Item) (err error) {
	return r.giveUp("return", items, func(i uint32, st state, _ uint32) error {
		s := r.slot(i)
		s.link.set(r.head.readyHead.load())
		r.step("return: to be given back")
		s.state.Store(stateOf(slotFull, noToken, deliveriesOf(st)))
		r.step("return: given back")
		r.head.readyHead.set(i)
		if r.head.readyTail.load() == none {
			r.head.readyTail.set(i)
		}
		r.head.ready.Add(1)
		return nil
	})
}

// giveUp calls f with each item that is this party's, under the lock.
func (r *Ring) giveUp(op string, items []Item, f func(i uint32, st state, length uint32) error) (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return failed(op, ErrClosed)
	}
	strangers := 0
	for len(items) > 0 {
		// From the last to the first, so that those that are returned come in their old order.
		some := items[max(0, len(items)-atOnce):]
		items = items[:len(items)-len(some)]
		if err := r.enter(); err != nil {
			return err
		}
		for k := range some {
			item := &some[len(some)-1-k]
			if tokenOf(item.state) != r.token || item.slot >= r.shape.slots || r.slot(item.slot).state.Load() != item.state ||
				r.slot(item.slot).seq.Load() != item.seq {
				strangers++
				continue
			}
			r.held--
			if err := f(item.slot, item.state, r.slot(item.slot).length.load()); err != nil {
				r.leave()
				return err
			}
		}
		r.wakeSome(forRoom, r.head.free.Load())
		r.wakeSome(forItem, min(r.head.ready.Load(), uint32(len(some))))
		r.leave()
	}
	if strangers > 0 {
		return &Error{Op: op, Err: ErrNotTaken, Hint: fmt.Sprintf("%d of the items", strangers)}
	}
	return nil
}

// End says that nothing more will be put: from now on Put fails with ErrEnded, in every process, and Get with io.EOF
// once all items are done. It can't be taken back.
func (r *Ring) End() (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return failed("end", ErrClosed)
	}
	if err := r.enter(); err != nil {
		return err
	}
	r.head.ended.Store(1)
	r.step("end: said, nobody woken")
	r.wakeAll(forItem)
	r.wakeAll(forRoom)
	r.leave()
	return nil
}

// Stats counts what is in the ring.
func (r *Ring) Stats() (s Stats, err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return Stats{}, failed("count", ErrClosed)
	}
	if err := r.enter(); err != nil {
		return Stats{}, err
	}
	defer r.leave()
	s = Stats{Ready: int(r.head.ready.Load()), Free: int(r.head.free.Load())}
	s.Taken = int(r.head.undone.Load()) - s.Ready
	for i := range uint32(MaxParties) {
		if r.party(i).used.Load() != 0 {
			s.Parties++
		}
	}
	return s, nil
}

// Close leaves the ring: what this Ring has taken and not done goes back, as with Return, calls that wait fail with
// ErrClosed, and the memory is unmapped. The queue and its items stay, for the other parties; so does its name. The
// Ring is closed even if there is an error. A second Close does nothing.
func (r *Ring) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	close(r.closing)
	for kind := range waits {
		r.wakeUp(kind)
	}
	for r.users > 0 {
		r.idle.Wait()
	}
	r.mu.Unlock()
	err := r.depart()
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := unix.Munmap(r.mem); e != nil && err == nil {
		err = &Error{Op: "close", Call: "munmap", Err: e}
	}
	r.mem, r.head = nil, nil
	// Only now may others find that this party is gone.
	if e := unix.Close(r.fd); e != nil && err == nil {
		err = &Error{Op: "close", Call: "close", Err: e}
	}
	return err
}

// wakeUp is nudge for Close, which goes on if the memory is gone.
func (r *Ring) wakeUp(kind int) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { _ = recover() }() // who sleeps looks again by itself
	r.nudgeLocked(kind)
}

// depart takes this party's name off.
func (r *Ring) depart() (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	r.step("close: to give back")
	if r.held > 0 {
		if err := r.rebuild(r.token); err != nil {
			return err
		}
	}
	r.step("close: to be unregistered")
	r.party(r.number).used.Store(0)
	return nil
}
