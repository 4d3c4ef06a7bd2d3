package loop

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/internal/wait"
)

// A HeldError says that a loop makes no turn, since a handler holds it: it neither returned nor waits as handlers of
// this loop may. From [Loop.TryDo] and [Loop.TryDoUntil] that is all, and from what listens too, which leaves nothing
// behind. From [GroupListener.Close] and [Group.LeaveListening] what was to end was broken off from outside, as below,
// and the loop goes on when the handler returns. Else the loop was closed and did not end: its connections, and those
// on their way to it, were broken off from outside, and what it listened on is closed, or left to the processes that
// share it. With io_uring the kernel keeps those sockets until the loop ends: what is the loop's alone refuses, and
// its port stays taken; what is shared goes on as long as the loop if the others end before. Windows keeps them too.
type HeldError struct {
	At    string // the function and the source line that hold it, as "main.serve (server.go:12)"
	Stack string // where it was then, as Stall.Stack
}

func (e *HeldError) Error() string {
	return "loop: a handler holds the loop: " + e.At
}

// Close asks every patienceLook whether a loop that is to end has made a turn or closed a connection. One that has done
// neither for patienceLooks of them, which is a second, is held, unless what it lacks is a processor.
const (
	patienceLook  = 20 * time.Millisecond
	patienceLooks = 50
	starvedLooks  = 60 * patienceLooks // for one that gets none: a minute
)

// A patience is how long a loop has done nothing, for who waits for it. Looks are counted, not time: if all of the
// process is stopped, none are made.
type patience struct {
	loop    *Loop
	looks   int
	starved starvation
	ask     int // from how many looks on to ask what holds it, which costs something
}

func (p *patience) reset() { p.looks, p.starved, p.ask = 0, starvation{}, patienceLooks }

// over is called for each look at a loop that has done nothing since the last. It is true if the loop is held: a
// machine with more to do than processors may keep a good handler from running, but not one that is blocked.
func (p *patience) over() bool {
	p.looks++
	waited, _ := p.starved.look(p.loop.thread.Load(), patienceLook)
	if p.looks < p.ask {
		return false
	}
	p.ask = 2 * p.looks
	if p.looks >= starvedLooks {
		return true
	}
	h, there := p.loop.holder() // it may have ended since the last look, and its thread has waited for nothing then
	return there && (h.Blocked || p.looks-int(waited/patienceLook) >= patienceLooks)
}

// awaitEnd waits for the end of a loop that beginClose was called for, by the system's time: it is not the loop that
// waits.
func (l *Loop) awaitEnd() error {
	looks := wait.NewPulse(patienceLook)
	defer looks.Stop()
	turn, conns, p := l.turn.Load(), l.stats.conns.Load(), patience{loop: l, ask: patienceLooks}
	for looks.Next(l.done) {
		if l.handled.Load() { // nothing of it can be held any more
			<-l.done
			return nil
		}
		if l.holding.Load() != nil { // another Close has given up
			<-l.held
			return l.holding.Load()
		}
		if t, n := l.turn.Load(), l.stats.conns.Load(); t != turn || n != conns {
			turn, conns = t, n
			p.reset()
		} else if p.over() {
			return l.letGo()
		}
	}
	return nil
}

// TryDo is [Loop.Do], but it does not wait for a loop that is held, closed or not: after a second without a turn it
// returns a *HeldError, and nothing else happens to the loop. f may run later nevertheless.
func (l *Loop) TryDo(f func()) error { return l.tryDo(f, patienceLooks, func() {}) }

// tryOnce is TryDo for an f that must not run later: after an error it has not run, and never will.
func (l *Loop) tryOnce(f func()) error {
	var taken atomic.Bool // f has begun, or never will
	ran := wait.NewLatch()
	err := l.TryDo(func() {
		if !taken.Swap(true) {
			defer ran.Open()
			f()
		}
	})
	if err != nil && taken.Swap(true) { // it began just as the loop was taken for held
		ran.Wait()
		err = nil
	}
	return err
}

// closeLooks is for how many looks at a loop GroupListener.Close waits before it asks what holds it: a tenth of a
// second. What is closed is of no more use to anybody, so no harm is done if the handler would have returned. So it is
// with what TryDoUntil was asked for, once its context is done.
const closeLooks = 5

// endFrom has f end e on the loop, and waits for that. If a handler holds the loop, e is broken off from outside, and
// the error is a *HeldError. f still runs when the handler returns.
func (l *Loop) endFrom(e endpoint, f func()) error {
	if l.group != nil && !l.OnLoop() && l.group.onLoop() {
		return l.postAlways(f) // no loop waits for another
	}
	return l.tryDo(f, closeLooks, func() {
		l.table.Lock()
		defer l.table.Unlock()
		if slices.Contains(l.endpoints(), e) { // else its descriptor may be another's
			e.breakOff()
		}
	})
}

// tryDo is TryDo that asks after so many looks what holds the loop, and calls held first if something does.
func (l *Loop) tryDo(f func(), ask int, held func()) error {
	if l.OnLoop() {
		f()
		return nil
	}
	d := &doing{done: wait.NewLatch()}
	if err := l.doing.add(d, l); err != nil {
		return err
	}
	defer l.doing.remove(d)
	if err := l.postAlways(func() {
		f()
		d.finish()
	}); err != nil {
		return err
	}
	over := make(chan struct{})
	go l.tryFor(d, ask, held, over)
	d.done.Wait()
	close(over)
	return d.err
}

// tryFor ends what waits for a loop that is held.
func (l *Loop) tryFor(d *doing, ask int, held func(), over <-chan struct{}) {
	looks := wait.NewPulse(patienceLook)
	defer looks.Stop()
	turn, p := l.turn.Load(), patience{loop: l, ask: ask}
	for looks.Next(over) {
		if t := l.turn.Load(); t != turn {
			turn = t
			p.reset()
		} else if p.over() {
			h, _ := l.holder()
			held()
			d.end(&HeldError{At: stack.At(h.Stack), Stack: h.Stack})
			return
		}
	}
}

// letGo gives up a loop that is held.
func (l *Loop) letGo() error {
	h, _ := l.holder()
	err := &HeldError{At: stack.At(h.Stack), Stack: h.Stack}
	if !l.holding.CompareAndSwap(nil, err) {
		<-l.held // another Close is at it
		return l.holding.Load()
	}
	l.breakOff()
	l.doing.giveUp(l.held, err)
	return err
}
