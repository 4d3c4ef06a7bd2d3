package loop

import (
	"time"

	"github.com/plexor-go/plexor/internal/stack"
)

// A HeldError says that a loop was closed and did not end, since a handler holds it: it neither returned nor waits as
// handlers of this loop may. The loop's connections, and those on their way to it, were broken off from
// outside, and what it listened on refuses, unless other processes share it. A datagram socket stays until the loop ends.
type HeldError struct {
	At    string // the function and the source line that hold it, as "main.serve (server.go:12)"
	Stack string // where it was then, as Stall.Stack
}

func (e *HeldError) Error() string {
	return "loop: the loop did not end, for a handler holds it: " + e.At
}

// Close asks every patienceLook whether a loop that is to end has made a turn or closed a connection. One that has done
// neither for closePatience is held: no less than a second, for a busy machine may keep a good handler from running.
const (
	closePatience = time.Second
	patienceLook  = 20 * time.Millisecond
)

// awaitEnd waits for the end of a loop that beginClose was called for. Time is the system's: it is not the loop that waits.
func (l *Loop) awaitEnd() error {
	tick := time.NewTicker(patienceLook)
	defer tick.Stop()
	turn, conns, since := l.turn.Load(), l.stats.conns.Load(), time.Now()
	for {
		select {
		case <-l.done:
			return nil
		case <-l.held:
			return l.holding.Load()
		case <-tick.C:
		}
		if t, n := l.turn.Load(), l.stats.conns.Load(); t != turn || n != conns {
			turn, conns, since = t, n, time.Now()
		} else if time.Since(since) >= closePatience {
			return l.letGo()
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
