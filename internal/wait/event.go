package wait

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An Event happens once. Any goroutine may wait for it or have it happen, in whichever bubble of testing/synctest, or
// in none. The zero value is one that has not happened.
type Event struct {
	happened atomic.Bool // set under mu

	mu      sync.Mutex
	waiting []*Sleeper
	then    []*hook
	outside chan struct{} // what Done gives to goroutines in no bubble
	inside  chan struct{} // and to those of a bubble
}

type hook struct{ f func() }

// Happen makes it happen; again is nothing new.
func (e *Event) Happen() {
	e.mu.Lock()
	first := !e.happened.Swap(true)
	waiting, then := e.waiting, e.then
	e.waiting, e.then = nil, nil
	if first && e.outside != nil {
		close(e.outside)
	}
	e.mu.Unlock()
	for _, s := range waiting {
		s.Wake()
	}
	for _, h := range then {
		h.f()
	}
}

// Happened reports whether it has.
func (e *Event) Happened() bool { return e.happened.Load() }

// Wait waits until it has happened, or until ctx has ended, whose cause is the error then.
func (e *Event) Wait(ctx context.Context) error {
	if e.Happened() {
		return nil
	}
	s := NewSleeper()
	e.mu.Lock()
	if e.Happened() {
		e.mu.Unlock()
		return nil
	}
	e.waiting = append(e.waiting, s)
	e.mu.Unlock()
	err := s.Sleep(ctx)
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if i := slices.Index(e.waiting, s); i >= 0 {
			e.waiting = slices.Delete(e.waiting, i, i+1)
		}
	}
	return err
}

// Then has f called once it has happened, by the goroutine that makes it happen; at once if it has. stop takes that
// back, unless it has happened meanwhile.
func (e *Event) Then(f func()) (stop func()) {
	h := &hook{f}
	e.mu.Lock()
	if e.Happened() {
		e.mu.Unlock()
		f()
		return func() {}
	}
	e.then = append(e.then, h)
	e.mu.Unlock()
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if i := slices.Index(e.then, h); i >= 0 {
			e.then = slices.Delete(e.then, i, i+1)
		}
	}
}

// ThenHere is Then for an f that must be called by a goroutine of the caller's bubble, as what cancels a context of it:
// if the caller is in one, a goroutine of it waits until then. There is no way back.
func (e *Event) ThenHere(f func()) {
	if !Bubbled() {
		e.Then(f)
		return
	}
	go func() {
		_ = e.Wait(context.Background()) // which does not end
		f()
	}()
}

// Done is a channel that is closed when it has happened. In a bubble it is that bubble's, and one of its goroutines
// waits until then; in no bubble it is nobody's. One bubble may ask for it.
func (e *Event) Done() <-chan struct{} {
	bubbled := Bubbled()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !bubbled {
		if e.outside == nil {
			e.outside = make(chan struct{})
			if e.Happened() {
				close(e.outside)
			}
		}
		return e.outside
	}
	if e.inside == nil {
		done := make(chan struct{})
		e.inside = done
		if e.Happened() {
			close(done)
			return done
		}
		e.ThenHere(func() { close(done) })
	}
	return e.inside
}

// AfterFunc is time.AfterFunc by the system's clock, in a bubble of testing/synctest too: see [Pulse]. stop ends it, if
// f has not begun.
func AfterFunc(d time.Duration, f func()) (stop func()) {
	if !Bubbled() {
		t := time.AfterFunc(d, f)
		return func() { t.Stop() }
	}
	var over atomic.Bool // it was stopped, or f has begun
	go func() {
		for left := d; left > 0 && !over.Load(); left -= bubbleLook {
			systemSleep(min(left, bubbleLook))
		}
		if !over.Swap(true) {
			f()
		}
	}()
	return func() { over.Store(true) }
}
