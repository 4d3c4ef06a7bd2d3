package plexor

import (
	"log/slog"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/stack"
)

// ownWorker is the worker of the server's loop that the caller is on; nil: it is on none.
func (s *Server) ownWorker() *worker {
	s.mu.Lock()
	g := s.group
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	for _, l := range g.Loops() {
		if l.OnLoop() {
			return s.workers[l]
		}
	}
	return nil
}

// misused is the error of a method that waits for the loops, if it is called on one of them: it would wait for its own
// caller. The log is told too, once a loop.
func (s *Server) misused(op string) error { return s.refuseOnLoop("Server." + op) }

// refuseOnLoop is misused for what else waits for the server's loops.
func (s *Server) refuseOnLoop(op string) error {
	w := s.ownWorker()
	if w == nil {
		return nil
	}
	err := &coro.MisuseError{Op: op,
		Why: "it waits for the server's loops, and was called on one of them (by a handler, " +
			"a timer or a posted function), for which it would wait: call it from a goroutine of its own (go), or, if you " +
			"need what it " +
			"returns and it does not wait for handlers, in coro.Await"}
	if w.misuse() {
		w.log.Error("wrong use of a plexor.Server; no more is said of these", "op", op, "at", stack.Caller(), "err", err)
	}
	return err
}

// misused is the error of a method that would block the loop that it is called on, whoever's that is. The log is told
// too, once.
func (c *Client) misused(op string) error {
	err := blocksLoop(op, "on a loop Dial does, for coroutines")
	if err != nil && !c.told.Swap(true) {
		log := c.Log
		if log == nil {
			log = slog.Default()
		}
		log.Error("wrong use of a plexor.Client; no more is said of these", "op", op, "at", stack.Caller(), "err", err)
	}
	return err
}

// blocksLoop is the error of what waits for a loop other than its caller's, if the caller is on a loop.
func blocksLoop(op, instead string) error {
	if !coro.OnLoop() {
		return nil
	}
	return &coro.MisuseError{Op: op, Why: "it would block the loop that it was called on (by a handler, a coroutine, a " +
		"timer or a posted function): " + instead + "; or call it from a goroutine of its own (go), or in coro.Await"}
}
