package plexor

import (
	"context"
	"errors"
	"slices"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/wait"
)

// An outWaiter is one who waits for room in an Outbox, on a goroutine or a coroutine of any loop.
type outWaiter struct{ wake func() }

// errNoRoomYet has the caller wait.
var errNoRoomYet = errors.New("plexor: there is no room in the outbox yet")

// PutWait is SendWait for what is prepared.
func (o *Outbox) PutWait(ctx context.Context, m Prepared) error {
	if ctx == nil {
		return errNoContext("Outbox.PutWait")
	}
	how := putting{waits: true}
	for {
		err := o.put(entry{p: m.p}, how)
		if err != errNoRoomYet {
			if how.woken {
				o.mu.Lock()
				o.wakeWaiters() // there may be room for the next one too
				o.mu.Unlock()
			}
			return err
		}
		if err := o.awaitRoom(ctx, len(m.p), how.woken); err != nil {
			return err
		}
		how.woken = true
	}
}

// mustWait reports whether one who waits has to. One that was woken is before all others. The caller holds mu.
func (o *Outbox) mustWait(n int, woken bool) bool { return o.full(n) || len(o.waiters) > 0 && !woken }

// awaitRoom waits until there may be room for n bytes.
func (o *Outbox) awaitRoom(ctx context.Context, n int, woken bool) error {
	w := new(outWaiter)
	sleep, err := o.sleeper(ctx, w)
	if err != nil {
		return err
	}
	o.mu.Lock()
	if o.c == nil || !o.mustWait(n, woken) { // it has changed meanwhile
		o.mu.Unlock()
		return nil
	}
	if woken {
		o.waiters = slices.Insert(o.waiters, 0, w) // it has waited longest
	} else {
		o.waiters = append(o.waiters, w)
	}
	o.mu.Unlock()
	err = sleep()
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if i := slices.Index(o.waiters, w); i >= 0 {
			o.waiters = slices.Delete(o.waiters, i, i+1)
		} else {
			o.wakeWaiters() // it was woken all the same
		}
	}
	return err
}

// sleeper is how the caller sleeps until w.wake is called: as a coroutine, or as a goroutine.
func (o *Outbox) sleeper(ctx context.Context, w *outWaiter) (sleep func() error, err error) {
	t, err := coro.Self(ctx, "Outbox.SendWait")
	if err == nil {
		var at coro.Waiter
		woken := false
		call := t.Scheduler().Loop().NewCall(func() {
			woken = true
			at.Wake()
		})
		w.wake = func() { _ = call.Ask() } // a loop that has ended has cancelled its tasks
		return func() error {
			for !woken {
				if err := at.Wait(ctx, "room in an outbox", nil); err != nil {
					return err
				}
			}
			return nil
		}, nil
	}
	o.mu.Lock()
	here := o.w
	o.mu.Unlock()
	if here != nil && here.loop.OnLoop() {
		return nil, &coro.MisuseError{Op: "Outbox.SendWait", Why: "it would wait for the connection's loop, " +
			"and was called on it, by a timer or a posted function, which can't wait, " +
			"or by a coroutine with another's context: pass the one that the coroutine was given"}
	}
	s := wait.NewSleeper()
	w.wake = s.Wake
	return func() error { return s.Sleep(ctx) }, nil
}

// wakeWaiters wakes the first of those that wait, if there is room, and all once the box takes no more. The caller
// holds mu.
func (o *Outbox) wakeWaiters() {
	for len(o.waiters) > 0 && (o.c == nil || !o.full(1)) {
		w := o.waiters[0]
		o.waiters[0] = nil
		o.waiters = o.waiters[1:]
		w.wake()
		if o.c != nil {
			return // which wakes the next
		}
	}
	if len(o.waiters) == 0 {
		o.waiters = nil
	}
}
