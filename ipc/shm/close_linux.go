package shm

import (
	"errors"
	"math"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Close leaves the ring: what this Ring has taken and not done goes back, as with Return, calls that wait fail with
// ErrClosed, and the memory is unmapped. The queue and its items stay, for the other parties; so does its name. If the
// lock can't be had within HeldLimit, the others find out that this party is gone as if it had died, and what it had
// goes back then. The Ring is closed even if there is an error. A second Close does nothing.
func (r *Ring) Close() error {
	r.mu.Lock()
	if r.closed.Load() {
		r.mu.Unlock()
		return nil
	}
	r.closed.Store(true)
	for kind := range r.turns {
		r.turns[kind].endAll()
	}
	r.wakeUp()
	for r.users.Load() > 0 {
		r.idle.Wait(&r.mu)
	}
	r.mu.Unlock()
	err := r.depart()
	if errors.Is(err, ErrHeld) {
		err = nil // as is told above
	}
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

// wakeUp has all who sleep look at once, for Close, which goes on if the memory is gone.
func (r *Ring) wakeUp() {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { _ = recover() }() // who sleeps looks again by itself
	for kind := range r.turns {
		r.nudgeLocked(kind)
	}
	wake(&r.head.lock, math.MaxInt32) // those of others go back to sleep
}

// depart takes this party's name off.
func (r *Ring) depart() (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	if err := r.enter(patience{limit: HeldLimit, parting: true}); err != nil {
		return err
	}
	defer r.leave()
	r.step("close: to give back")
	if r.held > 0 || len(r.unused) > 0 {
		if err := r.rebuild(r.token); err != nil {
			return err
		}
		r.unused = nil
	}
	// What it was woken for, and has not taken, is for others.
	r.wakeSome(forItem, r.head.ready.Load())
	r.wakeSome(forRoom, r.head.free.Load())
	r.step("close: to be unregistered")
	r.party(r.number).used.Store(0)
	return nil
}
