package lab

import (
	"container/heap"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A scheduler lets the loops of a world run, and is where they wait: each by a waiter.
//
//	free     no time passes. Who is woken runs, beside others
//	stepped  the goroutine of World.Run lets one run, and waits until all wait again
//	live     time is the system's, from the world's beginning to its end. Who is woken runs, beside others
//
// A loop between two waits is counted in running; so in stepped mode, when running is 0 nothing happens but what Run
// brings about.
type scheduler struct {
	now   atomic.Int64 // nanoseconds since the beginning, as far as the machines know
	begun time.Time    // if it is live

	mu      sync.Mutex
	still   sync.Cond // running has become 0
	mode    mode
	running int
	queue   []*waiter // stepped: they have something to do, in the order in which they got it
	timers  timers
	order   uint64
	moving  bool // Run moves packets: what is woken now, it has woken
	strays  int
}

type mode uint8

const (
	free mode = iota
	stepped
	live
)

// A waiter is what one loop waits by: a loop.Waiter.
type waiter struct {
	s      *scheduler
	resume chan struct{} // it may run: one at most
	parked bool
	queued bool
	woken  bool
	closed bool

	at    time.Duration // when its wait ends, if it has a place among the timers
	order uint64        // of equal times, the one that began to wait first comes first
	place int           // plus one; 0: none
	timer *time.Timer   // live
}

func (s *scheduler) attach() *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
	return &waiter{s: s, resume: make(chan struct{}, 1)}
}

// time is the world's.
func (s *scheduler) time() time.Duration { return time.Duration(s.now.Load()) }

// Wait is of loop.Waiter.
func (w *waiter) Wait(timeout time.Duration) error {
	if how := w.park(timeout); how == live && timeout > 0 {
		w.timer.Reset(timeout)
		select {
		case <-w.resume:
			w.timer.Stop()
		case <-w.timer.C:
			w.unpark()
		}
	} else if how != none {
		<-w.resume
	}
	return nil
}

// none is park's answer where there is nothing to wait for.
const none mode = 255

func (w *waiter) park(timeout time.Duration) mode {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := w.woken || timeout == 0
	w.woken = false
	if ready && s.mode != stepped {
		return none
	}
	w.parked = true
	if s.running--; s.running == 0 {
		s.still.Signal()
	}
	switch {
	case ready:
		s.enqueue(w)
	case timeout > 0 && s.mode == live:
		if w.timer == nil {
			w.timer = time.NewTimer(timeout)
		}
	case timeout > 0:
		s.order++
		w.at, w.order = s.time()+timeout, s.order
		heap.Push(&s.timers, w)
	}
	return s.mode
}

// unpark is the end of a live wait by its own timer.
func (w *waiter) unpark() {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.parked {
		w.parked = false
		s.running++
		return
	}
	<-w.resume // it was let go at the same time
}

// Wake is of loop.Waiter.
func (w *waiter) Wake() {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode == stepped && s.running == 0 && !s.moving {
		s.strays++
	}
	switch {
	case w.closed:
	case !w.parked:
		w.woken = true
	case s.mode == stepped:
		s.enqueue(w)
		s.still.Signal()
	default:
		s.release(w)
	}
}

// Close is of loop.Waiter.
func (w *waiter) Close() {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	if s.running--; s.running == 0 {
		s.still.Signal()
	}
}

// enqueue has w run when it is its turn.
func (s *scheduler) enqueue(w *waiter) {
	if !w.queued {
		w.queued = true
		s.queue = append(s.queue, w)
	}
}

// release lets w run.
func (s *scheduler) release(w *waiter) {
	if w.place > 0 {
		heap.Remove(&s.timers, w.place-1)
	}
	w.parked, w.queued = false, false
	s.running++
	w.resume <- struct{}{}
}

// next lets the first of the queue run, and reports whether there was one. Nobody runs when it returns.
func (s *scheduler) next() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.await()
	if len(s.queue) == 0 {
		return false
	}
	w := s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	s.release(w)
	s.await()
	return true
}

// await waits until nobody runs.
func (s *scheduler) await() {
	for s.running > 0 {
		s.still.Wait()
	}
}

// outside waits until something outside wakes a loop, or the patience is over.
func (s *scheduler) outside(patience time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := false
	defer time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.still.Signal()
	}).Stop()
	for len(s.queue) == 0 && !late {
		s.still.Wait()
	}
	return len(s.queue) > 0
}

// due is the time of the first timer.
func (s *scheduler) due() (at time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.timers) == 0 {
		return 0, false
	}
	return s.timers[0].at, true
}

// expire has those run whose time has come.
func (s *scheduler) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.timers) > 0 && s.timers[0].at <= s.time() {
		s.enqueue(heap.Pop(&s.timers).(*waiter))
	}
}

// moves calls f, which wakes loops on behalf of the world.
func (s *scheduler) moves(f func()) {
	set := func(on bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moving = on
	}
	set(true)
	defer set(false)
	f()
}

// enter is the beginning of a run. It reports whether the mode was free.
func (s *scheduler) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != free {
		return false
	}
	s.mode = stepped
	return true
}

// leave makes the mode free again. Whoever was about to run does.
func (s *scheduler) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = free
	for _, w := range s.queue {
		s.release(w)
	}
	s.queue = nil
}

// timers is a heap of waiters by the ends of their waits.
type timers []*waiter

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].order < t[j].order
}
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i+1, j+1
}
func (t *timers) Push(x any) {
	w := x.(*waiter)
	*t = append(*t, w)
	w.place = len(*t)
}
func (t *timers) Pop() any {
	old := *t
	last := len(old) - 1
	w := old[last]
	old[last] = nil
	*t = old[:last]
	w.place = 0
	return w
}
