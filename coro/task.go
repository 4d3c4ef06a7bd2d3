package coro

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/internal/wait"
)

// A Task is a function that runs as a coroutine. Any goroutine may call ID, Done, Err, Cancel and String; Wait is for
// coroutines of the same loop, and OnEnd for all of the loop's own.
type Task struct {
	// First what each switch uses, so that it is in two cache lines: with many coroutines that is most of what a switch
	// costs. The first line ends with cause, the second with the first fields of scope.
	co        *worker // while it runs
	cur       *scope  // the innermost
	wait      *Waiter // nil: it does not wait
	under     *scope  // whose cancellation ends the wait; nil: none does
	state     State
	following bool   // in this wait
	seen      bool   // somebody gets its error
	cause     error  // why the wait ended; nil: by Wake
	what      string // it waits for
	on        any
	since     time.Duration // it waits, as Loop.Uptime has it; 0: it does not
	follows   *watch

	scope scope // the whole of it: the context that f gets
	f     func(context.Context) error
	name  string
	id    uint64
	err   error // once it has ended

	group     *Tasks
	onEnd     func(error)
	waiters   list[int] // in Wait
	ended     atomic.Pointer[chan struct{}]
	next, pre *Task // of those that live

	_ [384 - 344]byte // to a multiple of a cache line, so that two lines are two
}

// hotTask is how much of a Task each switch uses, in bytes.
const hotTask = 128

// over is the Done of tasks that have ended.
var over = func() *chan struct{} {
	c := make(chan struct{})
	close(c)
	return &c
}()

// Go starts a task. It runs later in this turn of the loop. Its context is ctx with the task in it; when ctx is
// cancelled, so is the task. name is for lists; empty means that of the function. f's error is [Task.Err]; one that
// nobody waits for is lost, except that a panic is logged. A loop that has ended refuses: the task has then ended
// with ErrLoopClosed, and f does not run.
func (s *Scheduler) Go(ctx context.Context, name string, f func(ctx context.Context) error) *Task {
	s.here("Scheduler.Go")
	given("Scheduler.Go", "the context", ctx != nil)
	given("Scheduler.Go", "the function", f != nil)
	t := s.newTask(ctx, name, f)
	s.launch(t)
	return t
}

// Start is Go that, called by loop code while the loop runs, switches to the task at once: it returns when the task
// waits for the first time or has ended. So what the callback that starts it may use, the task may until then.
func (s *Scheduler) Start(ctx context.Context, name string, f func(ctx context.Context) error) *Task {
	s.here("Scheduler.Start")
	given("Scheduler.Start", "the context", ctx != nil)
	given("Scheduler.Start", "the function", f != nil)
	t := s.newTask(ctx, name, f)
	if s.running == nil && s.rand == nil && s.g.Load() != 0 {
		s.run(t)
	} else {
		s.launch(t)
	}
	return t
}

func (s *Scheduler) newTask(ctx context.Context, name string, f func(context.Context) error) *Task {
	t := &Task{f: f, name: name, id: s.serial.Add(1)}
	t.cur = &t.scope
	parent, foreign := &s.root, false
	if ctx != context.Background() {
		if sc := bare(ctx); sc != nil && sc.sched == s {
			parent = sc
		} else {
			foreign = true
		}
	}
	t.scope.open(s, t, parent, ctx, foreign)
	if t.next = s.tasks; t.next != nil {
		t.next.pre = t
	}
	s.tasks = t
	s.live++
	return t
}

// launch makes a new task run later.
func (s *Scheduler) launch(t *Task) {
	if s.closed && s.live == 1 { // nothing else is left that would come to it
		s.finish(t, ErrLoopClosed)
		return
	}
	t.what = "its start"
	s.enqueue(t)
}

// finish tells all who wait for t that it has ended.
func (s *Scheduler) finish(t *Task, err error) {
	t.err = err
	t.state = Ended
	t.unfollow()
	t.scope.close(endedTask)
	if t.pre != nil {
		t.pre.next = t.next
	} else {
		s.tasks = t.next
	}
	if t.next != nil {
		t.next.pre = t.pre
	}
	t.pre, t.next = nil, nil
	s.live--
	if c := t.ended.Swap(over); c != nil {
		t.seen = true
		close(*c)
	}
	for it := t.waiters.pop(); it != nil; it = t.waiters.pop() {
		t.seen = true
		it.wakeLater()
	}
	if g := t.group; g != nil {
		t.seen = true
		g.lost(err)
	}
	if f := t.onEnd; f != nil {
		t.seen, t.onEnd = true, nil
		f(err)
	}
	if p, ok := err.(*PanicError); ok && !t.seen {
		s.loop.Soon(func() { // whoever has just started it may still ask
			if !t.seen {
				at, frames := stack.Attrs(string(p.Stack))
				s.opt.Log.Error("a task panicked that nobody waits for",
					"task", t.String(), "panic", p.Value, "goexit", p.Goexit, at, frames)
			}
		})
	}
}

// ID is the task's number among those of its loop, from 1.
func (t *Task) ID() uint64 { return t.id }

// Scheduler is the task's scheduler.
func (t *Task) Scheduler() *Scheduler { return t.scope.sched }

// Context is the context that the task's function got. It is cancelled when the task has ended.
func (t *Task) Context() context.Context { return &t.scope }

// Name is what the task was called when it was started, or else the name of its function.
func (t *Task) Name() string {
	if t.name != "" {
		return t.name
	}
	return functionName(t.f)
}

func functionName(f any) string {
	if fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer()); fn != nil {
		return fn.Name()
	}
	return "?"
}

func (t *Task) String() string { return fmt.Sprintf("task %d (%s)", t.id, t.Name()) }

// Done is closed when the task has ended.
func (t *Task) Done() <-chan struct{} {
	if c := t.ended.Load(); c != nil {
		return *c
	}
	c := make(chan struct{})
	if t.ended.CompareAndSwap(nil, &c) {
		return c
	}
	return *t.ended.Load()
}

// Err is what the task's function returned, a *PanicError if it panicked, or nil while it has not ended.
func (t *Task) Err() error {
	if t.ended.Load() == over {
		return t.err
	}
	return nil
}

// Cancel cancels the task: its waits fail with cause from now on (nil: with context.Canceled).
func (t *Task) Cancel(cause error) {
	if cause == nil {
		cause = context.Canceled
	}
	t.scope.sched.cancelScope(&t.scope, cause)
}

// cancelScope cancels from any goroutine.
func (s *Scheduler) cancelScope(sc *scope, cause error) {
	c := &cancellation{context.Canceled, cause}
	if s.ours() {
		sc.cancel(c)
		return
	}
	s.outside(func() { sc.cancel(c) })
}

// OnEnd has f called with the task's error when it has ended, by loop code: at once if it has already. A task has one
// such function, the last that was given.
func (t *Task) OnEnd(f func(err error)) {
	t.scope.sched.here("Task.OnEnd")
	if t.state == Ended {
		t.seen = true
		f(t.err)
		return
	}
	t.onEnd = f
}

// Wait waits until t has ended and returns its error, or the cause when ctx is cancelled before; t then goes on.
func (t *Task) Wait(ctx context.Context) error {
	w, err := enter(ctx, "Task.Wait")
	if err != nil {
		return err
	}
	if w.scope.sched != t.scope.sched {
		panic(&MisuseError{Op: "Task.Wait", Why: "the task runs on another loop: " +
			"Await(ctx, func() … { <-task.Done() … }) waits for it"})
	}
	if w == t {
		panic(&MisuseError{Op: "Task.Wait", Why: "a task that waits for itself would wait for ever"})
	}
	if t.state != Ended {
		if err := t.waiters.wait(ctx, w, "a task's end", t, 0); err != nil {
			return err
		}
	}
	t.seen = true
	return t.err
}

// Call runs f as a task of s and waits for it, and is for any goroutine that is neither a coroutine nor a loop's. ctx
// is what the task's context derives from: cancelled, it cancels the task, for whose end Call still waits, since f
// may share what the caller has. Besides f's error it returns loop.ErrPostQueueFull or loop.ErrClosed when f could not
// be started, and ErrLoopClosed when the loop ended before f began. A panic of f is returned as a *PanicError. If the
// loop is closed and given up since a handler holds it, which may be f, Call does not wait longer: the error is a
// *loop.HeldError, and f may go on if that handler ever returns.
func Call[T any](ctx context.Context, s *Scheduler, name string, f func(ctx context.Context) (T, error)) (T, error) {
	given("Call", "the context", ctx != nil)
	given("Call", "the scheduler", s != nil)
	given("Call", "the function", f != nil)
	if OnLoop() {
		panic(&MisuseError{Op: "Call", Why: "it would block the loop that it was called on: there, start a task (Go) and " +
			"Wait for it, or Await a Call on another loop"})
	}
	var v, zero T
	ctx, stop := relayed(ctx, s)
	defer stop()
	var outcome error
	err := s.loop.DoUntil(func(done func()) {
		t := s.Go(ctx, name, func(ctx context.Context) (err error) {
			v, err = f(ctx)
			return err
		})
		if t.name == "" {
			t.name = functionName(f)
		}
		t.OnEnd(func(err error) {
			outcome = err
			done()
		})
	})
	if err != nil {
		return zero, err
	}
	if outcome != nil {
		return zero, outcome
	}
	return v, nil
}

// A relay is a context of a goroutine for a task on a loop. The goroutine may be in a bubble of testing/synctest, and
// then nobody outside may touch what its context is made of; so it is the goroutine's side that cancels the relay.
type relay struct {
	context.Context // without the deadline and cancellation of the goroutine's
	due             time.Time
	err             error // once Context has ended
}

// relayed is ctx, or a relay of it, for s. The caller calls stop when it needs it no more.
func relayed(ctx context.Context, s *Scheduler) (_ context.Context, stop func()) {
	if ctx.Done() == nil {
		return ctx, func() {}
	}
	if sc := bare(ctx); sc != nil && sc.sched == s {
		return ctx, func() {} // it is the loop's own
	}
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &relay{Context: inner}
	if !wait.Bubbled() { // its clock is another one
		r.due, _ = ctx.Deadline()
	}
	end := func() {
		r.err = ctx.Err()
		cancel(context.Cause(ctx))
	}
	if ctx.Err() != nil {
		end()
		return r, func() {}
	}
	unwatch := context.AfterFunc(ctx, end)
	return r, func() {
		if unwatch() {
			r.err = context.Canceled
			cancel(nil) // nobody has it any more
		}
	}
}

// Deadline is of context.Context.
func (r *relay) Deadline() (time.Time, bool) { return r.due, !r.due.IsZero() }

// Err is of context.Context.
func (r *relay) Err() error {
	if r.Context.Err() == nil {
		return nil
	}
	return r.err
}
