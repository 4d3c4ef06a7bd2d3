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
	l.w.mu.Lock()
	l.leave()
}

// leave is touched by one who holds mu, and lets go of it: a world has one lock, and on a busy machine each turn at it
// may take long.
func (l *lively) leave() {
	next, _ := l.moveOn()
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
	l.w.mu.Lock()
	return l.moveOn()
}

// moveOn is move by one who holds mu, and lets go of it. It tells the news that there are by then, and no others: who
// adds some tells them. A loop that told what others add meanwhile would be held for as long as they do.
func (l *lively) moveOn() (next, now time.Duration) {
	w := l.w
	now = w.time()
	for w.settle(now) {
		now = w.time()
	}
	next = w.upcoming()
	heard := w.takeNews()
	w.mu.Unlock()
	w.tellNews(heard)
	return next, now
}

// Wait waits, in a live world, until every function of Host.Go has returned, and returns their errors.
func (w *World) Wait() error {
	if w.lively == nil {
		return w.Run()
	}
	if err := w.own(); err != nil {
		return err
	}
	w.mu.Lock()
	for w.tasks.left > 0 {
		w.lively.idle.Wait()
	}
	w.mu.Unlock()
	_, err := w.outcome()
	return err
}
