package shm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// lockByte is where party i's byte lies in the file: behind everything that could be mapped, as locks may.
func lockByte(i uint32) int64 { return 1<<32 + int64(i) }

// register makes this Ring a party: it takes a place whose byte nobody has locked, and cleans up after who died in it.
func (r *Ring) register() error {
	for i := range uint32(MaxParties) {
		fl := unix.Flock_t{Type: unix.F_WRLCK, Start: lockByte(i), Len: 1}
		err := unix.FcntlFlock(uintptr(r.fd), unix.F_OFD_SETLK, &fl)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			continue // another party's
		}
		if err != nil {
			return &Error{Op: "join the parties", Call: "fcntl(F_OFD_SETLK)", Err: err,
				Hint: "it needs Linux 3.15 and a file system with locks"}
		}
		return r.settle(i)
	}
	return &Error{Op: "join the parties", Err: ErrTooMany,
		Hint: fmt.Sprintf("%d Rings have it open; close some", MaxParties)}
}

// settle takes place i, whose byte is locked by now.
func (r *Ring) settle(i uint32) (err error) {
	defer r.guard(debug.SetPanicOnFault(true), &err)
	r.number = i
	p := r.party(i)
	gen := (p.gen.Load() & maxGen) + 1
	if gen > maxGen {
		gen = 1
	}
	p.pid.Store(uint32(os.Getpid()))
	// From here on what has the token of who was here before belongs to nobody who lives.
	p.gen.Store(gen)
	r.token = makeToken(gen, i)
	r.step("register: generation")
	if err := r.enter(brief(HeldLimit)); err != nil {
		return err
	}
	defer r.leave()
	// That one may have died holding things; who else has died has as well.
	if p.used.Load() != 0 || r.anyDead() {
		if err := r.rebuild(noToken); err != nil {
			return err
		}
	}
	for kind := range r.head.waiting {
		r.setWaiting(kind, i, false)
	}
	r.step("register: to be used")
	p.used.Store(1)
	return nil
}

// alive tells whether the party with that token lives. false is for ever.
func (r *Ring) alive(token uint32) bool {
	if token == r.token {
		return true
	}
	gen, i := splitToken(token)
	return r.party(i).gen.Load() == gen && r.lockedByOther(i)
}

// lockedByOther tells whether another open file has locked party i's byte: whether a party of that number lives.
func (r *Ring) lockedByOther(i uint32) bool {
	fl := unix.Flock_t{Type: unix.F_WRLCK, Start: lockByte(i), Len: 1}
	err := unix.FcntlFlock(uintptr(r.fd), unix.F_OFD_GETLK, &fl)
	// What worked when this party registered fails for want of memory alone; then the other is taken to live, and asked
	// for again later.
	return err != nil || fl.Type != unix.F_UNLCK
}

// anyDead tells whether there is a party that has died and was not buried.
func (r *Ring) anyDead() bool {
	for i := range uint32(MaxParties) {
		if i != r.number && r.party(i).used.Load() != 0 && !r.lockedByOther(i) {
			return true
		}
	}
	return false
}

// bury forgets the dead, when nothing is theirs any more. The caller holds the lock.
func (r *Ring) bury() {
	for i := range uint32(MaxParties) {
		p := r.party(i)
		if i == r.number || p.used.Load() == 0 || r.lockedByOther(i) {
			continue
		}
		for kind := range r.head.waiting {
			r.setWaiting(kind, i, false)
		}
		r.step("rebuild: a party to be buried")
		p.used.Store(0)
	}
}

// sweep looks for dead parties, if nobody has lately, and takes back what they had.
func (r *Ring) sweep(ctx context.Context) error {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return &Error{Op: "look for dead parties", Call: "clock_gettime", Err: err}
	}
	now, last := ts.Nano(), r.head.swept.Load()
	if since := now - last; since >= 0 && since < int64(CheckInterval)/2 || !r.head.swept.CompareAndSwap(last, now) {
		return nil
	}
	if !r.anyDead() {
		return nil
	}
	if err := r.enter(patience{ctx: ctx}); err != nil {
		return err
	}
	defer r.leave()
	return r.rebuild(noToken)
}
