package coro

import (
	"errors"
	"iter"
	"runtime/debug"

	"github.com/plexor-go/plexor/loop"
)

// A worker is a coroutine: a stack, made by iter.Pull, that runs one task after the other. It is resumed by its
// loop's goroutine alone, and parked by itself alone.
//
//	take (new or from the pool) ──▶ runs a task ⇄ parked in it ──▶ task ended ──▶ pool ──▶ stopped
//	                                    └── Goexit: the stack is gone; the task is told, the worker dropped
type worker struct {
	sched  *Scheduler
	next   func() (struct{}, bool) // resumes; returns when the coroutine parks
	stop   func()                  // ends it; for one without a task
	yield  func(struct{}) bool     // parks; the coroutine's own
	g      uintptr                 // its goroutine; written once, before any task runs
	number int64                   // likewise, as the runtime prints it
	task   *Task
	err    error // what the task returned
	ended  bool  // the task has
	dead   bool  // by Goexit
	look   bool  // resumed only to write down its stack
	stack  []byte

	// What a task waits with, one thing at a time; here, and not in the task, so that it is used again.
	item    item[int]
	timer   *loop.Timer
	sleeper Waiter
}

// errGoexit is how a coroutine that calls Goexit comes out of next. Left alone, iter.Pull would pass the Goexit on to
// its caller and so end the loop. But what a deferred function panics with during Goexit goes before it.
var errGoexit = errors.New("coro: Goexit in a coroutine")

func (s *Scheduler) newWorker() *worker {
	co := &worker{sched: s}
	co.next, co.stop = iter.Pull(co.body)
	return co
}

func (co *worker) body(yield func(struct{}) bool) {
	co.yield = yield
	co.g = goroutine()
	co.number = goroutineNumber()
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
			co.sched.current.Store(nil) // this goroutine's place is soon another's
			panic(errGoexit)
		}
	}()
	co.err = t.f(&t.scope)
	returned, co.ended = true, true
}

// resume switches to the coroutine and returns when it parks or its task has ended.
func (co *worker) resume() {
	defer co.catchGoexit()
	co.next()
}

func (co *worker) catchGoexit() {
	switch r := recover(); r {
	case nil:
	case errGoexit:
		co.dead = true
	default:
		panic(r) // there is no other way to it: runTask has recovered
	}
}

// park switches back to whoever resumed the coroutine. It is called by the coroutine itself.
func (co *worker) park() {
	for {
		if !co.yield(struct{}{}) {
			panic("coro: a coroutine was stopped with a task in it")
		}
		if !co.look {
			return
		}
		co.stack = debug.Stack()
	}
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
	switch {
	case co.dead:
	case len(s.idle) < s.opt.Idle && !s.closed:
		s.idle = append(s.idle, co)
	default:
		s.current.Store(nil)
		co.stop()
	}
}
