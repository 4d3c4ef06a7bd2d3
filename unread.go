package plexor

// Await waits until Read has something to return: bytes, which it leaves there, or the error that it returns too. In
// contrast to Read it needs no buffer while it waits, and over TLS holds none either.
func (c *Conn) Await() error {
	t, err := c.enter("read", messaging)
	if err != nil {
		return err
	}
	return c.awaitBytes(t)
}

// Unread is how many bytes a Read would find now; it waits for nothing. When there are none, and none will come, the
// error is the one that Read would return. It is for who has a connection on which nothing is to come, such as one that
// waits for the next request: see also OnEnd.
func (c *Conn) Unread() (int, error) {
	if _, err := c.enter("read", messaging); err != nil {
		return 0, err
	}
	s := &c.raw
	switch {
	case s.is(closed):
		return 0, s.wrap("read", s.notOurs())
	case c.tls != nil:
		return c.tls.unread()
	case len(s.peek()) > 0:
		return len(s.peek()), nil
	}
	if err := s.unreadable(); err != nil {
		return 0, s.wrap("read", err)
	}
	return 0, nil
}

// unread is Conn.Unread. What TLS itself sends, such as tickets, is none of it.
func (x *secured) unread() (int, error) {
	if err := x.usable(); err != nil {
		return 0, x.wrap("read", err)
	}
	if len(x.pulled()) == 0 {
		switch err := x.pull(messageBuffer); err {
		case nil:
		case errNothing:
			return 0, nil
		default:
			return 0, x.wrap("read", err)
		}
	}
	return len(x.pulled()), nil
}
