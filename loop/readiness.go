package loop

import (
	"fmt"
	"io"
	"time"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

// readiness is the driver over a multiplexer: it is told that a descriptor is ready, and then reads or writes.
type readiness struct {
	sel   *selector.Selector
	opt   *Options
	ready []selector.Ready
	buf   []byte // every connection's reads
	arena []byte
	pio   *packetIO
}

// readyAtOnce is how many descriptors one wait reports at most; the rest come with the next.
const readyAtOnce = 512

func newReadiness(s *selector.Selector, o *Options) *readiness {
	return &readiness{sel: s, opt: o, ready: make([]selector.Ready, 0, readyAtOnce), buf: make([]byte, o.ReadBuffer),
		arena: make([]byte, 0, corkArena)}
}

func (d *readiness) name() string       { return d.sel.Name() }
func (d *readiness) features() []string { return nil }
func (d *readiness) start() error       { return nil }
func (d *readiness) nextArena() []byte  { return d.arena }
func (d *readiness) wake() error        { return d.sel.Wake() }
func (d *readiness) close() error       { return d.sel.Close() }

func (d *readiness) wait(timeout time.Duration) (err error) {
	d.ready, err = d.sel.Select(timeout, d.ready)
	return err
}

func (d *readiness) dispatch() {
	for i := range d.ready {
		r := &d.ready[i]
		switch e := r.Data.(type) {
		case *Conn:
			d.conn(e, r.Ready)
		case *Listener:
			e.accept()
		case *PacketConn:
			d.packet(e, r.Ready)
		}
		r.Data = nil
	}
	d.ready = d.ready[:0]
}

// conn serves a connection that is ready. Whatever a handler before it in this turn did to it shows in its state.
func (d *readiness) conn(c *Conn, ready selector.Events) {
	if ready&selector.Write != 0 && c.wantsWrite() {
		if c.is(connecting) {
			c.connected(connectError(c))
		} else {
			writeOn(c)
		}
	}
	if ready&selector.Read == 0 {
		return
	}
	for left := d.opt.ReadBudget; left > 0 && c.wantsRead(); {
		n, err := c.sock.Recv(d.buf[:min(left, len(d.buf))])
		switch {
		case err == nil:
			c.received(d.buf[:n])
			if n < len(d.buf) { // most likely there is no more; if there is, the selector says so
				return
			}
			left -= n
		case err == io.EOF:
			c.receivedEOF()
			return
		case err == sock.ErrWouldBlock:
			return
		default:
			c.fail(fmt.Errorf("loop: receive: %w", err))
			return
		}
	}
}

func (d *readiness) write(c *Conn, extra []byte) error { return c.writeNow(extra) }

// update makes the selector watch for what the connection wants now.
func (d *readiness) update(c *Conn) {
	var want selector.Events
	if c.wantsRead() {
		want |= selector.Read
	}
	if c.wantsWrite() {
		want |= selector.Write
	}
	if want == selector.Events(c.armed) {
		return
	}
	if err := d.watch(c.sock.FD(), selector.Events(c.armed), want, c); err != nil {
		c.armed = 0
		c.fail(fmt.Errorf("loop: %w", err))
		return
	}
	c.armed = uint8(want)
}

// watch goes from one set of events to another: a selector knows no empty set.
func (d *readiness) watch(fd int, have, want selector.Events, data any) error {
	switch {
	case want == 0:
		return d.sel.Unregister(fd)
	case have == 0:
		return d.sel.Register(fd, want, data)
	default:
		return d.sel.Modify(fd, want, data)
	}
}

func (d *readiness) add(c *Conn) error {
	want := selector.Read
	if c.is(connecting) {
		want = selector.Write
	}
	if err := d.sel.Register(c.sock.FD(), want, c); err != nil {
		return err
	}
	c.armed = uint8(want)
	return nil
}

func (d *readiness) holds(*Conn) bool { return false }

func (d *readiness) release(c *Conn, reset bool) {
	d.unwatch(c.sock.FD(), selector.Events(c.armed))
	c.armed = 0
	// The descriptor is gone whatever close says, and nobody could do anything about it.
	if reset {
		_ = c.sock.Abort()
	} else {
		_ = c.sock.Close()
	}
}

// unwatch forgets a descriptor before it is closed, so that its number can't be taken for another's.
func (d *readiness) unwatch(fd int, have selector.Events) {
	if have != 0 {
		_ = d.sel.Unregister(fd) // fails only once the selector is closed
	}
}

func (d *readiness) addListener(l *Listener) error {
	l.armed = true
	return d.sel.Register(l.sock.FD(), selector.Read, l)
}

func (d *readiness) updateListener(l *Listener) {
	if l.armed == !l.paused {
		return
	}
	have, want := selector.Read, selector.Events(0)
	if !l.armed {
		have, want = want, have
	}
	if err := d.watch(l.sock.FD(), have, want, l); err != nil {
		l.end(fmt.Errorf("loop: listener: %w", err))
		return
	}
	l.armed = !l.armed
}

// accepting is false: connections are accepted by calls alone.
func (d *readiness) accepting(*Listener) bool { return false }

func (d *readiness) releaseListener(l *Listener) {
	if l.armed {
		d.unwatch(l.sock.FD(), selector.Read)
	}
	_ = l.sock.Close()
}
