package coro

import "context"

// Await runs f on a goroutine of its own and waits for its result, while the loop and its other coroutines go on: for
// what blocks, such as files, names, databases and long computations. At most Options.Blocking run at once on behalf of
// a loop; others wait their turn. When ctx is cancelled Await returns the cause at once: f is then not started, or its
// result is dropped when it comes, and its goroutine still counts until it ends. So let f watch ctx itself if it can,
// and if its result must be closed, let f do that when ctx is done. A panic of f is returned as a *PanicError with
// the goroutine's stack. What may get stuck for long, as where a service does not answer,
// has a bound of its own by [AwaitIn].
func Await[T any](ctx context.Context, f func() (T, error)) (T, error) {
	var zero T
	t, err := enter(ctx, "Await")
	given("Await", "the function", f != nil)
	if err != nil {
		return zero, err
	}
	return await(ctx, t, &t.scope.sched.slots, f)
}

// AwaitIn is [Await] with a bound of the caller's in place of Options.Blocking: f runs while it holds a unit of places.
// So calls of one kind that are stuck hold up none of another. places is for such calls on one loop.
func AwaitIn[T any](ctx context.Context, places *Semaphore, f func() (T, error)) (T, error) {
	var zero T
	t, err := enter(ctx, "AwaitIn")
	given("AwaitIn", "the semaphore", places != nil)
	given("AwaitIn", "the function", f != nil)
	if err != nil {
		return zero, err
	}
	places.home.settle(t.scope.sched, "AwaitIn")
	return await(ctx, t, &places.sem, f)
}

func await[T any](ctx context.Context, t *Task, slots *semaphore, f func() (T, error)) (T, error) {
	var zero T
	if err := slots.acquire(ctx, t, 1, "a goroutine for Await"); err != nil {
		return zero, err
	}
	if err := t.refused(ctx); err != nil { // cancelled when the slot was its own already
		slots.release(1)
		return zero, err
	}
	r := new(awaited[T])
	go func() {
		defer t.scope.sched.outside(func() {
			slots.release(1)
			r.waiter.Wake()
		})
		r.run(f)
	}()
	if err := t.waitIn(ctx, &r.waiter, "await", f); err != nil {
		return zero, err
	}
	return r.v, r.err
}

type awaited[T any] struct {
	waiter Waiter
	v      T
	err    error
}

// run calls f; a Goexit in it goes on after this, and ends the goroutine.
func (r *awaited[T]) run(f func() (T, error)) {
	returned := false
	defer func() {
		if !returned {
			r.err = caught("a function of Await ("+functionName(f)+")", recover())
		}
	}()
	r.v, r.err = f()
	returned = true
}
