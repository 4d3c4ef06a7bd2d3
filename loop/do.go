package loop

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/internal/wait"
)

// Do runs f on the loop and waits until it has run. An error means that it did not; a *HeldError, that Close has given
// the loop up, and that f runs only if the handler that holds it ever returns. On the loop itself f runs at once,
// inside the call. Any goroutine may call it; on another loop it holds that one up meanwhile, and two that do so to
// each other wait for ever.
func (l *Loop) Do(f func()) error {
	if l.OnLoop() {
		f()
		return nil
	}
	return l.DoUntil(func(done func()) {
		defer done()
		f()
	})
}

// DoUntil runs f on the loop and waits until done is called, once, by f or whatever f has begun on this loop. An error
// is one of Do's: after a *HeldError f may be half done, and go on if the handler that holds the loop ever returns. It
// is for any goroutine but those of the loop.
func (l *Loop) DoUntil(f func(done func())) error {
	return l.doUntil(&doing{done: wait.NewLatch()}, f)
}

// TryDoUntil is DoUntil that does not outlast ctx: f is to look at it, and call done when it is done. If done was not
// called a tenth of a second later, the error is ctx's cause, and a *HeldError with it if a handler holds the loop. f
// may be half done then, go on, or not have begun, and run later.
func (l *Loop) TryDoUntil(ctx context.Context, f func(done func())) error {
	d := &doing{done: wait.NewLatch()}
	defer context.AfterFunc(ctx, func() { l.giveUpDoing(d, context.Cause(ctx)) })()
	return l.doUntil(d, f)
}

// giveUpDoing ends with err what waits, unless that ends by itself, which the loop needs a moment for. It is the
// system's time that counts: the caller may be in a bubble of testing/synctest, and this in none, or in another one.
func (l *Loop) giveUpDoing(d *doing, err error) {
	looks := wait.NewPulse(patienceLook)
	defer looks.Stop()
	turn := l.turn.Load()
	for range closeLooks {
		if looks.Next(nil); d.ended.Load() {
			return
		}
	}
	if l.turn.Load() == turn {
		if h, there := l.holder(); there && h.Blocked {
			err = fmt.Errorf("%w: %w", err, &HeldError{At: stack.At(h.Stack), Stack: h.Stack})
		}
	}
	d.end(err)
}

func (l *Loop) doUntil(d *doing, f func(done func())) error {
	if err := l.doing.add(d, l); err != nil {
		return err
	}
	defer l.doing.remove(d)
	if err := l.Post(func() { f(d.finish) }); err != nil { // what was posted runs, if only when the loop ends
		return err
	}
	d.done.Wait()
	return d.err
}

// A doing is a Do or a DoUntil that waits. Its goroutine may be in a bubble of testing/synctest, so it is no channel.
type doing struct {
	done  *wait.Latch
	ended atomic.Bool
	err   error
}

func (d *doing) finish() { d.end(nil) }

// end ends the wait, once.
func (d *doing) end(err error) {
	if !d.ended.Swap(true) {
		d.err = err
		d.done.Open()
	}
}

// doings are those of a loop, for who gives it up.
type doings struct {
	mu sync.Mutex
	of map[*doing]struct{}
}

// add fails if the loop was given up.
func (ds *doings) add(d *doing, l *Loop) error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	select {
	case <-l.held:
		return l.holding.Load()
	default:
	}
	if ds.of == nil {
		ds.of = make(map[*doing]struct{})
	}
	ds.of[d] = struct{}{}
	return nil
}

func (ds *doings) remove(d *doing) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	delete(ds.of, d)
}

// giveUp closes held, and ends all that wait.
func (ds *doings) giveUp(held chan struct{}, err error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	close(held)
	for d := range ds.of {
		d.end(err)
	}
}
