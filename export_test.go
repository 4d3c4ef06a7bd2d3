package plexor

import (
	"net"
	"slices"
)

// For tests, on the connection's loop.

// Pending is how many bytes wait to be sent.
func Pending(c *Conn) int { return c.raw.lc.Pending() }

// Unread is how many bytes are kept for the handler.
func Unread(c *Conn) int { return len(c.raw.peek()) }

// Kept is how many bytes a shared connection keeps of what came, and of what was written.
func Kept(c net.Conn) (in, out int) {
	s := c.(*shared)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.in) - s.from, len(s.out)
}

// SmallestBuffer is the size of the smallest buffer of a pool, in bytes.
const SmallestBuffer = 1 << smallestBuffer

// Buffers is how many buffers are in use by connections and handlers, of a server that has ended.
func Buffers(s *Server) (n int) {
	for _, w := range s.workers {
		n += w.buffers.out
	}
	return n
}

// Full reports whether the loop takes no more of what is written.
func Full(c *Conn) bool { return c.raw.lc.Full() }

// HeldInput is how many bytes of unfinished input a server's loops hold: as they count, and of the inboxes and the
// decoders of Messages as these are.
func HeldInput(s *Server) (counted, real int) {
	for _, w := range s.workers {
		_ = w.loop.Do(func() { // a loop that has ended holds nothing
			counted += w.input.total
			for _, c := range slices.Concat(w.conns, w.silence.conns) {
				if c.raw.in != nil {
					real += cap(c.raw.in.b)
				}
				if m, ok := c.raw.lc.Handler().(*messageEvents); ok && m.dec != nil {
					real += m.dec.Held()
				}
			}
		})
	}
	return counted, real
}

// Warm is how many connections of a server's may hold buffers of their tls.Conn's.
func Warm(s *Server) (n int) {
	for _, w := range s.workers {
		_ = w.loop.Do(func() { n += len(w.warmed.list) }) // a loop that has ended has none
	}
	return n
}

// CoolDown has a server's loops look at them as if nothing had come for long.
func CoolDown(s *Server) {
	for _, w := range s.workers {
		for range 2 { // in the first they have stirred
			_ = w.loop.Do(w.coolDown) // likewise
		}
	}
}

// Turn has each loop of the server make a turn.
func Turn(s *Server) error {
	for l := range s.workers {
		if err := l.Do(func() {}); err != nil {
			return err
		}
	}
	return nil
}

// Schedule makes the coroutines of servers that start from now on run in a random order, by a seed; 0 ends that.
func Schedule(seed uint64) { scheduleSeed = seed }

// FillBox writes pieces until the output of an outbox's connection is full, and returns how many. The system's buffer
// is fixed, for it would grow with whatever the peer acknowledges: probes of its window too, which come after 200 ms.
func FillBox(o *Outbox, piece []byte) (n int) {
	o.mu.Lock()
	c, w := o.c, o.w
	o.mu.Unlock()
	if c == nil {
		return 0
	}
	_ = w.loop.Do(func() { // one that has ended is not filled
		_ = c.raw.lc.Socket().SetSendBuffer(64 << 10) // one that has just ended has none
		for ; c.room() && c.put(piece) == nil; n++ {
		}
	})
	return n
}

// Waiters is how many wait for room in an outbox.
func Waiters(o *Outbox) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiters)
}

// OnLoop runs f on the loop of an outbox's connection.
func OnLoop(o *Outbox, f func()) {
	o.mu.Lock()
	w := o.w
	o.mu.Unlock()
	_ = w.loop.Do(f) // it has not ended
}

// Writing reports whether a Write on the connection of an outbox is half done.
func Writing(o *Outbox) (is bool) {
	OnLoop(o, func() { is = o.c.raw.waits.writing })
	return is
}

// KeepOnLoop has the loops read and write for goroutines, as where these can't have the descriptor, until the returned
// function is called. Servers are made and end in between.
func KeepOnLoop() (back func()) {
	keepOnLoop = true
	return func() { keepOnLoop = false }
}

// Lends reports whether the loop lends the descriptor of a shared connection to goroutines, or will.
func Lends(c net.Conn) bool {
	s, ok := c.(*shared)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.borrows
}

// FD is the descriptor of a connection, or of the one below TLS.
func FD(c *Conn) int { return c.raw.lc.Socket().FD() }

// ForgetRoots has the next handshake of a client read the system's authorities, as the first of a process does.
func ForgetRoots() { rootsLoaded.Store(false) }
