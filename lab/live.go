package lab

import (
	"sync"
	"sync/atomic"
	"time"
)

// lively is what moves the packets of a live world: whoever calls something does what is due by then, and a goroutine
// what is due later.
type lively struct {
	w      *World
	kicked chan struct{} // one at most
	quit   chan struct{}
	gone   chan struct{}
	once   sync.Once
	idle   sync.Cond    // no function of Go is left
	until  atomic.Int64 // when the goroutine looks again, by the world's time
}

func newLively(w *World) *lively {
	l := &lively{w: w, kicked: make(chan struct{}, 1), quit: make(chan struct{}), gone: make(chan struct{})}
	l.idle.L = &w.mu
	go l.run()
	return l
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
		l.until.Store(0) // nobody need kick while it looks
		next, now := l.move()
		l.until.Store(int64(next))
		if again, _ := l.move(); again < next { // somebody has moved in between, and did not kick
			continue
		}
		timer.Stop()
		if next != off {
			timer.Reset(next - now)
		}
		select {
		case <-l.kicked:
		case <-timer.C:
		case <-l.quit:
			return
		}
	}
}

// touched does all that is due, and has the goroutine look earlier if something is due earlier than it thinks.
func (l *lively) touched() {
	next, _ := l.move()
	if int64(next) >= l.until.Load() {
		return
	}
	select {
	case l.kicked <- struct{}{}:
	default: // it is about to look
	}
}

// move does all that is due by now, and returns when something is, off: nothing.
func (l *lively) move() (next, now time.Duration) {
	w := l.w
	w.mu.Lock()
	now = w.time()
	for w.settle(now) {
		now = w.time()
	}
	next = w.upcoming()
	w.mu.Unlock()
	w.tell()
	return next, now
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
