package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// tasks are the functions of Host.Go. They are under World.mu.
type tasks struct {
	next []task // that did not begin yet
	left int    // that did not end yet
	errs []error
}

type task struct {
	host *Host
	f    func(ctx context.Context) error
}

// ErrStuck is the error of a Run in which nothing had anything to do any more, though functions were still waiting.
var ErrStuck = errors.New("lab: nothing in the world has anything to do any more, and functions are still waiting")

// Go has f run on the host as a coroutine, on a loop of the host's that is made for that: in virtual time from the next
// Run on, which waits for its end and returns its error. In a live world it runs at once, and [World.Wait] waits. Any
// goroutine may call it.
func (h *Host) Go(f func(ctx context.Context) error) {
	w := h.w
	w.mu.Lock()
	w.tasks.next = append(w.tasks.next, task{h, f})
	w.tasks.left++
	w.mu.Unlock()
	if w.opt.Live {
		w.begin()
	}
}

// begin has the functions begin that did not yet, in the order in which they were given.
func (w *World) begin() {
	w.starting.Lock()
	defer w.starting.Unlock()
	w.mu.Lock()
	next := w.tasks.next
	w.tasks.next = nil
	w.mu.Unlock()
	for _, t := range next {
		if err := t.host.start(t.f); err != nil {
			w.finished(fmt.Errorf("lab: host %s: %w", t.host.name, err))
		}
	}
}

func (w *World) finished(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks.left--
	if err != nil {
		w.tasks.errs = append(w.tasks.errs, err)
	}
	if w.lively != nil && w.tasks.left == 0 {
		w.lively.idle.Broadcast()
	}
}

// outcome is whether all functions have ended, and their errors, once.
func (w *World) outcome() (ended bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tasks.left > 0 {
		return false, nil
	}
	err = errors.Join(w.tasks.errs...)
	w.tasks.errs = nil
	return true, err
}

// start runs f on the host's own loop.
func (h *Host) start(f func(ctx context.Context) error) error {
	l, err := h.ownLoop()
	if err != nil {
		return err
	}
	return l.Post(func() {
		s := coro.On(l)
		s.Go(s.Context(), h.name, func(ctx context.Context) error {
			err := errors.New("it did not return: a panic, which the log has, or Goexit")
			defer func() {
				if err != nil {
					err = fmt.Errorf("host %s: %w", h.name, err)
				}
				h.w.finished(err)
			}()
			err = f(ctx)
			return nil // Run tells
		})
	})
}

var errClosed = errors.New("the world is closed")

// ownLoop is the loop of the functions of Go. The caller holds World.starting.
func (h *Host) ownLoop() (*loop.Loop, error) {
	switch {
	case h.w.closed:
		return nil, errClosed
	case h.loop != nil:
		return h.loop, nil
	}
	l, err := loop.New(loop.Options{Network: h})
	if err != nil {
		return nil, err
	}
	h.loop, h.ended = l, make(chan error, 1)
	go func() { h.ended <- l.Run() }()
	return l, nil
}

// endLoop is for Close, behind which ownLoop makes none.
func (h *Host) endLoop() error {
	if h.loop == nil {
		return nil
	}
	return errors.Join(h.loop.Close(), <-h.ended)
}

// Run lets virtual time pass until every function of Go has returned, and returns their errors. It ends with ErrStuck
// if, with functions still waiting, nothing has anything to do and, for Options.Patience, nothing comes from outside.
// Every loop on the world's hosts must run by then, for each is waited for. Run may be called again.
func (w *World) Run() error {
	return w.run(off)
}

// RunFor is Run that ends once d has passed as well, whether or not functions have returned.
func (w *World) RunFor(d time.Duration) error {
	at := w.sched.time() + d
	return w.run(at)
}

func (w *World) run(until time.Duration) error {
	if w.opt.Live {
		return errors.New("lab: Run of a live world: its time moves by itself")
	}
	if err := w.own(); err != nil {
		return err
	}
	if !w.sched.enter() {
		return errors.New("lab: Run was called twice at the same time")
	}
	defer w.sched.leave()
	w.sched.moves(w.begin)
	for {
		for w.sched.next() {
		}
		if ended, err := w.outcome(); ended && until == off || err != nil {
			return err
		}
		if w.settled() {
			continue
		}
		next := w.nextTime()
		switch {
		case next == off && until == off:
			if !w.sched.outside(w.opt.Patience) {
				return ErrStuck
			}
		case next > until:
			w.sched.now.Store(int64(until))
			_, err := w.outcome()
			return err
		default:
			w.sched.now.Store(int64(max(next, w.sched.time())))
			w.sched.expire()
		}
	}
}

// settled moves what can be moved at this time, and tells the loops. It reports whether there was anything.
func (w *World) settled() (busy bool) {
	w.sched.moves(func() {
		w.mu.Lock()
		busy = w.settle(w.time())
		w.mu.Unlock()
		w.tell()
	})
	return busy
}

// nextTime is when something is due.
func (w *World) nextTime() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.upcoming()
	if at, ok := w.sched.due(); ok {
		next = min(next, at)
	}
	return next
}
