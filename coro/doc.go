// Package coro runs coroutines on event loops: functions that wait in the middle of a line, as if they blocked, while
// the loop that they run on goes on.
//
//	err := coro.Group(ctx, func(g *coro.Tasks) error {
//		g.Go(func(ctx context.Context) error { … })   // another coroutine on this loop
//		rows, err := coro.Await(ctx, func() ([]Row, error) { return db.Query(…) })   // a goroutine, off the loop
//		…
//	})
//
// Coroutines of one loop never run at once, and one gives way to another only where it waits: between two waits it
// needs no locks. They are switched by [iter.Pull], within the loop's goroutine and thread, unseen by the operating
// system and by Go's scheduler: there and back takes about as long as 20 calls of a function, a fifth of what two
// goroutines need that wait for each other on channels.
//
// # The life of a coroutine
//
// A task is a function to run; a coroutine is the stack that it runs on. A task begins with [Scheduler.Go] (later in
// the loop's turn), [Scheduler.Start] (now), [Tasks.Go] (in a group), or, from any goroutine, [Call].
//
//	              ┌──────────────── woken, or cancelled ───────────────┐
//	              ▼                                                    │
//	Go ──▶ ready: its turn comes ──▶ running ──▶ waiting: parked in a [Waiter], with what it waits for,
//	              ▲ (Start: at once)  │    │      since when, and the scope whose cancellation ends the wait
//	              └────── Yield ──────┘    │
//	                                       ▼
//	                        ended: returned, panicked, or Goexit
//	                        its context is cancelled, its group and who waits for it are told,
//	                        its coroutine goes back to the pool
//
// The loop's goroutine resumes coroutines, and each parks itself; nobody else does either. What is ready runs in the
// order in which it became so, in rounds, within the loop's turn ([loop.Loop.Soon]), after the handler that made it
// ready; the number of rounds in a turn is bounded, so a task that yields again and again does not keep the loop from
// its sockets. What a handler wakes with [Waiter.Wake] runs at once, inside the handler's call. Options.Seed makes the
// order random, for tests.
//
// Coroutines are pooled, for a new one costs about a microsecond and 2.8 KiB; from the pool, a task costs some 300 ns
// and one allocation.
//
// When the loop ends, all that waits fails with [ErrLoopClosed], once more and from then on, shields and all; every
// task runs to its end, on the loop's goroutine, before the loop is gone. What had not begun does not begin.
//
// # Cancellation
//
// It is a state, not an event. A task gets a context; once that is cancelled, the next operation that waits fails with
// the context's cause, and so does every later one, also one that would not have had to wait. No cancellation can be
// swallowed, and none comes to the wrong wait. An operation fails if the context that it is given is cancelled; or,
// whatever it is given, if what its task is in is: the task itself, or a [Group] or [Timeout] around the call. So the
// failure of a group ends its body too, and a Read that takes no context. A wait that has been served before it was
// cancelled succeeds: the lock, the value, is the task's own, nothing is lost, and it is the next wait that fails.
//
// Contexts derived by package context work as well, by its own rules and the system's clock. Where such a one ends with
// the context that it was derived from, waits end at once, as with this package's own; where its own cancel function or
// deadline ends it, the loop hears of that by a goroutine, some time later. [WithCancelCause] cancels at once.
// [Timeout], [WithTimeout], [Sleep] go by the loop's clock, which tests may move (loop.ManualClock). Cleaning up that
// has to wait is done in a [Shield], which goes on while it is cancelled around it, for a bounded time.
//
// # Errors
//
// A group returns the first error of its tasks, and those others that are more than an echo of the cancellation. A
// panic, and a Goexit, ends its task alone and is an error there: a [*PanicError] with the coroutine's own stack. Use
// by the wrong goroutine is found before it does harm, and panics with a [*MisuseError].
//
// # What blocks
//
// A coroutine that blocks in the ordinary way (a channel, a sync.Mutex, a file, a long computation) blocks its loop and
// all coroutines on it. The loop's stall monitor reports that, and [Scheduler.Running] says where. [Await] is for what
// has to block. Three things a coroutine must not do at all: call [loop.Loop.Close] or Do of its own loop, which wait
// for the loop (use go l.Close()); hold a lock of package sync across a wait; and call runtime.LockOSThread without
// unlocking before the next wait, which ends the process.
package coro
