package coro

// How the scheduler learns that its loop ends. The loop's own goroutine tells it, before it is gone: a coroutine that
// was made by a goroutine that is locked to its thread can be resumed on that thread alone, and what is parked must
// be resumed once more to end.
func (s *Scheduler) awaitEnd() {
	if s.loop.OnEnd(s.end) != nil { // it is ending already
		s.end()
	}
}
