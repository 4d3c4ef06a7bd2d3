package coro

import "context"

// WithCancelCause is context.WithCancelCause for the loop's own use: what waits with the context, or with one derived
// from it, learns in the same turn of the loop that a coroutine or a handler has called cancel, without a goroutine in
// between, and so in a lab at the same virtual time in each run. cancel gives back what the context takes. Any
// goroutine may call it; one that is not the loop's returns before the context has ended. As with package context, the
// context ends with ctx alone, and not with a group or a timeout in which the caller is.
func WithCancelCause(ctx context.Context) (_ context.Context, cancel context.CancelCauseFunc) {
	const op = "WithCancelCause"
	given(op, "the context", ctx != nil)
	of := scopeOf(ctx)
	if of == nil {
		panic(&MisuseError{Op: op, Why: "its context carries no task: for others there is context.WithCancelCause"})
	}
	s := of.sched
	s.here(op)
	sc := new(scope)
	if bare(ctx) == of {
		sc.open(s, of.task, of, ctx, false)
	} else {
		sc.open(s, nil, &s.root, ctx, true)
	}
	return sc, func(cause error) {
		if cause == nil {
			cause = context.Canceled
		}
		c := &cancellation{context.Canceled, cause}
		if s.ours() {
			sc.close(c)
			return
		}
		s.outside(func() { sc.close(c) })
	}
}
