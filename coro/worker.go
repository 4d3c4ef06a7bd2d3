package coro

import (
	"errors"
	"iter"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe" // for addresses to prefetch, which are never used as such

	"github.com/plexor-go/plexor/loop"
)

// A worker is a coroutine: a stack, made by iter.Pull, that runs one task after the other. It is resumed by its
// loop's goroutine alone, and parked by itself alone.
//
//	take (new or from the pool) ──▶ runs a task ⇄ parked in it ──▶ task ended ──▶ pool ──▶ stopped
//	                                    └── Goexit: the stack is gone; the task is told, the worker dropped
type worker struct {
	// First what each switch uses: see Task.
	next  func() (struct{}, bool) // resumes; returns when the coroutine parks
	yield func(struct{}) bool     // parks; the coroutine's own
	g     uintptr                 // its goroutine; written once, before any task runs
	sp    uintptr                 // about where its stack ended when it parked, for prefetch alone
	task  *Task
	ended bool  // the task has
	dead  bool  // by Goexit
	look  bool  // resumed only to write down its stack
	near  bool  // prefetch was called since it parked
	err   error // what the task returned

	// Where iter.Pull keeps what a switch uses, for prefetch alone; see closureAt.
	cold [4]uintptr

	sched *Scheduler
	stop  func()               // ends it; for one without a task
	label atomic.Pointer[Task] // the task, for other goroutines
	stack []byte

	// What a task waits with, one thing at a time; here, and not in the task, so that it is used again.
	item    item[int]
	timer   *loop.Timer
	sleeper Waiter
	nap     time.Duration

	_ [256 - 208]byte // to a multiple of a cache line
}

// errGoexit ends a coroutine in which Goexit was called. Left alone, iter.Pull would pass the Goexit on to its caller
// and so end the loop. But a deferred function may still park, and what it panics with goes before the Goexit.
var errGoexit = errors.New("coro: Goexit in a coroutine")

func (s *Scheduler) newWorker() *worker {
	co := &worker{sched: s}
	co.next, co.stop = iter.Pull(co.body)
	at, captured := closureAt(unsafe.Pointer(&co.next))
	co.cold = [4]uintptr{at, captured[0], captured[1]}
	return co
}

// closureAt is the address of a function value's closure, and the first two words of what it captures: for those of
// iter.Pull (next, yield) the addresses of its state and of the runtime's coroutine. They are hints for prefetch, never
// followed, so that it does no harm if another version of Go has other things there; there must be two of them, which
// -race (checkptr) checks.
func closureAt(f unsafe.Pointer) (at uintptr, captured [2]uintptr) {
	closure := *(*unsafe.Pointer)(f)
	words := (*[3]uintptr)(closure)
	return uintptr(closure), [2]uintptr(words[1:])
}

func (co *worker) body(yield func(struct{}) bool) {
	co.yield = yield
	co.cold[3], _ = closureAt(unsafe.Pointer(&yield))
	co.g = goroutine()
	co.sched.current.Store(co)
	for {
		co.runTask()
		if !yield(struct{}{}) {
			return
		}
	}
}

func (co *worker) runTask() {
	t := co.task
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		co.err, co.ended = caught(t.String(), value), true
		if value == nil {
			co.dead = true
			co.yield(struct{}{}) // to the loop, which ends it: see bury
			panic(errGoexit)
		}
	}()
	co.err = t.f(&t.scope)
	returned, co.ended = true, true
}

// bury ends a coroutine that is in Goexit.
func (co *worker) bury() {
	defer func() {
		if r := recover(); r != errGoexit {
			panic(r) // there is no other way to it
		}
	}()
	co.stop()
}

// park switches back to whoever resumed the coroutine. It is called by the coroutine itself.
func (co *worker) park() {
	for co.yield(struct{}{}) && co.look {
		co.writeDown()
	}
}

// writeDown is what a coroutine does that was resumed for its stack alone.
func (co *worker) writeDown() { co.stack = debug.Stack() }

// prefetch hints that the coroutine will be resumed. With thousands of them little of what a switch needs is in the
// caches, and one after the other these loads are most of what it costs.
func (co *worker) prefetch() {
	co.near = true
	prefetchSwitch(co.g, co.sp, &co.cold)
}

// take gets a worker for a task: the one that was used last, since its stack is in the caches.
func (s *Scheduler) take() *worker {
	n := len(s.idle)
	if n == 0 {
		return s.newWorker()
	}
	co := s.idle[n-1]
	s.idle[n-1] = nil
	s.idle = s.idle[:n-1]
	return co
}

// give puts a worker back, or ends it when there are enough.
func (s *Scheduler) give(co *worker) {
	co.task, co.err, co.ended = nil, nil, false
	co.label.Store(nil)
	switch {
	case co.dead:
		s.current.Store(nil) // its goroutine's place is soon another's
		co.bury()
	case len(s.idle) < s.opt.Idle && !s.closed:
		s.idle = append(s.idle, co)
	default:
		s.current.Store(nil)
		co.stop()
	}
}
