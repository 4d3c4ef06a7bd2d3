package plexor

import "github.com/plexor-go/plexor/loop"

// A role is what a connection in a worker's tables is, and how it answers to what befalls all of them. Its loop.Handler
// is events, messageEvents or shared.
type role interface {
	loop.Handler
	// expel closes a connection whose time is up; its handler, or whoever has it, learns by err.
	expel(err error)
	// drain is the connection's part of Shutdown: it closes one that is quiet, or notes that it is to be looked at again.
	drain()
	// describe adds to what Server.Each tells of the connection what depends on who reads it.
	describe(info *ConnInfo)
}

// A served is the role of a connection that the server reads for a handler of its own, events or messageEvents: one of
// Shared or of Listen is read by its user, holds no unfinished input, and nobody awaits its first byte.
type served interface {
	role
	// unheard closes a connection whose first byte has not come in time. No handler knows of it, but that of a session.
	unheard()
	// tell has the handler told that the connection has been idle. It reports whether it is.
	tell(idle Idle) bool
	// tooSlow closes a connection a message of which takes too long.
	tooSlow()
	// dropPart gives back the memory of a message that has come in part, as far as no coroutine uses it.
	dropPart()
}

var (
	_ served = (*events)(nil)
	_ served = (*messageEvents)(nil)
	_ role   = (*shared)(nil)
)

func (c *Conn) role() role { return c.raw.lc.Handler().(role) }

// served is the role of a connection that is not given away.
func (s *stream) served() served { return s.lc.Handler().(served) }
