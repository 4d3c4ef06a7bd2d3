package coro

import "context"

// A watch has f called on the loop once when ctx has ended. It is for contexts that the tree of scopes does not cover.
//
// Who ends such a context may be another goroutine; then the loop hears of it by context.AfterFunc and a post, which
// takes as long as it takes. But most of them are a scope of the same loop, of another branch of the tree, or derived
// from one by package context, as those of connections are; and when that scope is cancelled, it is the loop itself
// that does it. It must not hear of that from outside: in virtual time any hour may pass meanwhile, another one in each
// run. So the watch is in a list of the scope as well, whose cancel comes by.
type watch struct {
	ctx        context.Context
	done       <-chan struct{} // of ctx
	f          func()
	origin     *scope      // in whose list it is; nil: in none
	next, prev *watch      // in the list
	stopAfter  func() bool // nil: ctx ends with origin alone
}

// watch is for the loop's goroutine.
func (s *Scheduler) watch(ctx context.Context, f func()) *watch {
	w := &watch{ctx: ctx, done: ctx.Done(), f: f}
	sc := scopeOf(ctx)
	if sc != nil && sc.sched == s && sc.done.Load() == nil {
		w.join(sc)
		if bare(ctx) == sc {
			return w
		}
	}
	w.stopAfter = context.AfterFunc(ctx, func() { s.outside(w.fire) })
	return w
}

func (w *watch) join(sc *scope) {
	w.origin = sc
	if w.next = sc.watches; w.next != nil {
		w.next.prev = w
	}
	sc.watches = w
}

func (w *watch) part() {
	sc := w.origin
	if sc == nil {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		sc.watches = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.origin, w.next, w.prev = nil, nil, nil
}

// fire calls f, the first time.
func (w *watch) fire() {
	w.part()
	if f := w.f; f != nil {
		w.f = nil
		f()
	}
}

// stop is for the loop's goroutine. f is not called any more.
func (w *watch) stop() {
	w.part()
	w.f = nil
	if w.stopAfter != nil {
		w.stopAfter()
	}
}

// tell is called when sc has been cancelled. A context that was derived from it may nevertheless go on (that is what
// context.WithoutCancel is for), or end a moment later, if it is of a kind that needs a goroutine for that.
func (sc *scope) tell() {
	for w := sc.watches; w != nil; w = sc.watches { // f may stop others, or itself
		if w.part(); w.ctx.Err() != nil {
			w.fire()
		}
	}
}
