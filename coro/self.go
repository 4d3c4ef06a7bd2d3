package coro

import "context"

// Self is the task that calls it, found by a context that the task was given or one derived from that: for operations
// of other packages that take a context as those of this one do. op is what was called, for the error, which is a
// *MisuseError: the context carries no task, or the caller is not on that task's loop, or no coroutine.
func Self(ctx context.Context, op string) (*Task, error) {
	sc := scopeOf(ctx)
	if sc == nil {
		return nil, &MisuseError{Op: op,
			Why: "its context carries no task: it takes the context that the task was given, or one derived from it"}
	}
	return sc.sched.Self(op)
}
