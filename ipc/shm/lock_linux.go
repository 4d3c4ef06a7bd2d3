package shm

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// The lock that all parties share. Its word is 0, or its owner's token, with a bit for "somebody sleeps":
//
//	 31     30            8 7      0
//	waited    generation    number        generation and number: the token of a party
//
// A generation makes the word of a party that died differ from that of the next one in its place. So the word can be
// exchanged for one's own by who has seen that its owner is dead, however long ago it looked: no living party has it.
const (
	waited  = 1 << 31
	maxGen  = 1<<23 - 1
	noToken = 0
	spins   = 300 // looks at a lock that another has; it is held for some 100 ns
	// that a call takes before it gives up, so that a holder that only waited for a processor had its chance
	mostNaps = 5
	firstNap = time.Millisecond
)

func makeToken(gen, number uint32) uint32      { return gen<<8 | number }
func splitToken(t uint32) (gen, number uint32) { return t >> 8, t & (MaxParties - 1) }

// A patience is how long a call waits for the lock: as long as a context allows, or, if that is nil, until some party
// has seen it held for that long.
type patience struct {
	ctx   context.Context
	limit time.Duration

	parting bool // it is Close, whose last call comes when the Ring is closed for all others
}

func brief(limit time.Duration) patience { return patience{limit: limit} }

// enter takes r.mu and the lock, and leave gives both back. Neither is held when there is an error.
func (r *Ring) enter(p patience) error {
	r.mu.Lock()
	in := false
	defer func() {
		if !in {
			r.mu.Unlock()
		}
	}()
	if r.closed.Load() && !p.parting {
		return ErrClosed
	}
	stolen := false
	if !r.head.lock.CompareAndSwap(noToken, r.token) {
		var err error
		if stolen, err = r.enterSlowly(p); err != nil {
			return err
		}
	}
	r.head.turn.set(r.head.turn.load() + 1)
	r.step("lock: taken")
	var err error
	switch {
	case r.head.broken.Load() != 0:
		err = corrupt("another party found it so")
	case stolen:
		err = r.rebuild(noToken)
	}
	if err == nil && r.untidy {
		err = r.tidy()
	}
	in = true
	if err != nil {
		r.leave()
	}
	return err
}

// enterSlowly waits for the lock. The caller holds r.mu, which is free for others of this Ring while it sleeps.
func (r *Ring) enterSlowly(p patience) (stolen bool, err error) {
	lock := &r.head.lock
	for range spins {
		if lock.Load() == noToken && lock.CompareAndSwap(noToken, r.token) {
			return false, nil
		}
	}
	naps := 0
	for nap := firstNap; ; {
		w := lock.Load()
		switch {
		case w == noToken:
			// Others may sleep, of whom the word no longer tells: so this one's release wakes one.
			if lock.CompareAndSwap(noToken, r.token|waited) {
				return false, nil
			}
			continue
		case w&^waited == r.token, nap > firstNap && !r.alive(w&^waited):
			// The first is a word that nobody wrote: who holds r.mu does not hold the lock.
			r.step("lock: its owner is dead")
			if lock.CompareAndSwap(w, r.token|waited) {
				return true, nil
			}
			continue
		case w&waited == 0 && !lock.CompareAndSwap(w, w|waited):
			continue
		}
		if naps > 0 {
			if err := r.holds(w&^waited, p, naps); err != nil {
				return false, err
			}
		}
		timeUp := r.napOn(w|waited, nap, p.ctx)
		if r.closed.Load() && !p.parting {
			return false, ErrClosed
		}
		if naps++; timeUp {
			nap = min(2*nap, CheckInterval)
		}
	}
}

// napOn sleeps until the lock's word is woken, for d or until the context's deadline, with r.mu free meanwhile.
func (r *Ring) napOn(word uint32, d time.Duration, ctx context.Context) (timeUp bool) {
	if ctx != nil {
		if at, ok := ctx.Deadline(); ok {
			d = max(min(d, time.Until(at)), firstNap)
		}
	}
	r.users.Add(1)
	r.mu.Unlock()
	timeUp = sleep(&r.head.lock, word, d)
	r.mu.Lock()
	if r.users.Add(-1) == 0 && r.closed.Load() {
		r.idle.Broadcast()
	}
	return timeUp
}

// holds is called by who has waited for a party that lives. It is the error if that was for as long as it may.
func (r *Ring) holds(token uint32, p patience, naps int) error {
	turn := r.head.turn.load()
	gen, i := splitToken(token)
	h := &HeldError{Party: int(i), For: r.heldFor(turn)}
	if holder := r.party(i); holder.gen.Load() == gen {
		h.Pid = int(holder.pid.Load())
	}
	switch {
	case p.ctx == nil:
		if naps >= mostNaps && h.For >= p.limit {
			h.Err = ErrHeld
			return h
		}
	case p.ctx.Err() != nil:
		h.Err = context.Cause(p.ctx)
		return h
	case h.For >= HeldLimit && r.reported != turn:
		r.reported = turn
		slog.Default().Warn("a party holds the lock of a ring in shared memory: is its process stopped? The others wait "+
			"for it",
			"pid", h.Pid, "party", h.Party, "for", h.For.Round(time.Millisecond))
	}
	return nil
}

// The header's word seen tells when some party first had to wait for that turn of the lock: the low bits of the turn,
// and milliseconds of CLOCK_MONOTONIC. It is one word, so that a time is never taken for that of another turn; who
// comes later knows from it how long the lock is held, without a clock being read each time that it is taken.
const seenTimeBits = 40

// heldFor is for how long the lock is seen in that turn, by anybody.
func (r *Ring) heldFor(turn uint32) time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil { // the kernel has that clock
		return 0
	}
	const mask = 1<<seenTimeBits - 1
	now := uint64(ts.Nano()/int64(time.Millisecond)) & mask
	seen := r.head.seen.Load()
	if since := seen & mask; seen != 0 && seen>>seenTimeBits == uint64(turn)&(1<<(64-seenTimeBits)-1) && since <= now {
		return time.Duration(now-since) * time.Millisecond
	}
	r.head.seen.CompareAndSwap(seen, uint64(turn)<<seenTimeBits|now) // else another saw it as well
	return 0
}

// leave releases the lock, then wakes those whom what was done under it concerns, and then releases r.mu.
func (r *Ring) leave() {
	defer r.mu.Unlock()
	if r.head.broken.Load() != 0 {
		for kind := range r.head.waiting {
			r.wakeAll(kind)
		}
	}
	r.step("lock: to be released")
	if r.head.lock.Swap(noToken)&waited != 0 {
		r.step("lock: released, nobody woken")
		wake(&r.head.lock, 1)
	}
	for len(r.toWake) > 0 {
		r.step("lock: released, sleepers not woken")
		last := len(r.toWake) - 1
		wake(r.toWake[last], 1)
		r.toWake = r.toWake[:last]
	}
}
