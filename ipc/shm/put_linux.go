package shm

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/plexor-go/plexor/internal/stack"
)

// Putting takes the lock twice: to reserve slots, and to publish what was copied to them in between. Nobody waits for
// the copying, but that of a few bytes (inline), which takes less than the lock. Items get their places in the queue
// when they are published, so a party that is stopped in between holds nobody up; it has some slots, as one that is
// slow to say Done. If it dies they are free again. A Put that gives up in between leaves its slots to whoever of its
// Ring has the lock next (Ring.drop).

// mostSlots is how many slots one holding of the lock moves: some 20 µs where each is a cache miss. An item of more
// gets them, and gives them back, by several holdings. Meanwhile it is one that is being written, and says how many it
// has (slot.have). Those that it is to get are not counted as free any more: no two large items wait for each other's.
var mostSlots uint32 = 256 // tests make it less

// inline is how many bytes, of all items together, are copied under the lock.
const inline = 256

func (r *Ring) checkLength(n int) error {
	if n < 0 || uint64(n) > uint64(r.shape.maxItem) {
		return &Error{Op: "put", Err: ErrTooLong,
			Hint: fmt.Sprintf("it has %d bytes, and this ring takes %d; make the ring with a "+
				"greater MaxItem, or put a reference in its place", n, r.shape.maxItem)}
	}
	return nil
}

// TryPut puts items, as many as there is room for, and says how many those are; the first n are in the queue, each
// whole. The error says why the others are not: ErrFull, ErrEnded, ErrTooLong, ErrHeld. It is nil if all are.
// The bytes are copied.
func (r *Ring) TryPut(items ...[]byte) (n int, err error) { return r.put(brief(TryLimit), items) }

// Put puts items, waiting for room as long as ctx allows. When it returns the first n are in the shared memory, each
// whole, and stay whatever becomes of this process. If n is not all, the error says why. The bytes are copied.
func (r *Ring) Put(ctx context.Context, items ...[]byte) (n int, err error) {
	stack.Given("shm: put", "the context", ctx != nil)
	for {
		k, err := r.put(patience{ctx: ctx}, items[n:])
		if n += k; err == nil || !errors.Is(err, ErrFull) {
			return n, err
		}
		if err := r.WaitRoom(ctx, len(items[n])); err != nil {
			return n, err
		}
	}
}

func (r *Ring) put(p patience, items [][]byte) (n int, err error) {
	for k, item := range items {
		if err = r.checkLength(len(item)); err != nil {
			items = items[:k]
			break
		}
	}
	n, why := r.putAll(p, items)
	if why != nil {
		err = why
	}
	return n, failed("put", err)
}

func (r *Ring) putAll(p patience, items [][]byte) (n int, err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if len(items) == 0 {
		return 0, r.stillOpen()
	}
	for n < len(items) {
		k, err := r.putSome(p, items[n:])
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// putSome puts the first items, at most atOnce: at least one, or there is an error.
func (r *Ring) putSome(p patience, items [][]byte) (n int, err error) {
	items = items[:min(len(items), atOnce)]
	bytes := 0
	for _, item := range items {
		bytes += len(item)
	}
	if bytes <= inline {
		return r.putSmall(p, items)
	}
	var firsts [atOnce]uint32
	k, last, full := r.reserve(p, items, &firsts)
	if k == 0 {
		return 0, full
	}
	mine := firsts[:k]
	settled := false
	defer func() {
		if !settled {
			r.drop(mine)
		}
	}()
	if err := r.complete(p, mine[k-1], last); err != nil {
		return 0, err
	}
	for k, i := range mine {
		if err := r.fill(i, items[k]); err != nil {
			return 0, err
		}
	}
	if err := r.enter(p); err != nil {
		return 0, err
	}
	defer r.leave()
	settled = true
	r.users.Add(-1)
	return r.publishAll(mine, full)
}

// putSmall puts items under one holding of the lock.
func (r *Ring) putSmall(p patience, items [][]byte) (n int, err error) {
	if err := r.enter(p); err != nil {
		return 0, err
	}
	defer r.leave()
	for ; n < len(items); n++ {
		var i uint32
		if i, _, err = r.allocate(uint32(len(items[n])), inline); err != nil {
			break
		}
		if err = r.fill(i, items[n]); err != nil {
			break
		}
		if err = r.publish(i); err != nil {
			break
		}
	}
	r.wakeSome(forItem, uint32(n))
	return n, err
}

// reserve takes slots for items, as many as there is room for and as one holding of the lock may; err is why not for
// all. Of an item that needs more than that, which is the first then, it takes some: see complete, which wants to know
// the last slot. If there are any, it has said begin.
func (r *Ring) reserve(p patience, items [][]byte, firsts *[atOnce]uint32) (n int, last uint32, err error) {
	if err := r.enter(p); err != nil {
		return 0, none, err
	}
	defer r.leave()
	for left := mostSlots; n < len(items); n++ {
		need := r.shape.slotsFor(uint32(len(items[n])))
		if n > 0 && need > left {
			break
		}
		if firsts[n], last, err = r.allocate(uint32(len(items[n])), left); err != nil {
			break
		}
		left -= min(left, need)
	}
	if n > 0 {
		r.users.Add(1)
	}
	return n, last, err
}

// complete gets the slots that an item has not yet, for which there is room, by further holdings of the lock.
func (r *Ring) complete(p patience, first, last uint32) (err error) {
	s := r.slot(first)
	for need := r.shape.slotsFor(s.length.load()); s.have.load() < need; {
		r.step("put: some of the slots taken")
		if p.ctx != nil && p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		if last, err = r.extend(p, s, last, need); err != nil {
			return err
		}
	}
	return nil
}

// extend gives an item more slots behind its last, and tells which is the last now.
func (r *Ring) extend(p patience, s *slot, last, need uint32) (uint32, error) {
	if err := r.enter(p); err != nil {
		return none, err
	}
	defer r.leave()
	more := min(need-s.have.load(), mostSlots)
	next := r.head.freeHead.load()
	last, next, err := r.chain(last, next, more)
	if err != nil {
		return none, err
	}
	s.have.set(s.have.load() + more)
	r.step("put: more slots chained")
	r.head.freeHead.set(next)
	return last, nil
}

// chain chains n slots off the list of free ones, from next on, behind the last of an item (none: they are its first),
// and tells the last of them and the one behind it in the list.
func (r *Ring) chain(last, next, n uint32) (uint32, uint32, error) {
	for range n {
		if next >= r.shape.slots || kindOf(r.slot(next).state.Load()) != slotFree {
			return none, none, r.breakDown("slot %d is in the list of free slots, of %d", next, r.shape.slots)
		}
		if last != none {
			r.slot(last).chain.set(next)
		}
		r.step("put: a slot chained")
		last, next = next, r.slot(next).link.load()
	}
	return last, next, nil
}

// allocate takes slots off the list of free ones, for an item of that length: all that it needs, or as many as there
// may be at once. The rest is promised to it.
func (r *Ring) allocate(length, atOnce uint32) (first, last uint32, err error) {
	if r.head.ended.Load() != 0 {
		return none, none, ErrEnded
	}
	need := r.shape.slotsFor(length)
	if r.head.free.Load() < need {
		return none, none, ErrFull
	}
	have := min(need, atOnce)
	first = r.head.freeHead.load()
	last, next, err := r.chain(none, first, have)
	if err != nil {
		return none, none, err
	}
	s := r.slot(first)
	s.length.set(length)
	s.have.set(have)
	r.step("put: slots chained")
	s.state.Store(stateOf(slotWriting, r.token, 0))
	r.step("put: slots taken")
	r.head.freeHead.set(next)
	r.head.free.Store(r.head.free.Load() - need)
	return first, last, nil
}

// fill copies an item's bytes to its slots. It needs no lock.
func (r *Ring) fill(i uint32, item []byte) error {
	if len(item) <= int(r.shape.slotSize) {
		copy(r.place(i), item)
		r.step("put: an item copied")
		return nil
	}
	return r.walk(i, uint32(len(item)), func(j uint32) error {
		item = item[copy(r.place(j), item):]
		r.step("put: a slot filled")
		return nil
	})
}

// publishAll makes written items ones that are there. Once the ring has ended it frees them: others may have been told
// already that nothing more comes. It passes an error on that others have found.
func (r *Ring) publishAll(firsts []uint32, full error) (n int, err error) {
	if r.head.ended.Load() != 0 {
		r.unused = append(r.unused, firsts...)
		if err := r.tidy(); err != nil {
			return 0, err
		}
		if r.untidy {
			r.tidyLater()
		}
		return 0, ErrEnded
	}
	for _, i := range firsts {
		if err := r.publish(i); err != nil {
			return n, err
		}
		n++
	}
	r.wakeSome(forItem, uint32(n))
	return n, full
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

// drop is for slots that were reserved and will not be published. The lock could not be had, so they wait for it.
func (r *Ring) drop(firsts []uint32) {
	r.mu.Lock()
	r.unused = append(r.unused, firsts...)
	r.tidyLater()
	r.mu.Unlock()
	r.end()
}

// tidyLater has somebody come for the lock, if nobody does for his own sake. The caller holds r.mu.
func (r *Ring) tidyLater() {
	r.untidy = true
	if r.tidying || r.closed.Load() {
		return
	}
	r.tidying = true
	go func() {
		err := error(nil)
		defer r.guard(debug.SetPanicOnFault(true), &err)
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.tidying = false; r.untidy && err == nil { // something new
				r.tidyLater()
			}
		}()
		if err = r.enter(patience{ctx: context.Background()}); err == nil { // else the Ring is closed, or corrupt
			r.leave()
		}
	}()
}

// tidy frees slots of items that were given up, as many as one holding of the lock may, and takes back the bits of
// waits that were. r.untidy tells whether there are more. The caller holds the lock.
func (r *Ring) tidy() error {
	for kind := range r.head.waiting {
		if !r.turns[kind].taken {
			r.setWaiting(kind, r.number, false)
		}
	}
	freed := uint32(0)
	for len(r.unused) > 0 && freed < mostSlots {
		n, err := r.shed(r.unused[len(r.unused)-1], mostSlots-freed)
		if err != nil {
			return err
		}
		freed += n
	}
	r.untidy = len(r.unused) > 0
	if freed > 0 {
		r.wakeSome(forRoom, r.head.free.Load())
	}
	return nil
}

// shed frees slots of the last of r.unused, at most so many, and tells how many those were. The first slot, which says
// of whom the others are, is the last to go.
func (r *Ring) shed(i, most uint32) (n uint32, err error) {
	s := r.slot(i)
	have := s.have.load()
	if need := r.shape.slotsFor(s.length.load()); need > have { // it had not got all yet
		r.head.free.Add(need - have)
	}
	s.length.set(0)
	for ; have > 1 && n < most; n++ {
		j := s.chain.load()
		if j >= r.shape.slots {
			return n, r.breakDown("an item goes on in slot %d, and there are %d", j, r.shape.slots)
		}
		s.chain.set(r.slot(j).chain.load())
		have--
		s.have.set(have)
		r.freeSlot(j)
	}
	if n < most {
		s.state.Store(slotFree)
		r.unused = r.unused[:len(r.unused)-1]
		r.freeSlot(i)
		n++
	}
	return n, nil
}

// freeSlots puts the slots of an item, which is none any more, back in the list.
func (r *Ring) freeSlots(i, length uint32) error {
	return r.walk(i, length, func(j uint32) error {
		r.freeSlot(j)
		return nil
	})
}

func (r *Ring) freeSlot(j uint32) {
	r.slot(j).link.set(r.head.freeHead.load())
	r.step("done: half in the list")
	r.head.freeHead.set(j)
	r.head.free.Add(1)
}
