package shm

import (
	"time"
)

// The lock that all parties share. Its word is 0, or its owner's token, with a bit for "somebody sleeps":
//
//	 31     30            8 7      0
//	waited    generation    number        generation and number: the token of a party
//
// A generation makes the word of a party that died differ from that of the next one in its place. So the word can be
// exchanged for one's own by who has seen that its owner is dead, however long ago it looked: no living party has it.
const (
	waited   = 1 << 31
	maxGen   = 1<<23 - 1
	noToken  = 0
	spins    = 300 // looks at a lock that another has; it is held for some 100 ns
	firstNap = time.Millisecond
)

func makeToken(gen, number uint32) uint32      { return gen<<8 | number }
func splitToken(t uint32) (gen, number uint32) { return t >> 8, t & (MaxParties - 1) }

// enter takes the lock. The caller holds r.mu, so that within a process one goroutine at a time comes to the shared lock.
// It takes as long as others hold it, which they do for less than a microsecond, or a few milliseconds when one has died
// with it.
func (r *Ring) enter() error {
	if !r.head.lock.CompareAndSwap(noToken, r.token) {
		if stolen := r.enterSlowly(); stolen {
			if err := r.rebuild(noToken); err != nil {
				r.leave()
				return err
			}
		}
	}
	r.step("lock: taken")
	if r.head.broken.Load() != 0 {
		r.leave()
		return corrupt("another party found it so")
	}
	return nil
}

func (r *Ring) enterSlowly() (stolen bool) {
	lock := &r.head.lock
	for range spins {
		if lock.Load() == noToken && lock.CompareAndSwap(noToken, r.token) {
			return false
		}
	}
	for nap := firstNap; ; {
		w := lock.Load()
		switch {
		case w == noToken:
			// Others may sleep, of whom the word no longer tells: so this one's release wakes one.
			if lock.CompareAndSwap(noToken, r.token|waited) {
				return false
			}
			continue
		case w&^waited == r.token, nap > firstNap && !r.alive(w&^waited):
			// The first is a word that nobody wrote: who holds r.mu does not hold the lock.
			r.step("lock: its owner is dead")
			if lock.CompareAndSwap(w, r.token|waited) {
				return true
			}
			continue
		case w&waited == 0 && !lock.CompareAndSwap(w, w|waited):
			continue
		}
		if sleep(lock, w|waited, nap) {
			nap = min(2*nap, CheckInterval)
		}
	}
}

// leave releases the lock, and then wakes those whom what was done under it concerns.
func (r *Ring) leave() {
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
