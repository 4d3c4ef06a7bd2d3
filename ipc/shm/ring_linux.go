package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/internal/wait"
)

// atOnce is how many items are moved under one holding of the lock: it bounds how long others wait for it.
const atOnce = 64

// A Ring is one party's hold on a queue in shared memory. All methods may be called by any goroutine, one in a
// testing/synctest bubble among them. They block the goroutine, not its thread's P; those that do not wait for others
// (TryPut, TryGet, Done, Return, End, Stats, Close) may take some milliseconds all the same, when another process has
// just died in the middle of one of them. If one is stopped there, each call fails with a [HeldError] in the end: those
// that have a context with that, the others after TryLimit or HeldLimit.
type Ring struct {
	shape  shape
	dataAt uint64
	fd     int // open for this Ring alone: the lock on its byte makes it a party
	number uint32
	token  uint32
	base   uintptr // the address of mem, for guard

	users atomic.Int32 // between begin and end: they touch mem without mu. It rises under mu

	mu       sync.Mutex // held by whoever touches mem, but who said begin
	mem      []byte     // nil once closed
	head     *header
	turns    [waits]turn
	held     int              // items that this Ring has taken, to know whether Close has something to give back
	unused   []uint32         // slots that were reserved for items that will not be published
	untidy   bool             // there are some, or bits of waits that are over
	tidying  bool             // a goroutine comes for the lock to do something about it
	toWake   []*atomic.Uint32 // by leave
	reported uint32           // the turn of the lock that was last told of
	large    atomic.Bool      // an item of many slots is done, and they are not free yet
	closed   atomic.Bool      // by Close, which comes for the lock once more (patience.parting)
	idle     wait.Cond        // users is 0
}

// MaxItem is the greatest length of an item, in bytes.
func (r *Ring) MaxItem() int { return int(r.shape.maxItem) }

// TryGet takes items, as many as are there and fit, and says how many. Their bytes are copied into buf as long as it
// has room, and into memory of their own from there on; buf may be nil. The error is ErrEmpty if there is none, and
// io.EOF if there is none and never will be, since End was called and all is done; it may be an ErrHeld.
func (r *Ring) TryGet(items []Item, buf []byte) (n int, err error) {
	return r.get(brief(TryLimit), items, buf)
}

func (r *Ring) get(p patience, items []Item, buf []byte) (n int, err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if len(items) == 0 {
		return 0, failed("get", r.stillOpen())
	}
	for n < len(items) {
		some := items[n:min(len(items), n+atOnce)]
		k, over, err := r.takeSome(p, some)
		if err != nil {
			return n, failed("get", err)
		}
		if k > 0 {
			if buf, err = r.readAll(some[:k], buf); err != nil {
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

// takeSome is take with the lock. over tells that nothing will come. If it took any, it has said begin.
func (r *Ring) takeSome(p patience, items []Item) (n int, over bool, err error) {
	if err := r.enter(p); err != nil {
		return 0, false, err
	}
	defer r.leave()
	if n, err = r.take(items); n > 0 && err == nil {
		r.users.Add(1)
	}
	return n, r.head.ended.Load() != 0 && r.head.undone.Load() == 0, err
}

// readAll reads items that were taken, and says end.
func (r *Ring) readAll(items []Item, buf []byte) (_ []byte, err error) {
	defer r.end()
	r.step("get: taken, not yet read")
	for i := range items {
		// Nobody else touches what this party has taken, so the lock is not needed.
		if buf, err = r.read(&items[i], buf); err != nil {
			return buf, err
		}
	}
	return buf, nil
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

// Get takes items, at least one and as many more as are there and fit, waiting for the first as long as ctx allows. It
// is otherwise as TryGet.
func (r *Ring) Get(ctx context.Context, items []Item, buf []byte) (n int, err error) {
	stack.Given("shm: get", "the context", ctx != nil)
	if len(items) == 0 {
		return 0, nil
	}
	for {
		if n, err := r.get(patience{ctx: ctx}, items, buf); err != ErrEmpty {
			return n, err
		}
		if err := r.WaitItem(ctx); err != nil {
			return 0, err
		}
	}
}

// Done says that the work on items is over: they are gone from the ring. An item that is not taken by this Ring, or
// that was done or returned before, is an ErrNotTaken; the others are done all the same. After an ErrHeld they may be
// done again, and those that were done are an ErrNotTaken then.
func (r *Ring) Done(items ...Item) (err error) {
	err = r.giveUp("done", items, r.done)
	if r.large.Swap(false) {
		if e := r.tidyUp(); e != nil && err == nil {
			err = failed("done", e)
		}
	}
	return err
}

// done makes an end of an item, and says how many slots it has freed. The caller holds the lock.
func (r *Ring) done(i uint32, _ state, length uint32) (freed uint32, err error) {
	if err := r.checkItem(i, length); err != nil {
		return 0, err
	}
	s := r.slot(i)
	r.step("done: to be freed")
	if need := r.shape.slotsFor(length); need <= mostSlots {
		s.state.Store(slotFree) // here it is done
		r.step("done: freed")
		err = r.freeSlots(i, length)
		freed = need
	} else {
		s.have.set(need)
		s.state.Store(stateOf(slotWriting, r.token, 0)) // or here: nobody will write it, but its slots need some time
		r.step("done: its slots to be freed")
		r.unused = append(r.unused, i)
		r.untidy = true
		r.large.Store(true)
	}
	r.step("done: in the list")
	if r.head.undone.Add(none) == 0 {
		r.wakeAll(forQuiet)
		if r.head.ended.Load() != 0 {
			r.wakeAll(forItem)
		}
	}
	return freed, err
}

// tidyUp frees what slots are left of large items that are done. What it can't do, since another holds the lock, or the
// Ring is closed just now, is done later.
func (r *Ring) tidyUp() (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	for {
		r.mu.Lock()
		more := len(r.unused) > 0 && !r.closed.Load()
		r.mu.Unlock()
		if !more {
			return nil
		}
		switch err := r.enter(brief(HeldLimit)); {
		case err == nil:
			r.leave()
		case errors.Is(err, ErrHeld):
			r.mu.Lock()
			r.tidyLater()
			r.mu.Unlock()
			return nil
		case errors.Is(err, ErrClosed):
			return nil
		default:
			return err
		}
	}
}

// Return gives items back undone, to whoever gets them next: they come before all others. Its errors are those of Done.
func (r *Ring) Return(items ...Item) (err error) {
	return r.giveUp("return", items, func(i uint32, st state, _ uint32) (uint32, error) {
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
		return 0, nil
	})
}

// A parting is what becomes of an item that is this party's no more. It says how many slots it has freed.
type parting func(i uint32, st state, length uint32) (freed uint32, err error)

// giveUp calls f with each item that is this party's, under the lock.
func (r *Ring) giveUp(op string, items []Item, f parting) (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if len(items) == 0 {
		return failed(op, r.stillOpen())
	}
	strangers := 0
	for len(items) > 0 {
		// From the last to the first, so that those that are returned come in their old order.
		k, n, err := r.giveUpSome(items[max(0, len(items)-atOnce):], f)
		items = items[:len(items)-k]
		if strangers += n; err != nil {
			return failed(op, err)
		}
	}
	if strangers > 0 {
		return &Error{Op: op, Err: ErrNotTaken, Hint: fmt.Sprintf("%d of the items", strangers)}
	}
	return nil
}

// giveUpSome does so with the last n of items, as many as one holding of the lock may.
func (r *Ring) giveUpSome(items []Item, f parting) (n, strangers int, err error) {
	if err := r.enter(brief(HeldLimit)); err != nil {
		return 0, 0, err
	}
	defer r.leave()
	for moved := uint32(0); n < len(items) && moved < mostSlots; {
		n++
		item := &items[len(items)-n]
		if tokenOf(item.state) != r.token || item.slot >= r.shape.slots || r.slot(item.slot).state.Load() != item.state ||
			r.slot(item.slot).seq.Load() != item.seq {
			strangers++
			continue
		}
		r.held--
		freed, err := f(item.slot, item.state, r.slot(item.slot).length.load())
		if moved += freed; err != nil {
			return n, strangers, err
		}
	}
	r.wakeSome(forRoom, r.head.free.Load())
	r.wakeSome(forItem, min(r.head.ready.Load(), uint32(n)))
	return n, strangers, nil
}

// End says that nothing more will be put: from now on Put fails with ErrEnded, in every process, and Get with io.EOF
// once all items are done. It can't be taken back.
func (r *Ring) End() (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if err := r.enter(brief(HeldLimit)); err != nil {
		return failed("end", err)
	}
	defer r.leave()
	r.head.ended.Store(1)
	r.step("end: said, nobody woken")
	r.wakeAll(forItem)
	r.wakeAll(forRoom)
	return nil
}

// Stats counts what is in the ring.
func (r *Ring) Stats() (s Stats, err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if err := r.enter(brief(TryLimit)); err != nil {
		return Stats{}, failed("count", err)
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
