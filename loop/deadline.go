package loop

import "time"

// times are a connection's deadlines, in the loop's nanoseconds; 0 is none. One timer serves both. It is set to
// the nearer one, lazily: to push a deadline back, as an idle timeout does with every message, only stores a
// number, and the timer looks again when it runs.
type times struct {
	read, write int64
	timer       Timer
}

// SetReadDeadline asks for Expired at t, whatever arrived before; an idle timeout sets it anew with every Data,
// which costs next to nothing. A time that has passed expires in the next turn; the zero time takes the deadline
// back. After the peer's end of stream, or Close, it means nothing.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline makes Write fail from t on, until the deadline is set anew; if output waits at t, Expired is
// called. What was taken before stays and goes on leaving. The zero time takes the deadline back.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

// SetDeadline sets both.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	if c.is(ended | closing) {
		return ErrClosed
	}
	var when int64
	if !t.IsZero() {
		when = max(c.loop.at(t), 1)
	}
	d := c.times
	if d == nil {
		if when == 0 {
			return nil
		}
		d = new(times)
		d.timer = Timer{loop: c.loop, f: c.expire}
		c.times = d
	}
	if read {
		d.read = when
	}
	if write {
		d.write = when
		c.state &^= wroteLate
		if when != 0 && when <= c.loop.now {
			c.state |= wroteLate // the timer's turn would be too late for the next Write
		}
	}
	if when != 0 && (d.timer.at == 0 || when < d.timer.when) {
		d.timer.set(when)
	}
	return nil
}

// expire is the timer's: it reports what is due, and waits for what is not.
func (c *Conn) expire() {
	d, now := c.times, c.loop.now
	if d.read != 0 && d.read <= now {
		d.read = 0
		if !c.is(sawEOF) {
			c.handler.Expired(c, readExpired)
		}
	}
	if c.is(ended | closing) {
		return
	}
	if d.write != 0 && d.write <= now {
		d.write = 0
		c.state |= wroteLate
		if c.waits() {
			c.handler.Expired(c, writeExpired)
		}
	}
	if c.is(ended | closing) {
		return
	}
	next := d.read
	if next == 0 || d.write != 0 && d.write < next {
		next = d.write
	}
	if next != 0 {
		d.timer.set(next)
	}
}
