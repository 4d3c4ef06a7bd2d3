package plexor

import (
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
