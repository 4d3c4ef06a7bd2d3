package plexor

import "context"

// The way of a connection over TLS to its first byte. The handshake has a coroutine, which ends with it; from then on
// the loop has the tls.Conn read (nothing below it waits: see secured), and the handler starts when that finds a byte
// or the end. So who says nothing behind the handshake holds no stack, and Limits.FirstByte closes it. A GreeterFunc
// goes on in the coroutine of the handshake.
//
//	Data ──▶ hello: a coroutine makes the handshake ──▶ shaken ──▶ the handler's beginning, or what waits for it
//	Data ──────────────────────────────────────────────────────────▶ likewise

// hello is Data until the handshake is done. shaken is called when its coroutine has ended, however it did.
func (c *Conn) hello(p []byte, shaken func(error)) {
	if c.is(started) {
		c.raw.received(p)
		return
	}
	c.raw.offer(p)
	c.shake(shaken)
	c.raw.withdraw()
}

// helloEnd is EOF until the handshake is done.
func (c *Conn) helloEnd(shaken func(error)) {
	if c.is(started) {
		c.raw.readers.wakeAll()
	} else {
		c.shake(shaken)
	}
}

// shake starts the coroutine of the handshake. Its stack grows to 16 KiB, and goes back to the pool with it: the next
// handshake finds it grown, and if there is none the collector halves it, down to 4 KiB.
func (c *Conn) shake(shaken func(error)) {
	w := c.raw.w
	c.raw.above |= started
	w.srv.stats.handlers.Add(1)
	w.sched.Start(context.Background(), "plexor handshake", func(ctx context.Context) error {
		c.base = ctx
		if c.serveTLS() {
			c.raw.above &^= unshaken
		}
		return nil
	}).OnEnd(shaken)
}

// shook is the beginning of shaken. It reports whether the connection goes on.
func (c *Conn) shook(err error) bool {
	if c.is(unshaken) {
		c.handled(err)
		return false
	}
	c.dropContext()
	c.raw.above &^= started
	c.raw.w.srv.stats.handlers.Add(-1)
	if !c.raw.is(closed | over | givenAway) {
		c.raw.w.delist(c)
		c.raw.w.await(c)
	}
	return true
}

// shaken is for a Conn whose handler starts with the first byte: there may be more with the last of the handshake.
func (c *Conn) shaken(err error) {
	if c.shook(err) {
		c.begin()
	}
}

// silent reports whether the handshake is done, and the handler waits for the first byte.
func (c *Conn) silent() bool { return c.tls != nil && !c.is(started|unshaken) }

// begin starts the handler if its first byte is there, or the end. The byte, and what came with it, is in the secured's
// own buffer, and is what the handler reads first.
func (c *Conn) begin() {
	if c.raw.is(closed) {
		return
	}
	switch err := c.tls.pull(messageBuffer); {
	case err == errNothing:
	case err != nil && c.raw.is(over): // it broke before its first byte
		c.raw.empty()
	default:
		c.start()
	}
}
