package coro

import (
	"context"
	"errors"
)

// Tasks is an open group; see [Group]. Its methods are for the loop's own while the group is open: for its body and
// for the tasks in it.
type Tasks struct {
	scope  scope
	owner  *Task
	live   int
	joiner Waiter
	errs   []error // the first is why the group was cancelled
	closed bool
}

// Group runs body, in which tasks can be started with g.Go, and returns when body and all of these have ended. The
// first error of any of them, or panic, or Goexit, cancels the rest, body included: the waits of all of them fail with
// that error as the cause, whatever context they use. Group returns that error; others that came besides are joined
// to it (errors.Join), unless they only say that they were cancelled for it. A panic is a *PanicError with the
// coroutine's own stack.
//
// When ctx is cancelled, or whatever the calling task is in, so are all in the group, and Group still waits for them.
// A ctx that is cancelled already: neither body nor anything else runs, and Group returns the cause.
func Group(ctx context.Context, body func(g *Tasks) error) error {
	t, err := enter(ctx, "Group")
	given("Group", "the function", body != nil)
	if err != nil {
		return err
	}
	g := &Tasks{owner: t}
	outer := t.push(&g.scope, ctx)
	g.run(outer, body)
	return g.result()
}

// run runs the body, and waits for the tasks in any case.
func (g *Tasks) run(outer *scope, body func(g *Tasks) error) {
	returned := false
	defer func() {
		if !returned {
			g.failed(caught(g.owner.String(), recover())) // a Goexit goes on after this, to the task
		}
		g.join()
		g.owner.pop(&g.scope, outer)
	}()
	err := body(g)
	returned = true
	g.failed(err)
}

// Context is the context of the group: cancelled by its first error, and when it has ended.
func (g *Tasks) Context() context.Context { return &g.scope }

// Go starts a task in the group. It runs later in this turn of the loop.
func (g *Tasks) Go(f func(ctx context.Context) error) *Task { return g.GoNamed("", f) }

// GoNamed is Go with a name for lists.
func (g *Tasks) GoNamed(name string, f func(ctx context.Context) error) *Task {
	s := g.scope.sched
	s.here("Tasks.Go")
	if g.closed {
		panic(&MisuseError{Op: "Tasks.Go", Why: "the group has ended"})
	}
	given("Tasks.Go", "the function", f != nil)
	t := s.newTask(&g.scope, name, f)
	t.group = g
	g.live++
	s.launch(t)
	return t
}

// Cancel cancels all in the group. It is no error: Group returns what they return.
func (g *Tasks) Cancel(cause error) {
	if cause == nil {
		cause = context.Canceled
	}
	g.scope.sched.cancelScope(&g.scope, cause)
}

// failed takes in an error.
func (g *Tasks) failed(err error) {
	if err == nil {
		return
	}
	g.errs = append(g.errs, err)
	g.scope.cancel(&cancellation{context.Canceled, err})
}

// lost is called when a task of the group has ended.
func (g *Tasks) lost(err error) {
	g.failed(err)
	if g.live--; g.live == 0 {
		g.joiner.wakeLater()
	}
}

// join waits for the tasks; no cancellation ends that, for it ends them.
func (g *Tasks) join() {
	for g.live > 0 {
		_ = g.owner.park(&g.joiner, nil, "a group's tasks", nil) // nothing but their end wakes it
	}
	g.closed = true
}

// result leaves out the errors that only say that the group was cancelled.
func (g *Tasks) result() error {
	if len(g.errs) == 0 {
		return nil
	}
	return joined(g.errs[0], g.errs[1:])
}

// joined is first with those of the others that are news: that do more than say that they were cancelled.
func joined(first error, others []error) error {
	kept := []error{first}
	for _, err := range others {
		if err != nil && !errors.Is(err, first) && !errors.Is(err, context.Canceled) {
			kept = append(kept, err)
		}
	}
	if len(kept) == 1 {
		return first
	}
	return errors.Join(kept...)
}

// A Result is a task that has one.
type Result[T any] struct {
	*Task
	v T
}

// Go starts a task in the group that returns a value.
func Go[T any](g *Tasks, f func(ctx context.Context) (T, error)) *Result[T] {
	given("Go", "the group", g != nil)
	given("Go", "the function", f != nil)
	r := new(Result[T])
	r.Task = g.Go(func(ctx context.Context) (err error) {
		r.v, err = f(ctx)
		return err
	})
	r.name = functionName(f)
	return r
}

// Get waits for the task and returns what it returned; or the cause when ctx is cancelled before.
func (r *Result[T]) Get(ctx context.Context) (T, error) {
	if err := r.Wait(ctx); err != nil {
		var zero T
		return zero, err
	}
	return r.v, nil
}

// Race runs all of fs as tasks and returns the first result: that of the first to return without an error. The
// others are cancelled, and Race returns when they have ended. A result that another one has nevertheless goes to
// drop, if that is not nil: where results are connections or files, it closes them. If none succeeds, all their
// errors are returned, joined; a panic of any is an error of Race in any case.
func Race[T any](ctx context.Context, drop func(T), fs ...func(ctx context.Context) (T, error)) (T, error) {
	t, err := enter(ctx, "Race")
	for _, f := range fs {
		given("Race", "a function", f != nil)
	}
	var won bool
	var v, zero T
	if err != nil {
		return zero, err
	}
	errs := make([]error, len(fs))
	err = Group(ctx, func(g *Tasks) error {
		for i, f := range fs {
			g.GoNamed(functionName(f), func(ctx context.Context) error {
				r, err := f(ctx)
				switch {
				case err != nil:
					errs[i] = err
				case !won:
					won, v = true, r
					g.Cancel(ErrLost)
				case drop != nil:
					drop(r)
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		if won && drop != nil {
			drop(v)
		}
		return zero, err
	case won:
		return v, nil
	case len(fs) == 0:
		return zero, errors.New("coro: Race of nobody")
	}
	if cause := t.refused(ctx); cause != nil {
		return zero, joined(cause, errs)
	}
	return zero, errors.Join(errs...)
}
