//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"context"
	"slices"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/wait"
)

// A keeper is the goroutine that has a worker. While the worker has nothing to do it is on the pool's list of idle
// ones, and whoever takes it off there, under the pool's lock, has the worker: one who gives the keeper a task, a
// goroutine that talks to the worker by itself (Pool.call), or the keeper, since the worker died or the pool ends.
type keeper struct {
	number int
	w      *poolWorker // nil: it could not be started
	deaths int         // in a row, without a call that was done
	wanted bool        // the keeper wants its worker back from who has it; guarded by the pool's lock
	work   chan *task  // has room for the one that it is given
	back   chan bool   // likewise: who had the worker gives it back; false: it is of no more use
}

// What next came back for without a task.
const (
	nextTask = iota
	nextGone // the worker died while it was idle
	nextUsed // the worker is of no more use, as who used it has told
	nextEnd  // the pool ends
)

// next waits for a task.
func (p *Pool) next(k *keeper) (t *task, how int) {
	var gone <-chan struct{}
	if k.w != nil {
		gone = k.w.gone
	}
	for {
		if p.isClosing() {
			return nil, nextEnd
		}
		if t = p.nextOrIdle(k); t == nil {
			how := nextTask
			select {
			case t = <-k.work:
			case <-k.back:
				return nil, nextUsed // it was not wanted, so it is of no more use
			case <-gone:
				how = nextGone
			case <-p.closing:
				how = nextEnd
			}
			if how != nextTask && p.unidle(k) {
				return nil, how
			}
			if how != nextTask { // somebody has it
				select {
				case ok := <-k.back:
					if !ok {
						how = nextUsed
					}
					return nil, how
				case t = <-k.work:
				}
			}
		}
		if !t.finished() { // cancelled while it waited
			return t, nextTask
		}
	}
}

// queued is the task whose turn it is: first of those that were begun already. The caller holds p.mu.
func (p *Pool) queued() *task {
	select {
	case t := <-p.again:
		return t
	default:
	}
	select {
	case t := <-p.queue:
		return t
	default:
		return nil
	}
}

// nextOrIdle is the next task for a keeper; if there is none the keeper is idle.
func (p *Pool) nextOrIdle(k *keeper) *task {
	p.mu.Lock()
	defer p.mu.Unlock()
	k.wanted = false
	t := p.queued()
	if t == nil {
		p.idleLocked(k)
	}
	return t
}

func (p *Pool) idleLocked(k *keeper) {
	if k.w == nil {
		p.idle = slices.Insert(p.idle, 0, k) // it can but fail a task: others come first
		return
	}
	p.idle = append(p.idle, k)
}

// match gives tasks that are queued to keepers that are idle. It is called after a task was queued.
func (p *Pool) match() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		t := p.queued()
		if t == nil {
			return
		}
		k := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		k.work <- t
	}
}

// unidle takes a keeper off the list, and reports whether it was there. If not, who has its worker is to give that
// back.
func (p *Pool) unidle(k *keeper) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.idle, k)
	if i < 0 {
		k.wanted = true
		return false
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	return true
}

// borrow takes a worker that is idle; nil: there is none.
func (p *Pool) borrow() *keeper {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 && p.idle[n-1].w != nil {
		k := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return k
	}
	return nil
}

// giveBack ends a borrow.
func (p *Pool) giveBack(k *keeper, good bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !good || k.wanted {
		k.back <- good
		return
	}
	k.deaths = 0
	if t := p.queued(); t != nil {
		k.work <- t
		return
	}
	p.idleLocked(k)
}

// mostLent is how long an argument may be, in bytes, that a borrower sends: an idle worker's socket takes it without a
// wait.
const mostLent = 32 << 10

// call submits a call. A goroutine for which there is an idle worker talks to it by itself, as long as that takes no
// time to speak of; then another goroutine waits for the answer, and this one for that, as it does for those that are
// queued.
func (p *Pool) call(ctx context.Context, name string, in []byte) (*task, error) {
	t, err := p.admit(ctx, name, in)
	if err != nil {
		return nil, err
	}
	var k *keeper
	// A coroutine's loop must not be held up, and a bubble's goroutine can't wait for what is late by the pool's clock.
	if len(in) <= mostLent && !onLoop(ctx) && !wait.Bubbled() {
		k = p.borrow()
	}
	if k == nil {
		return t, p.enqueue(ctx, t)
	}
	t.watch(ctx)
	switch x, outcome := p.begin(k.w, t); outcome {
	case pending:
		go func() { p.giveBack(k, p.await(x)) }()
	default:
		p.giveBack(k, outcome == good)
	}
	return t, nil
}

// onLoop reports whether a coroutine calls.
func onLoop(ctx context.Context) bool {
	if ctx == context.Background() {
		return false // as is known without asking, which allocates the answer
	}
	_, err := coro.Self(ctx, "proc: call")
	return err == nil
}
