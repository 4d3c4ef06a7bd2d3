package coro

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/loop"
)

// Options are the choices of a scheduler. The zero value of each field means its default.
type Options struct {
	// Idle is how many coroutines are kept that have no task (default 256). One takes about 2.8 KiB; a task that
	// finds none costs a new one, about a microsecond.
	Idle int
	// Blocking is how many goroutines run functions of Await at once (default 64). More wait their turn.
	Blocking int
	// Seed, unless 0, makes the order in which tasks run a random one, the same each time for the same seed, in
	// place of first come, first served. It is for tests: what is right must be right in any order.
	Seed uint64
	// Log gets the panics of tasks that nobody waits for (default slog.Default()): ten at once, then one a second, of
	// which the attribute "omitted" says how many before it were not written.
	Log *slog.Logger
}

const (
	defaultIdle     = 256
	defaultBlocking = 64
)

// A Scheduler runs the coroutines of one loop. Get it with [On] or [New]; a loop has one.
//
// For any goroutine are Loop, [Scheduler.Context], [Scheduler.Running] and [Call]. All else is for the loop's own:
// its handlers, timers and posted functions, its coroutines, and, before Run, whoever made the loop.
type Scheduler struct {
	loop *loop.Loop
	opt  Options
	root scope // above all tasks' scopes

	// Of any goroutine.
	g       atomic.Uintptr         // the loop's goroutine, once the loop runs
	current atomic.Pointer[worker] // the coroutine that runs, or was the last to
	serial  atomic.Uint64          // tasks so far
	inbox   inbox

	// Of the loop's goroutine.
	running  *Task // nil: loop code
	ready    []*Task
	spare    []*Task
	queued   bool   // runReady will be called
	runReady func() // step, as a value
	idle     []*worker
	tasks    *Task // all that live, newest first
	live     int
	slots    semaphore // for Await
	rand     *rand.Rand
	closed   bool
	endLog   func() // says what opt.Log was not told
}

// schedulers are those whose loops have not ended.
var schedulers = struct {
	sync.Mutex
	of map[*loop.Loop]*Scheduler
}{of: make(map[*loop.Loop]*Scheduler)}

// On is the scheduler of a loop; it makes one with default options if there is none. Any goroutine may call it.
func On(l *loop.Loop) *Scheduler {
	given("On", "the loop", l != nil)
	s, _, err := schedulerOf(l, Options{})
	if err != nil {
		panic(err) // the defaults are right
	}
	return s
}

// New makes the scheduler of a loop. It fails if the loop has one, or if the options make no sense. Any goroutine may
// call it.
func New(l *loop.Loop, o Options) (*Scheduler, error) {
	if l == nil {
		return nil, errors.New("coro: New: the loop is nil")
	}
	s, made, err := schedulerOf(l, o)
	if err == nil && !made {
		return nil, errors.New("coro: New: this loop has a scheduler: On gives it")
	}
	return s, err
}

func schedulerOf(l *loop.Loop, o Options) (s *Scheduler, made bool, err error) {
	for _, f := range []struct {
		name string
		v    *int
		def  int
	}{{"Idle", &o.Idle, defaultIdle}, {"Blocking", &o.Blocking, defaultBlocking}} {
		if *f.v < 0 {
			return nil, false, fmt.Errorf("coro: Options.%s is %d: it must be at least 1, or 0 for the default of %d",
				f.name, *f.v, f.def)
		}
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	schedulers.Lock()
	defer schedulers.Unlock()
	if s := schedulers.of[l]; s != nil {
		return s, false, nil
	}
	log, endLog := sample.New(o.Log, l.Clock())
	o.Log = log
	s = &Scheduler{loop: l, opt: o, endLog: endLog}
	s.runReady = s.step
	s.slots.free = o.Blocking
	s.root.open(s, nil, nil, context.Background(), false)
	l.Coroutines(func() (is, known bool) { return s.ours(), s.g.Load() != 0 })
	if o.Seed != 0 {
		s.rand = rand.New(rand.NewPCG(o.Seed, o.Seed))
	}
	// Whatever else happens on the loop, this comes before its end.
	if s.outside(s.attach); s.inbox.closed {
		s.closed = true
		s.root.cancel(endedLoop)
		endLog()
	} else {
		schedulers.of[l] = s
	}
	return s, true, nil
}

// Loop is the loop that the scheduler's coroutines run on.
func (s *Scheduler) Loop() *loop.Loop { return s.loop }

// Context is a context that lasts until the loop ends. Tasks that are started with it, or with
// context.Background(), cost nothing for being cancelled along with it.
func (s *Scheduler) Context() context.Context { return &s.root }

// attach is the first that runs on the loop.
func (s *Scheduler) attach() {
	s.g.Store(goroutine())
	s.awaitEnd()
}

// enqueue makes t run later in this turn.
func (s *Scheduler) enqueue(t *Task) {
	t.state = Ready
	s.ready = append(s.ready, t)
	if !s.queued {
		s.queued = true
		s.loop.Soon(s.runReady)
	}
}

// step runs what is ready. Those that become ready meanwhile have their turn in the next round, which the loop
// bounds, so that its sockets have theirs.
func (s *Scheduler) step() {
	s.queued = false
	if s.rand != nil {
		for range len(s.ready) {
			i, last := s.rand.IntN(len(s.ready)), len(s.ready)-1
			t := s.ready[i]
			s.ready[i], s.ready[last] = s.ready[last], nil
			s.ready = s.ready[:last]
			s.run(t)
		}
		if len(s.ready) > 0 && !s.queued {
			s.queued = true
			s.loop.Soon(s.runReady)
		}
		return
	}
	batch := s.ready
	s.ready, s.spare = s.spare[:0], nil
	for i, t := range batch {
		if s.live >= manyTasks {
			lookAhead(batch[i:])
		}
		batch[i] = nil
		s.run(t)
	}
	s.spare = batch[:0]
}

// manyTasks is from how many tasks on a switch is prepared ahead: with fewer, all that they consist of stays in the
// processor's caches.
const manyTasks = 128

// lookAhead makes a step for each of those that come after the first of ts, which runs now.
func lookAhead(ts []*Task) {
	for step := range PrefetchSteps {
		if i := PrefetchSteps - step; i < len(ts) {
			ts[i].prefetch(step)
		}
	}
}

// run switches to t and returns when it waits or has ended. It is called by loop code alone.
func (s *Scheduler) run(t *Task) {
	co := s.board(t)
	if co == nil {
		return
	}
	co.next() // from here on as in Waiter.Wake
	s.running = nil
	if co.ended {
		s.leave(t, co)
	}
}

// board makes ready to switch to t. No worker: there is nothing to switch to, for the loop ended before t began.
func (s *Scheduler) board(t *Task) *worker {
	co := t.co
	if co == nil {
		if s.closed {
			s.finish(t, ErrLoopClosed)
			return nil
		}
		co = s.take()
		co.task, t.co = t, co
		co.label.Store(t)
	}
	if s.live >= manyTasks && !co.near {
		co.prefetch()
	}
	co.near = false
	t.state = Running
	s.running = t
	if co.g != 0 && s.current.Load() != co { // a new one stores itself, once it has a goroutine
		s.current.Store(co)
	}
	return co
}

// leave takes t, which has ended, off its worker.
func (s *Scheduler) leave(t *Task, co *worker) {
	err := co.err
	t.co = nil
	s.give(co)
	s.finish(t, err)
}

// end is called when the loop ends, by its own goroutine: all that waits is ended by that, and runs to its end.
func (s *Scheduler) end() {
	if s.closed {
		return
	}
	s.closed = true
	schedulers.Lock()
	delete(schedulers.of, s.loop)
	schedulers.Unlock()
	s.inbox.drain()
	s.root.cancel(endedLoop)
	for t := s.tasks; t != nil; t = t.next {
		for sc := t.cur; sc != nil; sc = sc.parent { // shields too
			sc.cancel(endedLoop)
		}
	}
	for s.live > 0 {
		s.step()
		if len(s.ready) > 0 {
			continue
		}
		s.inbox.drain()
		// What still waits, waits for a lock that nobody will give back, or for somebody who does.
		for t := s.tasks; t != nil; t = t.next {
			if t.wait != nil && t.under == &s.root {
				t.interrupt(ErrLoopClosed)
			}
		}
		if s.live > 0 && len(s.ready) == 0 {
			panic(fmt.Sprintf("coro: %d tasks neither run nor wait for one that does, at the loop's end", s.live))
		}
	}
	s.inbox.close()
	s.current.Store(nil)
	for _, co := range s.idle {
		co.stop()
	}
	s.idle, s.ready, s.spare = nil, nil, nil
	s.endLog()
}

// An inbox brings functions from other goroutines to the loop. In contrast to Loop.Post it refuses none while the
// loop lives, for what comes through it is bounded by what it is about: a wait that ends, an Await that is done.
type inbox struct {
	mu     sync.Mutex
	fs     []func()
	posted bool
	closed bool
}

// retryPost is how long to wait when the loop's own queue is full.
const retryPost = time.Millisecond

// outside runs f on the loop. It is for any goroutine; once the loop has ended nothing happens.
func (s *Scheduler) outside(f func()) {
	b := &s.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.fs = append(b.fs, f)
	if !b.posted {
		b.posted = true
		if err := s.post(); err != nil && s.g.Load() == 0 {
			b.closed = true // it ended before it began
		}
	}
}

// post has the loop look into the inbox. An error means that the loop is ending, and its end drains the inbox.
func (s *Scheduler) post() error {
	err := s.loop.Post(s.inbox.drain)
	if errors.Is(err, loop.ErrPostQueueFull) {
		time.AfterFunc(retryPost, func() { _ = s.post() })
		return nil
	}
	return err
}

func (b *inbox) drain() {
	b.mu.Lock()
	fs := b.fs
	b.fs, b.posted = nil, false
	b.mu.Unlock()
	for _, f := range fs {
		f()
	}
}

func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.fs = true, nil
}
