package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/wait"
)

// Close ends all loops at once: connections are reset, and their handlers get ErrLoopClosed. A handler that holds its
// loop is waited for as Loop.Close does it.
func (g *Group) Close() error {
	if g.onLoop() {
		go g.closeLoops() // which ends with them
		return nil
	}
	g.closeLoops()
	return g.Wait()
}

func (g *Group) closeLoops() {
	var waits sync.WaitGroup
	for _, l := range g.loops {
		if l.beginClose() {
			waits.Go(func() { _ = l.awaitEnd() }) // Wait tells
		}
	}
	waits.Wait()
}

// drainEvery is how often Shutdown looks which connections have become quiet.
const drainEvery = 5 * time.Millisecond

// Shutdown ends the group gracefully: listening stops, after the backlog was taken in; every connection is closed as
// soon as it is quiet (see Conn.Drain); then the loops end. If ctx is done before, the connections that are left are
// reset, and the error says how many there were and why. A handler that holds its loop keeps Shutdown until ctx is done
// and then as Loop.Close says; errors.As finds the *HeldError.
func (g *Group) Shutdown(ctx context.Context) error {
	return g.DrainBy(ctx, (*Loop).drain, func() (int, string) {
		n := g.Stats().Conns
		return n, fmt.Sprintf("loop: shutdown: %d connections were cut", n)
	})
}

// DrainBy is Shutdown for whoever keeps more than connections on the loops: drain is called again and again on each
// loop, and closes what is quiet there; left says how many are left, and what the error is to say if they are cut.
func (g *Group) DrainBy(ctx context.Context, drain func(*Loop), left func() (n int, cut string)) error {
	if err := g.refuse("Shutdown"); err != nil {
		return err
	}
	stop, drained := make(chan struct{}), make(chan struct{}, 1)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		g.StopListening()
	}()
	var drains sync.WaitGroup
	for _, l := range g.loops {
		drains.Go(func() { l.drainUntil(stop, drained, drain) }) // apart, for one that is held must not hold up the others
	}
	err := g.awaitQuiet(ctx, listening, drained, left)
	close(stop)
	closed := g.Close()
	drains.Wait() // each loop has ended, or was given up
	<-listening
	return errors.Join(err, closed)
}

// awaitQuiet waits until nothing is left, all loops have ended, or ctx is done. It looks whenever a loop was drained.
func (g *Group) awaitQuiet(ctx context.Context, listening, drained <-chan struct{}, left func() (int, string)) error {
	select {
	case <-listening:
	case <-ctx.Done():
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = g.Wait() // Close tells
	}()
	for first := true; ; first = false {
		n, cut := left()
		if n == 0 && !first && ctx.Err() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if n == 0 {
				return nil
			}
			return fmt.Errorf("%s: %w", cut, context.Cause(ctx))
		case <-ended:
			return nil
		case <-drained:
		}
	}
}

// drainUntil drains a loop again and again, and tells of each time. It goes by the system's time: the caller may be in
// a bubble of testing/synctest, and the loop too, whose time stands still meanwhile.
func (l *Loop) drainUntil(stop <-chan struct{}, drained chan<- struct{}, drain func(*Loop)) {
	beats := wait.NewPulse(drainEvery)
	defer beats.Stop()
	for l.Do(func() { drain(l) }) == nil {
		select {
		case drained <- struct{}{}:
		default: // it is about to look
		}
		if !beats.Next(stop) {
			return
		}
	}
}

// StopListening is the first step of Shutdown: all listeners and datagram sockets end, after what waits in them was
// taken in. Connections go on, and so do the loops.
func (g *Group) StopListening() {
	if g.onLoop() {
		go g.StopListening()
		return
	}
	var all sync.WaitGroup
	for _, l := range g.loops {
		all.Go(func() { _ = l.Do(l.stopListening) }) // a loop that has ended listens no more
	}
	all.Wait()
}

// stopListening takes in what waits and closes all that listens.
func (l *Loop) stopListening() {
	for _, s := range slices.Clone(l.socks) { // those that end leave it
		s.finish()
	}
}

// LeaveListening ends all listeners and datagram sockets, for a process that shares them with others: what waits in the
// backlogs is left to those. When it returns, nothing more is accepted; connections go on, and so do the loops. Of
// datagram sockets, what has arrived is handled. If a handler has held a loop for a second, what that loop listens
// on is broken off from outside, as [Loop.Close] does it, and the error is a *[HeldError], or several joined.
func (g *Group) LeaveListening() error {
	if g.onLoop() {
		go g.LeaveListening()
		return nil
	}
	var all sync.WaitGroup
	errs := make([]error, len(g.loops))
	each := func(f func(l *Loop) error) {
		for i, l := range g.loops {
			all.Go(func() { // apart, for one that is held must not hold up the others
				if errs[i] != nil {
					return
				}
				if err := f(l); !errors.Is(err, ErrClosed) { // one that has ended listens no more
					errs[i] = err
				}
			})
		}
		all.Wait()
	}
	each((*Loop).leaveAll)
	each(func(l *Loop) error { return l.TryDo(func() {}) }) // what was handed over has arrived before this
	return errors.Join(errs...)
}

// leaveAll is a loop's part of LeaveListening.
func (l *Loop) leaveAll() error {
	looks := wait.NewPulse(leaveEvery)
	defer looks.Stop()
	for {
		var left int // of this call alone: one that is given up may run later
		if err := l.tryDo(func() { left = l.leaveListening() }, patienceLooks, l.breakOffListening); err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		looks.Next(l.done)
	}
}

// leaveEvery is how often LeaveListening looks whether the driver is done.
const leaveEvery = time.Millisecond

// leaveListening reports how many are left, that the driver is not done with.
func (l *Loop) leaveListening() int {
	for _, s := range slices.Clone(l.socks) { // those that end leave it
		s.leave()
	}
	return len(l.socks)
}

// drain closes the connections that are quiet.
func (l *Loop) drain() {
	for i := len(l.conns) - 1; i >= 0; i-- {
		if i < len(l.conns) { // closing one may end others
			l.conns[i].Drain()
		}
	}
}
