package ipc

import "context"

// A Lock is a lock of a manager, which one client at a time holds. It is released when its holder dies, or closes its
// Client. Those who wait get it in the order in which they came. Its methods are for any goroutine and any coroutine.
//
// Each time that it is taken it comes with a token, greater than all tokens that this manager, and one before it at the
// same place, has given out (as long as the clock was not set back). It is for fencing: a process that was stopped for
// so long that another one has the lock by now does not know it, so what the lock protects takes the token along with
// each change and refuses one that is less than it has seen. For values of the same manager, [Lock.Holds] does that.
type Lock struct {
	c    *Client
	name string
}

// OpenLock is the lock of a name. It makes no call.
func OpenLock(c *Client, name string) *Lock {
	given("OpenLock", "the client", c != nil)
	return &Lock{c, name}
}

// Lock waits for the lock, and returns its token. It is not reentrant: whoever has it and asks again waits.
func (l *Lock) Lock(ctx context.Context) (token int64, err error) {
	rp, err := l.c.with(ctx, l.locking(0, 0))
	return rp.n, err
}

// TryLock takes the lock if it is free and nobody waits.
func (l *Lock) TryLock(ctx context.Context) (token int64, ok bool, err error) {
	rp, err := l.c.with(ctx, l.locking(0, 1))
	return rp.n, rp.status == statusOK && err == nil, err
}

// Unlock gives the lock back. The token is that of its taking; [ErrNotHeld] means that this client does not hold it.
func (l *Lock) Unlock(ctx context.Context, token int64) error {
	_, err := l.c.with(ctx, l.Holds(token).as(opUnlock))
	return err
}

// Holds asks whether the lock is held, by whomever, with this token.
func (l *Lock) Holds(token int64) Step {
	return Step{step: step{op: opLockIs, name: l.name, n: token}}
}

func (l *Lock) locking(shared, try int64) Step {
	return Step{step: step{op: opLock, name: l.name, n: shared, m: try}}
}

// A RWLock is a [Lock] that readers hold together, and a writer alone. First come, first served: readers that come
// after a writer which waits wait behind it. A RWLock and a Lock of the same name are one: Lock is its writer's side.
type RWLock struct{ l Lock }

// OpenRWLock is the lock of a name. It makes no call.
func OpenRWLock(c *Client, name string) *RWLock {
	given("OpenRWLock", "the client", c != nil)
	return &RWLock{Lock{c, name}}
}

// Lock waits until the writer's side is free, as [Lock.Lock].
func (l *RWLock) Lock(ctx context.Context) (token int64, err error) { return l.l.Lock(ctx) }

// TryLock takes the writer's side if nobody holds the lock and nobody waits.
func (l *RWLock) TryLock(ctx context.Context) (token int64, ok bool, err error) {
	return l.l.TryLock(ctx)
}

// Unlock gives either side back, by its token, as [Lock.Unlock].
func (l *RWLock) Unlock(ctx context.Context, token int64) error { return l.l.Unlock(ctx, token) }

// Holds asks whether either side is held, by whomever, with this token.
func (l *RWLock) Holds(token int64) Step { return l.l.Holds(token) }

// RLock waits until the lock can be read under, and returns a token, which Unlock takes back.
func (l *RWLock) RLock(ctx context.Context) (token int64, err error) {
	rp, err := l.l.c.with(ctx, l.l.locking(1, 0))
	return rp.n, err
}

// TryRLock takes it if no writer holds it and nobody waits.
func (l *RWLock) TryRLock(ctx context.Context) (token int64, ok bool, err error) {
	rp, err := l.l.c.with(ctx, l.l.locking(1, 1))
	return rp.n, rp.status == statusOK && err == nil, err
}

// A Semaphore is a number of units in a manager that clients hold. Those of a client that dies, or closes, come back.
// First come, first served: one that wants many is not overtaken by those that want few. Its methods are for any
// goroutine and any coroutine.
type Semaphore struct {
	c     *Client
	name  string
	units int
}

// OpenSemaphore is the semaphore of a name, of so many units; all who open it say the same number. It makes no call.
func OpenSemaphore(c *Client, name string, units int) *Semaphore {
	given("OpenSemaphore", "the client", c != nil)
	return &Semaphore{c, name, units}
}

func (x *Semaphore) step(n, try int64) Step {
	return Step{step: step{op: opAcquire, name: x.name, n: n, m: try, a: varint(int64(x.units))}}
}

// Acquire waits for n units, and returns a token for [Semaphore.Release].
func (x *Semaphore) Acquire(ctx context.Context, n int) (token int64, err error) {
	rp, err := x.c.with(ctx, x.step(int64(n), 0))
	return rp.n, err
}

// TryAcquire takes n units if they are free and nobody waits.
func (x *Semaphore) TryAcquire(ctx context.Context, n int) (token int64, ok bool, err error) {
	rp, err := x.c.with(ctx, x.step(int64(n), 1))
	return rp.n, rp.status == statusOK && err == nil, err
}

// Release gives back what an Acquire took, by its token.
func (x *Semaphore) Release(ctx context.Context, token int64) error {
	_, err := x.c.with(ctx, Step{step: step{op: opRelease, name: x.name, n: token}})
	return err
}

// An Event is a flag of a manager that clients wait for. It is not set at first. Its methods are for any goroutine and
// any coroutine.
type Event struct {
	c    *Client
	name string
}

// OpenEvent is the event of a name. It makes no call.
func OpenEvent(c *Client, name string) *Event {
	given("OpenEvent", "the client", c != nil)
	return &Event{c, name}
}

func (e *Event) step(o op) Step { return Step{step: step{op: o, name: e.name}} }

// Set sets the event: all who wait go on.
func (e *Event) Set(ctx context.Context) error {
	_, err := e.c.with(ctx, e.Setting())
	return err
}

// Clear takes it back.
func (e *Event) Clear(ctx context.Context) error {
	_, err := e.c.with(ctx, e.Clearing())
	return err
}

// IsSet reports whether it is set.
func (e *Event) IsSet(ctx context.Context) (bool, error) { return is(e.c.with(ctx, e.Is())) }

// Wait waits until it is set.
func (e *Event) Wait(ctx context.Context) error {
	_, err := e.c.with(ctx, e.step(opEventWait))
	return err
}

// Setting is the step that sets the event.
func (e *Event) Setting() Step { return e.step(opEventSet) }

// Clearing is the step that takes it back.
func (e *Event) Clearing() Step { return e.step(opEventClear) }

// Is asks whether it is set.
func (e *Event) Is() Step { return e.step(opEventIs) }

// A Barrier lets a number of calls, of whichever clients, wait for each other, again and again. Its methods are for any
// goroutine and any coroutine.
type Barrier struct {
	c       *Client
	name    string
	parties int
}

// OpenBarrier is the barrier of a name, which opens when so many wait; all who open it say the same number. It makes no
// call.
func OpenBarrier(c *Client, name string, parties int) *Barrier {
	given("OpenBarrier", "the client", c != nil)
	return &Barrier{c, name, parties}
}

// Wait waits until so many do, this one among them, and returns its place: one less than the number for the first that
// came, 0 for the last. A call whose context ends does not count any more; the others wait on.
//
// A client that has ever waited at the barrier is a party to it. When one of those is gone (dead, or closed), whether
// it waits at that moment or not, those who wait fail with [ErrBarrierBroken], for they might wait for ever. The
// barrier is then as new.
func (b *Barrier) Wait(ctx context.Context) (place int, err error) {
	rp, err := b.c.with(ctx, Step{step: step{op: opBarrierWait, name: b.name, n: int64(b.parties)}})
	return int(rp.n), err
}
