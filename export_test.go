package plexor

// For tests, on the connection's loop.

// Pending is how many bytes wait to be sent.
func Pending(c *Conn) int { return c.raw.lc.Pending() }

// Unread is how many bytes are kept for the handler.
func Unread(c *Conn) int { return len(c.raw.peek()) }
