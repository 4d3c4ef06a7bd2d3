package shm

import (
	"context"
	"math/bits"
	"runtime/debug"
	"slices"

	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/internal/wait"
)

// Waiting. A party that waits sets its bit in the header, under the lock, and sleeps on a word of its own. Who brings
// what it waits for clears the bit, increments the word, and wakes it when the lock is released. So a change costs a
// system call only if somebody sleeps, and wakes no more than it has something for. A wake-up that is lost, since who
// was to give it died in between or who got it did, is made up for by CheckInterval, after which every sleeper looks
// again.
//
// In a process one goroutine at a time sleeps for each kind of thing; the others wait for their turn, on a channel.

// watches is how often one looks whether what is awaited is there before one sleeps: for some microseconds, which is
// what sleeping and waking takes.
const watches = 2000

// setWaiting sets party i's bit. The caller holds the lock.
func (r *Ring) setWaiting(kind int, i uint32, on bool) {
	w := &r.head.waiting[kind][i/64]
	if bit := uint64(1) << (i % 64); on {
		w.Store(w.Load() | bit)
	} else if v := w.Load(); v&bit != 0 {
		w.Store(v &^ bit)
	}
}

func (r *Ring) isWaiting(kind int, i uint32) bool {
	return r.head.waiting[kind][i/64].Load()&(1<<(i%64)) != 0
}

// wakeSome sees to it that up to budget who wait are woken at leave. For slots, the budget is slots, and who needs more
// than are left is not woken, nor who comes after it: else it would never be its turn. The caller holds the lock.
func (r *Ring) wakeSome(kind int, budget uint32) {
	sleepers := uint64(0)
	for i := range r.head.waiting[kind] {
		sleepers |= r.head.waiting[kind][i].Load()
	}
	if sleepers == 0 {
		return
	}
	first := r.head.cursor[kind].load() % MaxParties
	for k := uint32(0); k < MaxParties && budget > 0; {
		i := (first + k) % MaxParties
		w := r.head.waiting[kind][i/64].Load() >> (i % 64)
		if w&1 == 0 {
			k += min(uint32(bits.TrailingZeros64(w)), 64-i%64)
			continue
		}
		cost := uint32(1)
		if kind == forRoom {
			cost = max(1, r.party(i).need.Load())
		}
		if cost > budget {
			return
		}
		budget -= cost
		r.wakeParty(kind, i)
		r.head.cursor[kind].set((i + 1) % MaxParties)
		k++
	}
}

// wakeAll sees to it that all who wait are woken at leave.
func (r *Ring) wakeAll(kind int) {
	for i := range uint32(MaxParties) {
		if r.isWaiting(kind, i) {
			r.wakeParty(kind, i)
		}
	}
}

func (r *Ring) wakeParty(kind int, i uint32) {
	r.setWaiting(kind, i, false)
	word := &r.party(i).words[kind]
	word.Add(1)
	r.toWake = append(r.toWake, word)
}

// there tells whether what is waited for is there, or something else that the caller should know. It needs no lock to
// be a hint, and holds while one has it.
func (r *Ring) there(kind int, need uint32) bool {
	switch kind {
	case forItem:
		return r.head.ready.Load() > 0 || r.head.ended.Load() != 0 && r.head.undone.Load() == 0
	case forRoom:
		return r.head.free.Load() >= need || r.head.ended.Load() != 0
	default:
		return r.head.undone.Load() == 0
	}
}

// wait waits until what is asked for is there, the context ends, or the Ring is closed.
func (r *Ring) wait(ctx context.Context, kind int, need uint32) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if err := r.begin(); err != nil {
		return err
	}
	defer r.end()
	for range watches {
		if r.there(kind, need) {
			return nil
		}
	}
	if err := r.takeTurn(ctx, kind); err != nil {
		return err
	}
	defer r.passTurn(kind)
	defer context.AfterFunc(ctx, func() { r.nudge(kind) })()
	mine := r.party(r.number)
	for slept := false; ; slept = true {
		value, done, err := r.arm(ctx, kind, need, slept)
		if done || err != nil {
			return err
		}
		r.step("wait: about to sleep")
		if sleep(&mine.words[kind], value, CheckInterval) {
			if err := r.sweep(ctx); err != nil {
				return err
			}
		}
	}
}

// arm looks whether the wait is over, and if not, sets this party's bit, and gives the value of the word to sleep on.
func (r *Ring) arm(ctx context.Context, kind int, need uint32, slept bool) (value uint32, done bool, err error) {
	if err := r.enter(patience{ctx: ctx}); err != nil {
		return 0, false, err
	}
	defer r.leave()
	woken := slept && !r.isWaiting(kind, r.number)
	cause := context.Cause(ctx)
	if done = r.there(kind, need); done || cause != nil {
		r.setWaiting(kind, r.number, false)
		if cause != nil && woken && done { // what this one was woken for is somebody else's now
			r.wakeSome(kind, max(need, 1))
		}
		if done {
			cause = nil
		}
		return 0, done, cause
	}
	mine := r.party(r.number)
	mine.need.Store(need)
	value = mine.words[kind].Load()
	r.setWaiting(kind, r.number, true)
	return value, false, nil
}

// A turn is whose turn it is to sleep for one kind of thing. r.mu guards it.
type turn struct {
	taken bool
	queue []*wait.Sleeper // of those who wait for it
}

// takeTurn waits until it is the caller's turn.
func (r *Ring) takeTurn(ctx context.Context, kind int) error {
	t := &r.turns[kind]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return ErrClosed
	}
	if !t.taken {
		t.taken = true
		return nil
	}
	s := wait.NewSleeper()
	t.queue = append(t.queue, s)
	r.mu.Unlock()
	err := s.Sleep(ctx)
	r.mu.Lock()
	if i := slices.Index(t.queue, s); i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
		return err
	}
	if r.closed.Load() {
		return ErrClosed
	}
	return nil // also if the context ended just now, as who has the turn finds
}

// passTurn gives the turn to the next. Bits that are left, since the lock could not be had, are no sleeper's now.
func (r *Ring) passTurn(kind int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.turns[kind]
	if len(t.queue) > 0 {
		t.queue[0].Wake()
		t.queue = slices.Delete(t.queue, 0, 1)
		return
	}
	t.taken = false
	if !r.closed.Load() && r.head.broken.Load() == 0 && r.isWaiting(kind, r.number) {
		r.tidyLater()
	}
}

// endAll wakes all who wait for a turn, of a Ring that is closed.
func (t *turn) endAll() {
	for _, s := range t.queue {
		s.Wake()
	}
	t.queue = nil
}

// nudge has this party's own sleeper look at once.
func (r *Ring) nudge(kind int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem != nil {
		r.nudgeLocked(kind)
	}
}

func (r *Ring) nudgeLocked(kind int) {
	word := &r.party(r.number).words[kind]
	word.Add(1)
	wake(word, 1)
}

// stillOpen is the error of a Ring that is closed.
func (r *Ring) stillOpen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return ErrClosed
	}
	return nil
}

// begin keeps the memory mapped until end, for who uses it without holding r.mu.
func (r *Ring) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return ErrClosed
	}
	r.users.Add(1)
	return nil
}

func (r *Ring) end() {
	if r.users.Add(-1) == 0 && r.closed.Load() { // Close sets the one before it looks at the other
		r.mu.Lock()
		defer r.mu.Unlock()
		r.idle.Broadcast()
	}
}

// WaitRoom waits until there seems to be room for an item of n bytes. It takes nothing: another party may be quicker,
// and TryPut says whether one was.
func (r *Ring) WaitRoom(ctx context.Context, n int) error {
	stack.Given("shm: wait for room", "the context", ctx != nil)
	if err := r.checkLength(n); err != nil {
		return err
	}
	return failed("wait for room", r.wait(ctx, forRoom, r.shape.slotsFor(uint32(n))))
}

// WaitItem waits until there seems to be an item, or none will ever come. It takes nothing: another party may be
// quicker, and TryGet says whether one was.
func (r *Ring) WaitItem(ctx context.Context) error {
	stack.Given("shm: wait for an item", "the context", ctx != nil)
	return failed("wait for an item", r.wait(ctx, forItem, 0))
}

// WaitLock waits until nobody holds the ring's lock, for who was told ErrHeld by a call without a context.
func (r *Ring) WaitLock(ctx context.Context) (err error) {
	stack.Given("shm: wait for the lock", "the context", ctx != nil)
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if err := r.enter(patience{ctx: ctx}); err != nil {
		return failed("wait for the lock", err)
	}
	r.leave()
	return nil
}

// Join waits until every item that was put is done: at a moment when there is none ready or taken.
func (r *Ring) Join(ctx context.Context) error {
	stack.Given("shm: join", "the context", ctx != nil)
	return failed("join", r.wait(ctx, forQuiet, 0))
}

// failed wraps what is no Error yet.
func failed(op string, err error) error {
	if _, ok := err.(*Error); ok || err == nil {
		return err
	}
	return &Error{Op: op, Err: err}
}
