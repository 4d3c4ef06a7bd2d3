package loop

import (
	"fmt"
	"io"
	"time"

	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

// readiness is the driver over a multiplexer: it is told that a descriptor is ready, and then reads or writes.
//
// Connections that are ready are read one after the other, and then their handlers are called, one after the other: up
// to readAtOnce at a time, into one buffer. A system call leaves little of what the processor had learnt of the code
// before it, and so it costs less to have many of them in a row, and then many calls of handlers, than to have them by
// turns; and while one handler runs, what the next ones need is fetched (see Prefetcher).
//
// The price: a handler may keep another connection from reading whose bytes have been
// read by then. They are held, and come first when it wants them.
type readiness struct {
	sel   *selector.Selector
	opt   *Options
	ready []selector.Ready
	buf   []byte // every connection's reads
	used  int    // of it, by batch
	batch []arrival
	held  map[*Conn]*holding
	again []*Conn // of held: they want to read again
	spare []*Conn
	arena []byte
	pio   *packetIO
}

// An arrival is what was read of a connection and is to be handed over.
type arrival struct {
	conn *Conn
	p    []byte
}

// A holding is what was read of a connection that then did not want to read.
type holding struct {
	bytes  *output
	queued bool // in again
}

const (
	// readyAtOnce is how many descriptors one wait reports at most; the rest come with the next.
	readyAtOnce = 512
	// readAtOnce is how many connections are read before their handlers are called; fewer if ReadBuffer bytes came.
	readAtOnce = 64
)

// newReadiness makes the buffer twice as large as a read, so that none is smaller for what others had before it.
func newReadiness(s *selector.Selector, o *Options) *readiness {
	return &readiness{sel: s, opt: o, ready: make([]selector.Ready, 0, readyAtOnce), buf: make([]byte, 2*o.ReadBuffer),
		batch: make([]arrival, 0, readAtOnce), held: make(map[*Conn]*holding), arena: make([]byte, 0, corkArena)}
}

func (d *readiness) name() string       { return d.sel.Name() }
func (d *readiness) features() []string { return nil }
func (d *readiness) start() error       { return nil }
func (d *readiness) nextArena() []byte  { return d.arena }
func (d *readiness) wake() error        { return d.sel.Wake() }
func (d *readiness) close() error       { return d.sel.Close() }

func (d *readiness) wait(timeout time.Duration) (err error) {
	if len(d.again) > 0 {
		timeout = 0
	}
	d.ready, err = d.sel.Select(timeout, d.ready)
	return err
}

func (d *readiness) found() bool { return len(d.ready)+len(d.again) > 0 }

func (d *readiness) dispatch() {
	d.resume()
	for i := range d.ready {
		r := &d.ready[i]
		switch e := r.Data.(type) {
		case *Conn:
			d.conn(e, r.Ready)
		case *Listener:
			e.accept()
		case *PacketConn:
			d.packet(e, r.Ready)
		case *Watch:
			d.watched(e, r.Ready)
		}
		r.Data = nil
	}
	d.deliver()
	d.ready = d.ready[:0]
}

// conn serves a connection that is ready. Whatever a handler before it in this turn did to it shows in its state.
func (d *readiness) conn(c *Conn, ready selector.Events) {
	if ready&selector.Write != 0 && c.wantsWrite() {
		if c.is(connecting) {
			c.connected(connectError(c))
		} else {
			writeOn(c, (*Conn).writeNow)
		}
	}
	if ready == selector.Hangup {
		c.hungUp()
	}
	if ready&selector.Read == 0 {
		return
	}
	if len(d.batch) == readAtOnce || d.used > d.opt.ReadBuffer {
		d.deliver()
	}
	if d.reads(c) {
		d.read(c)
	}
}

// reads reports whether c may be read from.
func (d *readiness) reads(c *Conn) bool {
	return c.wantsRead() && (len(d.held) == 0 || d.held[c] == nil)
}

// read reads once, for the batch, and on if that was not all.
func (d *readiness) read(c *Conn) {
	limit := min(d.opt.ReadBuffer, d.opt.ReadBudget)
	n := d.recv(c, limit)
	if n < limit { // most likely there is no more; if there is, the selector says so
		return
	}
	d.deliver()
	for left := d.opt.ReadBudget - n; left > 0 && n == limit && d.reads(c); left -= n {
		limit = min(left, d.opt.ReadBuffer)
		n = d.recv(c, limit)
		d.deliver()
	}
}

// recv adds to the batch what one call receives, and returns how much that is. The end of the stream, and errors, are
// told at once.
func (d *readiness) recv(c *Conn, limit int) int {
	n, err := c.sock.Recv(d.buf[d.used:][:limit])
	switch err {
	case nil:
		d.batch = append(d.batch, arrival{c, d.buf[d.used : d.used+n : d.used+n]})
		d.used += n
		return n
	case io.EOF:
		c.receivedEOF()
	case sock.ErrWouldBlock:
	default:
		c.fail(fmt.Errorf("loop: receive: %w", err))
	}
	return 0
}

// deliver hands the batch over.
func (d *readiness) deliver() {
	var ahead lookahead
	many := len(d.batch) > 0 && len(d.batch[0].conn.loop.conns) >= manyConns
	for i := range d.batch {
		if many {
			d.prefetch(i, &ahead)
		}
		a := &d.batch[i]
		switch c := a.conn; {
		case c.is(ended):
		case c.wantsRead():
			c.received(a.p)
		default:
			h := &holding{bytes: c.loop.blocks.getQueue()}
			h.bytes.append(a.p, &c.loop.blocks)
			d.held[c] = h
		}
		a.conn = nil
	}
	d.batch, d.used = d.batch[:0], 0
}

// prefetch looks ahead of batch[i]. The connections themselves were looked at when they were read from.
func (d *readiness) prefetch(i int, ahead *lookahead) {
	var c *Conn
	if i += aheadOfCall; i < len(d.batch) {
		c = d.batch[i].conn
	}
	ahead.next(c)
}

// later has what is held of c handed over in the next dispatch: not here, for this may be inside a handler's call.
func (d *readiness) later(c *Conn) {
	if h := d.held[c]; !h.queued {
		h.queued = true
		d.again = append(d.again, c)
	}
}

// resume hands over what was held, as far as it is wanted, and then goes on reading.
func (d *readiness) resume() {
	if len(d.again) == 0 {
		return
	}
	again := d.again
	d.again = d.spare[:0]
	for i, c := range again {
		again[i] = nil
		h := d.held[c]
		if h == nil {
			continue // released
		}
		h.queued = false
		if c.handOver(h.bytes) && !c.is(ended) {
			delete(d.held, c)
			d.update(c)
			c.lendSoon()
		}
	}
	d.spare = again[:0]
}

func (d *readiness) write(c *Conn, extra []byte) error { return c.writeNow(extra) }

// update makes the selector watch for what the connection wants now.
func (d *readiness) update(c *Conn) {
	var want selector.Events
	switch {
	case d.reads(c):
		want |= selector.Read
	case c.wantsRead():
		d.later(c)
	}
	if c.wantsWrite() {
		want |= selector.Write
	}
	if want == 0 && c.wantsHangup() {
		want = selector.Hangup
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

// holds is true for all while a batch is made or handed over: whose bytes are in it is not looked at.
func (d *readiness) holds(c *Conn) bool { return len(d.batch) > 0 || d.held[c] != nil }

// forget is called at the end of a turn, when no batch is under way.
func (d *readiness) forget(c *Conn) bool {
	if len(d.held) > 0 && d.held[c] != nil {
		d.update(c) // which has it handed over, if it is wanted
		return false
	}
	d.unwatch(c.sock.FD(), selector.Events(c.armed))
	c.armed = 0
	return true
}

func (d *readiness) release(c *Conn, reset bool) {
	d.unwatch(c.sock.FD(), selector.Events(c.armed))
	c.armed = 0
	if h := d.held[c]; h != nil {
		c.loop.dropHeld(h.bytes)
		delete(d.held, c)
	}
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
