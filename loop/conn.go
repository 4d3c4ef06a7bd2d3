package loop

import (
	"errors"
	"fmt"

	"github.com/plexor-go/plexor/sock"
)

// A Conn is a connected stream socket on a loop. All its methods are for the loop's goroutine.
type Conn struct {
	loop    *Loop
	handler Handler
	out     *output // nil: nothing waits; empty: a file waits for room
	times   *times  // nil: no deadline was ever set
	closer  *closer // nil: Close was not called, or nothing was left to wait for
	err     error   // what broke the way out; the way in is read to its end first
	sock    sock.Socket
	at      int32 // place in loop.conns
	corkOff int32 // this turn's output: arena[corkOff:][:corkLen]
	corkLen int32
	flight  int32 // bytes that the driver is sending from memory of its own, before all that is in out
	state   connState
	armed   uint8  // the driver's: what it asked the kernel for
	slot    uint32 // the driver's: where it keeps more
}

// connState is a set of facts about a connection.
//
//	connecting ──▶ open ──▶ closing (Close) ──▶ ended (released; Closed was or will be called)
//	                  └───────────(fail, Abort)────▲
//
// While it is open, its two halves end on their own: sawEOF is the peer's, shutWanted and shutDone are ours.
type connState uint16

const (
	connecting  connState = 1 << iota // Dial has not succeeded yet
	paused                            // by Pause
	full                              // output reached HighWater; reading waits too
	sawEOF                            // the peer closed its half
	shutWanted                        // CloseWrite: after the output
	shutDone                          // our half is closed
	closing                           // Close: the handler hears only Closed
	ended                             // released: the descriptor is not ours any more
	isDirty                           // in loop.dirty
	broken                            // a send failed: no more output
	wroteLate                         // the write deadline passed: Write fails until it is set anew
	wantsNotice                       // Write refused: Writable is owed, and comes before more Data
	duplex                            // by ReadOn: full does not keep from reading
	goneAtOnce                        // the peer's end was that of both halves: see receivedEOF
	lending                           // Lend: as soon as nothing is under way
	lent                              // the descriptor is the handler's, and the driver does not know the connection
)

func (c *Conn) is(s connState) bool { return c.state&s != 0 }

var (
	// ErrFull: Options.HighWater bytes of output wait; nothing was taken. Writable tells when there is room.
	ErrFull = errors.New("loop: output is full (Options.HighWater): write on in Writable")
	// ErrUndelivered: Close's linger limit passed, and the peer's system has not acknowledged every byte.
	ErrUndelivered = errors.New("loop: closed before the peer had acknowledged all output (Options.Linger)")
	// ErrAborted is what Closed gets after Abort.
	ErrAborted = errors.New("loop: aborted")
	// ErrWriteClosed is a Write after CloseWrite.
	ErrWriteClosed = errors.New("loop: write after CloseWrite")
)

// Loop is the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// SetHandler makes h the handler from the next call on.
func (c *Conn) SetHandler(h Handler) {
	c.loop.table.Lock() // for Loop.breakOff
	defer c.loop.table.Unlock()
	c.handler = h
}

// Handler is the connection's handler.
func (c *Conn) Handler() Handler { return c.handler }

// Write takes all of p, or nothing and returns an error: ErrFull (see Full), ErrWriteClosed after CloseWrite,
// ErrClosed after Close, a *DeadlineError once the write deadline has passed, or the error that broke the
// connection, which Closed gets too. p is the caller's again when Write returns. The bytes leave at the end of the
// turn, or at once if it is more than 16 KiB; taken does not mean delivered, which only Closed(nil) says.
func (c *Conn) Write(p []byte) (int, error) { return c.write(p, corkLimit) }

// WriteMore is Write of what more is likely to follow in this turn, as one record of TLS follows the other: up to
// 68 KiB, four of TLS's longest records, wait for the turn's end and leave by one system call; Options.HighWater if
// that is less, but 16 KiB always. Write lets 16 KiB wait, for what waits is copied once more.
func (c *Conn) WriteMore(p []byte) (int, error) {
	return c.write(p, max(corkLimit, min(corkMore, c.loop.opt.HighWater)))
}

func (c *Conn) write(p []byte, limit int) (int, error) {
	if c.state&(full|shutWanted|closing|ended|connecting|broken|wroteLate) != 0 {
		return 0, c.refusal()
	}
	if int(c.corkLen)+len(p) <= limit {
		if l := c.loop; len(l.arena)+len(p) > cap(l.arena) && c.out == nil && cap(l.arena) > 0 {
			if l.sendCorked(); c.state&(full|broken|ended) != 0 {
				return 0, c.refusal()
			}
		}
		c.cork(p)
		if c.out != nil && c.out.size >= c.loop.opt.HighWater {
			if err := c.send(nil); err != nil { // the mark holds within a turn too
				return 0, err
			}
		}
		return len(p), nil
	}
	if err := c.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// refusal is why Write takes nothing.
func (c *Conn) refusal() error {
	switch {
	case c.is(ended | closing):
		return ErrClosed
	case c.is(broken):
		return c.err
	case c.is(shutWanted):
		return ErrWriteClosed
	case c.is(connecting):
		return errors.New("loop: write before Opened")
	case c.is(wroteLate):
		return writeExpired
	}
	c.state |= wantsNotice
	return ErrFull
}

// cork keeps p for the end of the turn: in the loop's arena while the connection's bytes can stand there in one
// piece, else in its own blocks.
func (c *Conn) cork(p []byte) {
	l := c.loop
	if len(p) == 0 {
		return
	}
	if !c.is(isDirty) {
		c.state |= isDirty
		l.dirty = append(l.dirty, c)
	}
	fits := len(l.arena)+len(p) <= cap(l.arena)
	switch {
	case c.out != nil:
		c.out.append(p, &l.blocks)
	case fits && c.corkLen == 0:
		c.corkOff, c.corkLen = int32(len(l.arena)), int32(len(p))
		l.arena = append(l.arena, p...)
	case fits && int(c.corkOff+c.corkLen) == len(l.arena):
		c.corkLen += int32(len(p))
		l.arena = append(l.arena, p...)
	default: // others wrote in between, or the driver has no arena
		c.keep(c.takeCorked())
		c.keep(p)
	}
}

// takeCorked is this turn's output, which is the caller's to send or keep now.
func (c *Conn) takeCorked() []byte {
	p := c.loop.arena[c.corkOff:][:c.corkLen]
	c.corkOff, c.corkLen = 0, 0
	return p
}

// keep puts p behind what waits already.
func (c *Conn) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if c.out == nil {
		c.out = c.loop.blocks.getQueue()
	}
	c.out.append(p, &c.loop.blocks)
}

// keepFirst puts p before what waits already.
func (c *Conn) keepFirst(p []byte) {
	behind := c.out
	c.out = c.loop.blocks.getQueue()
	c.out.append(p, &c.loop.blocks)
	if behind != nil {
		c.out.join(behind)
		c.loop.blocks.putQueue(behind)
	}
}

// consume drops the first n bytes of what waits, for they are sent.
func (c *Conn) consume(n int) {
	c.out.consume(n, &c.loop.blocks)
	if c.out.size == 0 {
		c.loop.blocks.putQueue(c.out)
		c.out = nil
	}
}

// Pending is how many bytes wait to be sent.
func (c *Conn) Pending() int {
	n := int(c.corkLen + c.flight)
	if c.out != nil {
		n += c.out.size
	}
	return n
}

// Full reports whether Write would refuse for want of room. Once it does, Writable will be called.
func (c *Conn) Full() bool {
	if c.is(full) {
		c.state |= wantsNotice
	}
	return c.is(full)
}

// send sends what waits, and extra behind it, as far as the kernel takes it.
func (c *Conn) send(extra []byte) error {
	if err := c.loop.driver.write(c, extra); err != nil {
		c.breakOutput(fmt.Errorf("loop: send: %w", err))
		return c.err
	}
	if c.out != nil && c.out.size >= c.loop.opt.HighWater {
		c.state |= full
	}
	c.sentSome() // it may have been full before, and all has left now
	return nil
}

// breakOutput is for a send that failed. What the peer sent before it went away may still be in the kernel, and
// the handler gets it: reading goes on to its end, and then Closed gets err. Who waits for Writable is called, and
// Write then tells; it may have paused its input meanwhile, and would hear of nothing.
func (c *Conn) breakOutput(err error) {
	c.err = err
	c.state = c.state&^full | broken
	c.dropOutput()
	if c.is(closing | sawEOF) {
		c.fail(err)
		return
	}
	c.writableIfOwed()
	c.loop.driver.update(c)
}

// writableIfOwed has Writable called at the end of the turn if somebody was refused.
func (c *Conn) writableIfOwed() {
	if c.is(wantsNotice) {
		c.loop.notices = append(c.loop.notices, notice{c: c, kind: noticeWritable})
	}
}

// flush is the end of the turn.
func (c *Conn) flush() {
	c.state &^= isDirty
	switch {
	case c.is(ended):
	case c.Pending() > 0:
		_ = c.send(nil) // Closed will tell
	case c.is(closing): // all left before, but Close waited for the turn's end
		c.settle()
	}
}

// sentSome looks what can go on since some of what waited has left; the driver tells so too.
func (c *Conn) sentSome() {
	if c.is(full) && (c.out == nil || c.out.size <= c.loop.opt.HighWater/2) {
		c.state &^= full
		c.writableIfOwed()
	}
	c.settle()
}

// settle does what had to wait for output to leave, and tells the driver what is wanted now.
func (c *Conn) settle() {
	if c.is(shutWanted) {
		if !c.is(shutDone|broken) && c.Pending() == 0 {
			c.state |= shutDone
			if err := c.loop.sys.closeWrite(c.sock); err != nil {
				c.breakOutput(c.shutError(err))
				return
			}
		}
		if c.is(closing) && !c.is(isDirty) {
			c.linger()
		}
	}
	if !c.is(ended) {
		c.loop.driver.update(c)
	}
	c.lendSoon()
}

// shutError is why the sending half could not be closed. Of a connection that was reset the system says only that
// there is none (ENOTCONN), and keeps the reset as the socket's error.
func (c *Conn) shutError(err error) error {
	var e *sock.Error
	if cause := c.sockError(); cause != nil && errors.As(err, &e) {
		e.Err = cause
	}
	return fmt.Errorf("loop: %w", err)
}

// wantsRead tells the driver whether it may deliver bytes. A closing connection reads to drop.
func (c *Conn) wantsRead() bool {
	if c.is(closing) {
		return c.state&(sawEOF|ended) == 0
	}
	stops := paused | full | wantsNotice | sawEOF | connecting | ended
	if c.is(duplex) {
		stops &^= full | wantsNotice
	}
	return c.state&stops == 0
}

// ReadOn makes reading go on while the output is full, for the rest of the connection's life. It is for handlers whose
// output is bounded by other means, as a coroutine's is that waits for room, and for one end of a connection at least
// where both send and read at once: with two ends that stop reading until the other one reads, nothing goes on.
func (c *Conn) ReadOn() {
	c.state |= duplex
	if !c.is(ended | lent) {
		c.loop.driver.update(c)
	}
}

// wantsWrite tells the driver whether there is something to be sent, or to be waited for.
func (c *Conn) wantsWrite() bool {
	return c.out != nil || c.is(connecting)
}

// connected is told by the driver how Dial ended.
func (c *Conn) connected(err error) {
	c.state &^= connecting
	if c.closer != nil { // Dial's timeout
		c.closer.timer.Stop()
		c.closer = nil
	}
	if err != nil {
		c.release(err, false)
		return
	}
	c.opened()
}

// opened makes the handler's first call.
func (c *Conn) opened() {
	c.loop.driver.update(c)
	c.handler.Opened(c)
}

// received is told by the driver what the peer sent.
func (c *Conn) received(p []byte) {
	if !c.is(closing) {
		c.handler.Data(c, p)
	}
}

// handOver is received for what a driver held, for as long as the connection wants to read; it reports whether all of q
// is gone then, and q is given back. If the connection ends meanwhile, q is gone too.
func (c *Conn) handOver(q *output) bool {
	l := c.loop
	for q.size > 0 && c.wantsRead() {
		l.views = q.views(l.views[:0], 1)
		p := l.views[0]
		n := min(len(p), l.opt.ReadBuffer)
		l.handing = q
		c.received(p[:n:n])
		l.handing = nil
		if c.is(ended) {
			l.dropHeld(q)
			return true
		}
		q.consume(n, &l.blocks)
	}
	if q.size > 0 {
		return false
	}
	l.blocks.putQueue(q)
	return true
}

// dropHeld gives back what a driver held for a connection that has ended; if its handler has some of it just now, it
// stays until the handler returns.
func (l *Loop) dropHeld(q *output) {
	if q != l.handing {
		q.drop(&l.blocks)
		l.blocks.putQueue(q)
	}
}

// receivedEOF is told by the driver that the peer closed its half.
func (c *Conn) receivedEOF() {
	c.state |= sawEOF
	switch {
	case c.is(broken):
		c.fail(c.err)
		return
	case c.is(closing):
		c.settle()
		return
	}
	c.handler.EOF(c)
	if c.wantsHangup() { // it is not closing by now
		c.lookGone()
	}
	if !c.is(ended) {
		c.loop.driver.update(c)
	}
}

// Pause stops reading; the peer is held up once the kernel's buffers are full. Data that was received before may not be
// called again in this turn. Resume goes on. Of a connection that breaks meanwhile the next Write tells, or, behind
// what had arrived before, what comes after Resume.
func (c *Conn) Pause() {
	if !c.is(ended | paused) {
		c.state |= paused
		c.loop.driver.update(c)
	}
}

// Resume ends Pause.
func (c *Conn) Resume() {
	if c.is(paused) && !c.is(ended) {
		c.state &^= paused
		c.loop.driver.update(c)
	}
}

// notify makes a call that was put off.
func (c *Conn) notify(kind noticeKind, err error) {
	switch kind {
	case noticeClosed:
		c.handler.Closed(c, err)
	case noticeWritable:
		c.writable()
	case noticeDelivered:
		if h, ok := c.handler.(DeliveryHandler); ok {
			h.Delivered(c)
		}
	}
}

// writable makes the owed call, unless the output has become full again, and lets reading go on after it.
func (c *Conn) writable() {
	if c.is(full) || !c.is(wantsNotice) {
		return
	}
	c.state &^= wantsNotice
	if !c.is(ended | closing | shutWanted) {
		c.handler.Writable(c)
	}
	if !c.is(ended) {
		c.loop.driver.update(c)
	}
}
