package loop

import "sync/atomic"

// A Call is a function that any goroutine may have its loop run, and that runs once however often it was asked for
// before it runs: for whoever keeps what is to be done in a queue of his own, with a bound of his own. It allocates
// nothing, wakes the loop once, and since one of each waits at most, Options.PostQueue does not count it. Make it
// with [Loop.NewCall].
type Call struct {
	loop  *Loop
	f     func()
	run   func()
	asked atomic.Bool
}

// NewCall makes a Call of f.
func (l *Loop) NewCall(f func()) *Call {
	c := &Call{loop: l, f: f}
	c.run = c.begin
	return c
}

// Ask has the function run on the loop: after this call has begun, and in the next turn if it is running now. On the
// loop itself it runs later in the turn, or in the next one. What the caller wrote before Ask, the function sees. It
// never waits. The error is ErrClosed once the loop has ended.
func (c *Call) Ask() error {
	if c.asked.Load() || c.asked.Swap(true) {
		return nil
	}
	err := c.loop.postAlways(c.run)
	if err != nil {
		c.asked.Store(false)
	}
	return err
}

func (c *Call) begin() {
	c.asked.Store(false) // first, for what is asked from here on may not be seen by f
	c.f()
}
