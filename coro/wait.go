package coro

import (
	"context"
	"fmt"
	"unsafe" // for addresses to prefetch, which are never used as such

	"github.com/plexor-go/plexor/internal/prefetch"
)

// A Waiter is a place where one task waits until somebody wakes it. It is what all waiting of this package is made
// of, and for whoever brings coroutines together with handlers of a loop: put one next to the data (as a value; it
// is one word, and allocates nothing), and
//
//	func (c *conn) Read(p []byte) (int, error) {          // in a coroutine
//		for c.have == 0 {
//			if err := c.reader.Wait(ctx, "read", c); err != nil {
//				return 0, err
//			}
//		}
//		…
//	}
//
//	func (c *conn) Data(_ *loop.Conn, p []byte) {         // on the loop
//		c.have = …
//		c.reader.Wake()                                   // runs the coroutine here and now
//	}
//
// What the waker has to say it writes next to the Waiter before it calls Wake. A wait ends once: by Wake or by
// cancellation, whichever is first. If it was Wake, the wait succeeds, even if the task is cancelled before it runs:
// what it was woken with is its own, and its next wait fails. If it was the cancellation, Wake finds nobody and
// reports false. So nothing is lost between the two, and no Wake reaches a later wait.
//
// A wait and its wake cost a switch there and back.
type Waiter struct {
	task *Task // nil: nobody waits
}

// Waiting reports whether a task waits here.
func (w *Waiter) Waiting() bool { return w.task != nil }

// Wake ends the wait; false means that nobody waits here. Called by loop code it switches to the task, and returns
// when that waits again or has ended: so the task may use what belongs to the callback that wakes it. Called by a
// coroutine it makes the task run later in the loop's turn.
func (w *Waiter) Wake() bool {
	t := w.task
	if t == nil {
		return false
	}
	s := t.scope.sched
	s.here("Waiter.Wake")
	w.task, t.wait = nil, nil
	if s.running != nil || s.rand != nil || s.closed {
		s.enqueue(t)
		return true
	}
	// This is run, written out. After a switch the processor has lost track of who called whom, and guesses wrong
	// at each return until it is back where it was: a frame less is 5 ns less.
	co := s.board(t)
	co.next()
	s.running = nil
	if co.ended {
		s.leave(t, co)
	}
	return true
}

// Prefetch has the processor fetch what Wake will need, in PrefetchSteps steps: each looks at what the step before has
// fetched, so let some time pass in between. It changes nothing, and is for the loop's own.
func (w *Waiter) Prefetch(step int) {
	if t := w.task; t != nil {
		t.prefetch(step)
	}
}

// PrefetchSteps is how many steps a Prefetch has.
const PrefetchSteps = 3

// prefetch is Waiter.Prefetch: the task, its worker, and what the runtime keeps of that.
func (t *Task) prefetch(step int) {
	if step == 0 { // without a look at it
		prefetch.Bytes(unsafe.Pointer(t), hotTask)
		return
	}
	switch co := t.co; {
	case co == nil:
	case step == 1:
		prefetch.Bytes(unsafe.Pointer(co), unsafe.Offsetof(co.sched))
	case step == 2:
		co.prefetch()
	}
}

// wakeLater is Wake that never switches: for what is not done with its own affairs.
func (w *Waiter) wakeLater() bool {
	t := w.task
	if t == nil {
		return false
	}
	w.task, t.wait = nil, nil
	t.scope.sched.enqueue(t)
	return true
}

// Wait makes the calling coroutine wait. It returns nil after Wake, and the cause when ctx, or whatever the task is in
// at the time (see the package's text on cancellation), is cancelled: at once if it is already. what and on are for
// lists: what the task does ("read"), and with what; on may be nil, and is printed with %v, on the loop. Two tasks at
// one Waiter are a mistake, and panic.
func (w *Waiter) Wait(ctx context.Context, what string, on any) error {
	t, err := enter(ctx, what)
	if err != nil {
		return err
	}
	co := t.prepare(w, t.locate(ctx), what, on)
	for co.yield(struct{}{}) && co.look { // as in worker.park, with a frame less
		co.writeDown()
	}
	return t.outcome()
}

// Park is Wait for operations without a context: it is cancelled along with what the task is in at the time. t must
// be the task that calls it, as [Scheduler.Self] gives it.
func (w *Waiter) Park(t *Task, what string, on any) error {
	if err := t.cur.cause(); err != nil {
		return err
	}
	co := t.prepare(w, t.cur, what, on)
	for co.yield(struct{}{}) && co.look { // likewise
		co.writeDown()
	}
	return t.outcome()
}

// Self is the task that calls it. The error is a *MisuseError, which says who called instead: a goroutine that is no
// coroutine, a coroutine of another loop, or the loop itself.
func (s *Scheduler) Self(op string) (*Task, error) {
	if co := s.current.Load(); co != nil && co.g == goroutine() {
		return co.task, nil
	}
	return nil, s.stranger(op)
}

// self is Self that panics.
func (s *Scheduler) self(op string) *Task {
	if co := s.current.Load(); co != nil && co.g == goroutine() {
		return co.task
	}
	panic(s.stranger(op))
}

// enter begins an operation that may wait: it finds the calling task, and whether its waits fail by now. That ctx was
// given to another task of the same loop is no mistake: who runs is who waits, and ctx says until when.
func enter(ctx context.Context, op string) (*Task, error) {
	sc, ok := ctx.(*scope)
	if !ok {
		if sc = scopeOf(ctx); sc == nil {
			given(op, "the context", ctx != nil)
			panic(&MisuseError{Op: op, Why: "its context carries no task: it takes the context that the task was given, or " +
				"one derived from it"})
		}
	}
	t := sc.sched.self(op)
	return t, t.refused(ctx)
}

// refused is why a wait with ctx would fail now; nil: it would not.
func (t *Task) refused(ctx context.Context) error {
	if sc, ok := ctx.(*scope); (!ok || sc != t.cur) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return t.cur.cause()
}

// waitIn is the wait of an operation that enter began.
func (t *Task) waitIn(ctx context.Context, w *Waiter, what string, on any) error {
	return t.park(w, t.locate(ctx), what, on)
}

// locate is the scope whose cancellation ends a wait with ctx. If there is none that covers ctx, follow sees to that.
func (t *Task) locate(ctx context.Context) *scope {
	if sc, ok := ctx.(*scope); ok && sc == t.cur {
		return sc
	}
	under, foreign := t.place(ctx)
	if foreign {
		t.follow(ctx)
	}
	return under
}

// park switches away until w wakes the task, or under, if not nil, is cancelled.
func (t *Task) park(w *Waiter, under *scope, what string, on any) error {
	t.prepare(w, under, what, on).park()
	return t.outcome()
}

// prepare writes down what t waits for.
func (t *Task) prepare(w *Waiter, under *scope, what string, on any) *worker {
	if w.task != nil {
		panic(&MisuseError{Op: what, Why: fmt.Sprintf("%s waits there already; one can at a time", w.task)})
	}
	w.task, t.wait, t.under = t, w, under
	t.what, t.on = what, on
	t.since = t.scope.sched.loop.Uptime()
	t.state = Waiting
	var here byte
	t.co.sp = uintptr(unsafe.Pointer(&here))
	return t.co
}

// outcome is why the wait that is over failed; nil: it was woken.
func (t *Task) outcome() error {
	t.following = false
	if t.cause == nil {
		return nil
	}
	cause := t.cause
	t.cause = nil
	return cause
}

// interrupt ends t's wait with an error.
func (t *Task) interrupt(cause error) {
	t.wait.task, t.wait = nil, nil
	t.cause = cause
	t.scope.sched.enqueue(t)
}

// yield lets the others run.
func (t *Task) yield() {
	t.what, t.on, t.since = "its turn", nil, t.scope.sched.loop.Uptime()
	t.scope.sched.enqueue(t)
	t.co.park()
}

// follow has the wait that t begins now end with ctx, which is foreign. The watch is kept until the task waits with
// another context, so that many waits with the same one set up one.
func (t *Task) follow(ctx context.Context) {
	done := ctx.Done()
	if t.follows != nil {
		if t.follows.done == done {
			t.following = true
			return
		}
		t.unfollow()
	}
	if done == nil {
		return
	}
	t.following = true
	t.follows = t.scope.sched.watch(ctx, func() {
		if t.following && t.wait != nil {
			t.interrupt(context.Cause(ctx))
		}
	})
}

func (t *Task) unfollow() {
	if t.follows != nil {
		t.follows.stop()
		t.follows = nil
	}
}

// here panics unless the caller is of the loop: its own goroutine, or the coroutine that runs. Before the loop runs
// nobody can tell.
func (s *Scheduler) here(op string) {
	g := goroutine()
	if s.g.Load() == g {
		return
	}
	if co := s.current.Load(); co != nil && co.g == g {
		return
	}
	if s.g.Load() != 0 {
		panic(s.stranger(op))
	}
}

// ours reports whether the caller is of the loop.
func (s *Scheduler) ours() bool {
	g := goroutine()
	co := s.current.Load()
	return s.g.Load() == g || co != nil && co.g == g
}

// stranger says who the caller is, if not a coroutine of s.
func (s *Scheduler) stranger(op string) *MisuseError {
	const (
		outside = "from outside a coroutine, use Call, or Loop().Post"
		callers = "it is for coroutines of its loop, and was called "
	)
	switch o, in := caller(); {
	case o == nil:
		return &MisuseError{Op: op, Why: callers + fmt.Sprintf("by goroutine %d, which is none (one that a task started, "+
			"or that runs the inside of an iter.Pull)", goroutineNumber()), Instead: outside}
	case o != s:
		return &MisuseError{Op: op, Why: callers + "on another loop", Instead: "to have something done there, Post it"}
	case in == nil:
		return &MisuseError{Op: op, Why: callers + "by the loop itself (a handler, a timer, a posted function), which " +
			"can't wait: start a task there (Go)"}
	}
	return &MisuseError{Op: op, Why: callers + "by a coroutine of it"} // not reached
}

// caller is the scheduler whose goroutine this is, and, if it is a coroutine's, its worker.
func caller() (*Scheduler, *worker) {
	g := goroutine()
	schedulers.Lock()
	defer schedulers.Unlock()
	for _, s := range schedulers.of {
		if co := s.current.Load(); co != nil && co.g == g {
			return s, co
		}
		if s.g.Load() == g {
			return s, nil
		}
	}
	return nil, nil
}
