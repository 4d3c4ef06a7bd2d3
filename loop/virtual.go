package loop

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// virtual is the driver over a [Network]: it is told what is ready, and then reads or writes, as readiness is. It is
// not told by a list that it asks for, but by calls of Notify's function, which any goroutine may make: each takes a
// note in told, in the order of the calls, and the loop works through the notes in that order. So the order in which a
// loop serves its connections is the network's.
type virtual struct {
	loop   *Loop
	sys    *virtualSystem
	waiter Waiter
	buf    []byte // every connection's reads
	arena  []byte
	ends   []*virtualEnd // by Conn.slot and its kin
	free   []uint32
	spare  []*virtualEnd
	send   func(c *Conn, extra []byte) error // write
	packet []byte                            // every datagram is read into it

	mu   sync.Mutex
	told []*virtualEnd
}

// A virtualEnd is what the driver keeps of a connection, a listener or a datagram socket. When that is released the end
// is forgotten too, so what is still noted of it is dropped.
type virtualEnd struct {
	conn     *Conn
	listener *Listener
	socket   *PacketConn
	stream   Stream
	grams    Datagrams
	number   uint32
	ready    Ready // what may be tried

	// Under the driver's lock.
	news   Ready // what was told since
	queued bool  // in told
}

func newVirtual(l *Loop) (driver, error) {
	sys := l.sys.network()
	w, err := sys.net.Attach()
	if err != nil {
		return nil, fmt.Errorf("loop: driver %s: %w", networkName, err)
	}
	d := &virtual{loop: l, sys: sys, waiter: w, buf: make([]byte, l.opt.ReadBuffer), arena: make([]byte, 0, corkArena)}
	d.send = d.write
	return d, nil
}

func (d *virtual) name() string       { return networkName }
func (d *virtual) features() []string { return nil }
func (d *virtual) start() error       { return nil }
func (d *virtual) nextArena() []byte  { return d.arena }

func (d *virtual) wake() error {
	d.waiter.Wake()
	return nil
}

func (d *virtual) close() error {
	d.waiter.Close()
	return nil
}

func (d *virtual) wait(timeout time.Duration) error {
	if d.found() {
		timeout = 0
	}
	return d.waiter.Wait(timeout)
}

func (d *virtual) found() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.told) > 0
}

// note has e served in the next dispatch. Any goroutine may call it.
func (d *virtual) note(e *virtualEnd, r Ready) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.news |= r
	if !e.queued {
		e.queued = true
		d.told = append(d.told, e)
	}
}

// hears is what the network is to call.
func (d *virtual) hears(e *virtualEnd) func(Ready) {
	return func(r Ready) {
		d.note(e, r)
		d.waiter.Wake()
	}
}

// takeTold takes the notes; what is noted from here on comes in the next dispatch.
func (d *virtual) takeTold() []*virtualEnd {
	d.mu.Lock()
	defer d.mu.Unlock()
	told := d.told
	d.told = d.spare[:0]
	for _, e := range told {
		e.ready |= e.news
		e.news, e.queued = 0, false
	}
	return told
}

func (d *virtual) dispatch() {
	told := d.takeTold()
	for i, e := range told {
		told[i] = nil
		switch {
		case e.conn != nil:
			d.serve(e)
		case e.listener != nil:
			if e.listener.accept() {
				d.note(e, Readable)
			}
		case e.socket != nil:
			if d.readPackets(e.socket) {
				d.note(e, Readable)
			}
		}
	}
	d.spare = told[:0]
}

// serve does for a connection what can be done now.
func (d *virtual) serve(e *virtualEnd) {
	c := e.conn
	if c.is(connecting) {
		if e.ready&(Writable|Broken) == 0 {
			return
		}
		err := e.stream.Err()
		if err != nil {
			err = fmt.Errorf("loop: %w", &sock.Error{Op: "connect", Err: err})
		}
		e.ready |= Readable
		c.connected(err)
	}
	if e.conn == c && e.ready&Writable != 0 && c.out != nil {
		writeOn(c, d.send)
	}
	if e.conn == c && e.ready&Delivered != 0 {
		c.acked()
	}
	if e.conn == c && e.ready&Readable != 0 && c.wantsRead() {
		d.read(e)
	}
	if e.conn == c && e.ready&Broken != 0 && c.wantsHangup() {
		c.hungUp()
	}
}

// read hands over what has arrived, up to ReadBudget; the rest comes in the next turn.
func (d *virtual) read(e *virtualEnd) {
	c, opt := e.conn, &d.loop.opt
	for left := opt.ReadBudget; left > 0 && e.conn != nil && c.wantsRead(); {
		n, err := e.stream.Read(d.buf[:min(left, len(d.buf))])
		switch err {
		case nil:
			c.received(d.buf[:n:n])
			left -= n
			continue
		case sock.ErrWouldBlock:
			e.ready &^= Readable
		case io.EOF:
			e.ready &^= Readable
			c.receivedEOF()
		default:
			e.ready &^= Readable
			c.fail(fmt.Errorf("loop: receive: %w", err))
		}
		return
	}
	d.again(e)
}

// again has e served in the next turn if it is ready for something that is wanted.
func (d *virtual) again(e *virtualEnd) {
	c := e.conn
	if c == nil {
		return
	}
	if e.ready&Readable != 0 && c.wantsRead() || e.ready&Writable != 0 && c.out != nil ||
		e.ready&Broken != 0 && c.wantsHangup() {
		d.note(e, 0)
	}
}

func (d *virtual) update(c *Conn) { d.again(d.ends[c.slot]) }

func (d *virtual) write(c *Conn, extra []byte) error {
	e := d.ends[c.slot]
	for c.out != nil && c.out.size > 0 {
		vs := c.out.views(d.loop.views[:0], 1)
		n, err := d.put(e, vs[0])
		whole := n == len(vs[0])
		clear(vs)
		if err != nil {
			return err
		}
		if n > 0 {
			c.consume(n)
		}
		if !whole {
			break
		}
	}
	var corked []byte
	if c.corkLen > 0 {
		corked = c.takeCorked()
	}
	for _, p := range [...][]byte{corked, extra} {
		if c.out == nil {
			n, err := d.put(e, p)
			if err != nil {
				return err
			}
			p = p[n:]
		}
		c.keep(p)
	}
	return nil
}

// put writes what there is room for; Writable comes when there is more.
func (d *virtual) put(e *virtualEnd, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := e.stream.Write(p)
	if err == sock.ErrWouldBlock {
		err = nil
	}
	if n < len(p) {
		e.ready &^= Writable
	}
	return n, err
}

// end makes what the driver keeps of one.
func (d *virtual) end() *virtualEnd {
	if n := len(d.free); n > 0 {
		e := &virtualEnd{number: d.free[n-1]}
		d.free = d.free[:n-1]
		d.ends[e.number] = e
		return e
	}
	e := &virtualEnd{number: uint32(len(d.ends))}
	d.ends = append(d.ends, e)
	return e
}

func (d *virtual) forgetEnd(number uint32) {
	e := d.ends[number]
	e.conn, e.listener, e.socket = nil, nil, nil
	d.ends[number] = nil
	d.free = append(d.free, number)
}

func (d *virtual) add(c *Conn) error {
	e := d.end()
	e.conn, e.stream, c.slot = c, d.sys.stream(c.sock), e.number
	e.stream.Notify(d.hears(e))
	if !c.is(connecting) {
		d.note(e, Readable) // what was there before is not told of
	}
	return nil
}

// holds is false: a connection is read when its handler is called.
func (d *virtual) holds(*Conn) bool { return false }

// forget is for a connection that is to be lent, and here none is.
func (d *virtual) forget(*Conn) bool { return false }

func (d *virtual) release(c *Conn, reset bool) {
	d.forgetEnd(c.slot)
	if reset {
		_ = d.sys.abort(c.sock) // it is gone whatever that says
	} else {
		_ = d.sys.close(c.sock)
	}
}

func (d *virtual) addListener(l *Listener) error {
	e := d.end()
	e.listener, l.slot = l, e.number
	d.sys.backlog(l.sock).Notify(d.hears(e))
	d.note(e, Readable)
	return nil
}

func (d *virtual) updateListener(l *Listener) {
	if !l.paused {
		d.note(d.ends[l.slot], Readable)
	}
}

// accepting is false: connections are accepted by calls alone.
func (d *virtual) accepting(*Listener) bool { return false }

func (d *virtual) releaseListener(l *Listener) {
	d.forgetEnd(l.slot)
	_ = d.sys.close(l.sock) // it is gone whatever that says
}

func (d *virtual) addWatch(*Watch) error { return errNoDescriptor }
func (d *virtual) updateWatch(*Watch)    {}
func (d *virtual) releaseWatch(*Watch)   {}
