package ipc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/loop"
)

// Waiting, from coroutines and goroutines alike. A goroutine waits by the means of the standard library: Go's own
// poller, channels. A coroutine parks, and its loop wakes it: it watches the socket (lookout), or is told by whoever
// wakes a sleeper. Both make the same calls, which do not block, so that neither can have taken what it then does not
// return. What is rare or can't be waited for on a loop, such as connecting and accepting, has a goroutine wait for the
// coroutine (await).

// task is the coroutine that calls with ctx; nil for a goroutine.
func task(ctx context.Context, op string) *coro.Task {
	if ctx == context.Background() || ctx.Value(offLoop{}) != nil {
		return nil // as is known without asking, which allocates the answer
	}
	t, err := coro.Self(ctx, op)
	if err != nil {
		return nil
	}
	return t
}

// offLoop marks the context of what await runs for a coroutine, so that task need not find out who calls.
type offLoop struct{}

// await calls f, which may block until its context is done, and must then return soon. A coroutine parks meanwhile.
// When await returns, f has. Its error is f's; where the caller's context, or the task, was cancelled it is f's too, or
// the cause if f returned none for that: what f has done by then is done.
func await(ctx context.Context, op string, f func(ctx context.Context) error) error {
	givenContext(op, ctx)
	return awaitFor(task(ctx, op), ctx, op, f)
}

// awaitFor is await for a task that is known.
func awaitFor(t *coro.Task, ctx context.Context, op string, f func(ctx context.Context) error) error {
	if t == nil {
		return f(ctx)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		w     coro.Waiter
		err   error
		ended = wait.NewLatch()
		over  bool // the loop's own
	)
	go func() {
		err = f(context.WithValue(inner, offLoop{}, true))
		ended.Open()
		wakeOn(t.Scheduler().Loop(), func() {
			over = true
			w.Wake()
		})
	}()
	if cause := w.Wait(ctx, op, nil); cause != nil {
		// f is told, and waited for, so that nothing of it is under way when the caller goes on.
		cancel(cause)
		_ = coro.Shield(ctx, endTime, func(ctx context.Context) error { // it fails if the loop ends
			if over {
				return nil
			}
			return w.Wait(ctx, op, nil)
		})
		ended.Wait()
	}
	return err
}

// endTime is how long a coroutine waits for what it has cancelled without holding up its loop. It takes microseconds,
// or cancelTime where a manager does not answer.
const endTime = 2 * cancelTime

// retryPost is how long to wait when a loop's queue of posted functions is full.
const retryPost = time.Millisecond

// wakeOn has the loop call f. A loop that has ended has failed all that waits on it.
func wakeOn(l *loop.Loop, f func()) {
	if errors.Is(l.Post(f), loop.ErrPostQueueFull) {
		time.AfterFunc(retryPost, func() { wakeOn(l, f) })
	}
}

// A sleeper is one wait, of a goroutine or a coroutine, that anybody can end.
type sleeper struct {
	t *coro.Task // nil: a goroutine
	w coro.Waiter
	g *wait.Sleeper // not a channel, which a goroutine of a testing/synctest bubble would make its bubble's alone
}

func newSleeper(t *coro.Task) *sleeper {
	s := &sleeper{t: t}
	if t == nil {
		s.g = wait.NewSleeper()
	}
	return s
}

// sleep waits until wake was called, before or after it, or until the context, or what the task is in, is done. It is
// called once.
func (s *sleeper) sleep(ctx context.Context, op string) error {
	if s.t != nil { // nothing runs on its loop before it parks, and so not what wake posts
		return s.w.Wait(ctx, op, nil)
	}
	return s.g.Sleep(ctx)
}

func (s *sleeper) wake() {
	if s.t != nil {
		wakeOn(s.t.Scheduler().Loop(), func() { s.w.Wake() })
		return
	}
	s.g.Wake()
}

// A gate lets one in at a time, in the order in which they came: a lock that is waited for with a context.
type gate struct {
	mu      sync.Mutex
	inside  bool
	waiting []*sleeper
}

func (g *gate) try() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside {
		return false
	}
	g.inside = true
	return true
}

func (g *gate) enter(ctx context.Context, op string) error {
	givenContext(op, ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if g.try() {
		return nil
	}
	s := newSleeper(task(ctx, op))
	g.mu.Lock()
	if !g.inside {
		g.inside = true
		g.mu.Unlock()
		return nil
	}
	g.waiting = append(g.waiting, s)
	g.mu.Unlock()
	err := s.sleep(ctx, op)
	if err == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, s); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		return err
	}
	return nil // let in at the same moment: what follows finds that the context is done
}

// leave lets the next one in.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.inside = false
		return
	}
	s := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	s.wake()
}
