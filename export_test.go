package plexor

import "net"

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

// Buffers is how many buffers are in use by connections and handlers, of a server that has ended.
func Buffers(s *Server) (n int) {
	for _, w := range s.workers {
		n += w.buffers.out
	}
	return n
}

// Schedule makes the coroutines of servers that start from now on run in a random order, by a seed; 0 ends that.
func Schedule(seed uint64) { scheduleSeed = seed }
