package lab

import (
	"sync"
	"time"
)

// lively is what moves the packets of a live world: a goroutine that does what is due, sleeps until something is, and
// is kicked when a loop has done something.
type lively struct {
	w      *World
	kicked chan struct{} // one at most
	quit   chan struct{}
	gone   chan struct{}
	once   sync.Once
	idle   sync.Cond // no function of Go is left
}

func newLively(w *World) *lively {
	l := &lively{w: w, kicked: make(chan struct{}, 1), quit: make(chan struct{}), gone: make(chan struct{})}
	l.idle.L = &w.mu
	go l.run()
	return l
}

func (l *lively) kick() {
	select {
	case l.kicked <- struct{}{}:
	default: // it is about to look
	}
}

func (l *lively) stop() {
	l.once.Do(func() { close(l.quit) })
	<-l.gone
}

func (l *lively) run() {
	defer close(l.gone)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := l.move()
		timer.Stop()
		if next != off {
			timer.Reset(next)
		}
		select {
		case <-l.kicked:
		case <-timer.C:
		case <-l.quit:
			return
		}
	}
}

// move does all that is due, and returns how long it is until something is; off: nothing.
func (l *lively) move() time.Duration {
	w := l.w
	for {
		w.mu.Lock()
		busy := w.settle(w.time())
		next := w.upcoming()
		now := w.time()
		w.mu.Unlock()
		w.tell()
		switch {
		case busy:
		case next == off:
			return off
		case next > now:
			return next - now
		}
		select {
		case <-l.quit:
			return off
		default:
		}
	}
}

// Wait waits, in a live world, until every function of Host.Go has returned, and returns their errors.
func (w *World) Wait() error {
	if w.lively == nil {
		return w.Run()
	}
	w.mu.Lock()
	for w.tasks.left > 0 {
		w.lively.idle.Wait()
	}
	w.mu.Unlock()
	_, err := w.outcome()
	return err
}
