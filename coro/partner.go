package coro

import (
	"context"
	"errors"
	"io"
	"iter"
)

// A Partner is the other side of a conversation between two coroutines: the one that calls Next hands a value over and
// waits for the answer, and the partner, in its ask function, hands the answer over and waits for the next value.
type Partner[In, Out any] struct {
	task  *Task
	in    In
	out   Out
	has   bool   // in is there, and was not taken
	said  bool   // out is
	err   error  // of the last Next
	next  Waiter // in Next
	asked Waiter // in ask
	over  bool
}

// Talk starts a partner, which runs at the first Next: first is the value of that, and ask hands an answer over and
// returns the next value. When f returns, Next returns its error, or io.EOF if that is nil. ctx bounds its life, as
// does Close; ask fails when it is cancelled. It is called by a coroutine.
func Talk[In, Out any](
	ctx context.Context, f func(ctx context.Context, first In, ask func(Out) (In, error)) error,
) *Partner[In, Out] {
	given("Talk", "the function", f != nil)
	sc := scopeOf(ctx)
	if sc == nil {
		panic(&MisuseError{Op: "Talk", Why: "its context carries no task"})
	}
	s := sc.sched
	s.self("Talk")
	p := new(Partner[In, Out])
	p.task = s.newTask(ctx, functionName(f), func(ctx context.Context) error {
		first, err := p.hear(ctx)
		if err != nil {
			return nil // there was no conversation
		}
		return f(ctx, first, func(v Out) (In, error) {
			p.out, p.said = v, true
			p.next.wakeLater()
			return p.hear(ctx)
		})
	})
	p.task.onEnd = func(err error) {
		p.over = true
		if p.err = err; err == nil {
			p.err = io.EOF
		}
		p.next.wakeLater()
	}
	s.launch(p.task)
	return p
}

// hear waits for the next value.
func (p *Partner[In, Out]) hear(ctx context.Context) (v In, err error) {
	t, err := enter(ctx, "ask")
	if err != nil {
		return v, err
	}
	if t != p.task {
		panic(&MisuseError{Op: "ask", Why: "it is for the partner's own coroutine"})
	}
	if !p.has {
		if err := t.waitIn(ctx, &p.asked, "its partner", nil); err != nil {
			return v, err
		}
	}
	v, p.in, p.has = p.in, v, false
	return v, nil
}

// Next hands v over and waits for the answer. It fails with io.EOF when the partner has returned, with its error or
// panic if there was one, or with ctx's cause: the partner is then closed, since nobody would get the answer.
func (p *Partner[In, Out]) Next(ctx context.Context, v In) (out Out, err error) {
	t, err := enter(ctx, "Partner.Next")
	if err != nil {
		return out, err
	}
	switch {
	case t.scope.sched != p.task.scope.sched:
		panic(&MisuseError{Op: "Partner.Next", Why: "the partner is on another loop"})
	case p.next.Waiting():
		panic(&MisuseError{Op: "Partner.Next", Why: "another task waits for an answer already"})
	case p.over:
		return out, p.err
	}
	p.in, p.has = v, true
	p.asked.wakeLater()
	if err := t.waitIn(ctx, &p.next, "its partner", p.task); err != nil {
		p.task.Cancel(err)
		return out, err
	}
	if !p.said {
		return out, p.err
	}
	out, p.out, p.said = p.out, out, false
	return out, nil
}

// Close cancels the partner and waits until it has ended, whatever is cancelled meanwhile. It returns what the partner
// returned, unless that is only that it was cancelled. It is called by a coroutine.
func (p *Partner[In, Out]) Close() error {
	t := p.task.scope.sched.self("Partner.Close")
	if !p.over {
		p.task.Cancel(errPartner)
		for !p.over {
			_ = t.park(&p.next, nil, "its partner's end", p.task) // nothing else wakes it
		}
	}
	if p.err == io.EOF || errors.Is(p.err, errPartner) || errors.Is(p.err, context.Canceled) {
		return nil
	}
	return p.err
}

var errPartner = errors.New("coro: the partner was closed")

// Generate is a sequence whose values a coroutine makes as they are asked for: f calls yield for each, and may wait
// in between. Whoever ranges over it is a coroutine too. It ends when f returns, with f's error as the last pair if
// there is one; and when the loop is left early, yield returns an error, and f is waited for.
func Generate[T any](ctx context.Context, f func(ctx context.Context, yield func(T) error) error) iter.Seq2[T, error] {
	given("Generate", "the function", f != nil)
	return func(yield func(T, error) bool) {
		var zero T
		p := Talk(ctx, func(ctx context.Context, _ struct{}, ask func(T) (struct{}, error)) error {
			return f(ctx, func(v T) error {
				_, err := ask(v)
				return err
			})
		})
		p.task.name = functionName(f)
		told := false
		defer func() {
			if bug, ok := errors.AsType[*PanicError](p.Close()); ok && !told {
				panic(bug) // of an f that was left early; another error then has nobody to go to
			}
		}()
		for {
			v, err := p.Next(ctx, struct{}{})
			if err == io.EOF {
				return
			}
			if err != nil {
				told = true
				yield(zero, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
