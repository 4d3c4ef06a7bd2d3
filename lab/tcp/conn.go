package tcp

import (
	"net/netip"
	"time"
)

// A record is what is kept of a segment that was sent and not acknowledged.
type record struct {
	from, to Seq // to counts SYN and FIN too
	sent     time.Duration
	flags    recordFlags
}

type recordFlags uint8

const (
	sacked recordFlags = 1 << iota
	lost               // and not sent again since
	again              // sent more than once
)

// A timer is what a connection may wait for.
type timer uint8

const (
	timerRetransmit timer = iota
	timerPersist
	timerDelayedAck
	timerReorder // RACK
	timerKeepAlive
	timerTimeWait
	timers
)

// off is the time of a timer that does not run.
const off = time.Duration(1<<63 - 1)

// Events are what has happened to a connection since its last Event.
type Events uint8

// The events. They are hints: Read and Write say how it is.
const (
	Opened    Events = 1 << iota // the handshake is done
	Readable                     // there is more to read, or the end
	Writable                     // there is room again after a Write that was cut short
	Urgent                       // the peer has said that something is urgent (MUST-32)
	Stalled                      // R1: three retransmissions without an answer (MUST-20, SHLD-9, SHLD-10)
	Delivered                    // CloseWrite: the peer has all that was written, and the end
	Advised                      // the network has said something that ends nothing: Advice says what (MUST-47)
	Ended                        // the connection is gone; Err says why
)

// A Conn is one connection: RFC 9293's transmission control block. It belongs to its stack.
type Conn struct {
	stack    *Stack
	key      fourTuple
	listener *Listener // that it came by, until it is accepted
	err      error
	state    State
	events   Events
	queued   bool // in the stack's list of events
	marked   bool // in the stack's list of those to flush
	fin      bool // the application has ended its half
	short    bool // a Write was cut short
	deaf     bool // Close: nobody reads any more
	ackNow   bool
	probe    bool // the persist or keep-alive timer asks for a segment
	noDelay  bool // Nagle is off

	// What was agreed in the handshake.
	timestamps, sack, scaling bool
	ecn                       bool
	echo                      bool  // of congestion: ECE on what is sent
	reduced                   bool  // the window, by an echo: CWR on the next new text
	scaleOut, scaleIn         uint8 // of windows that come; of windows that go
	mss                       int   // of a segment's text that is sent, options not yet taken off
	advertised                int   // the MSS that was sent

	// The sender.
	iss, una, next Seq
	fresh          Seq // of the text that is sent for the first time right now
	first          Seq // of the byte at the beginning of out
	window         int // the peer's
	wl1, wl2       Seq // RFC 9293's SND.WL1 and WL2
	maxWindow      int
	usualWindow    int // the largest since the last time when only a timer let out what fits into a small one
	out            pages
	outLen         int
	mostOut        int // of it
	records        []record
	pipe           int // numbers of the records that are on their way
	cc             congestion
	rtt            rtt
	backoff        int // how often the timeout was doubled since there was a measurement
	timeouts       int // in a row
	dups           int // duplicate acknowledgments, where there is no SACK
	recover        Seq // where recovery ends: what was sent when it began
	recovering     bool
	slow           bool // a timeout has been, and what was sent before is not acknowledged: slow start
	beyond         bool // a segment of new text goes out whatever is in flight
	prr            proportion
	tail           tail
	atOnce         bool // the next retransmission goes out whatever is in flight: of a recovery, or of a probe
	limited        bool // at the last Flush all that the congestion window allows was on its way
	small          bool // a small segment goes out, as the window has not grown for long
	rack           rack
	moved          time.Duration // when una last moved, or Close was called
	unackedSince   time.Duration // when una last moved, or what is unacknowledged was sent
	probes         int           // unanswered, of the persist or keep-alive timer
	asked          time.Duration // when the first of those was sent
	lastSent       time.Duration

	urgentOut   Seq // SND.UP: the first byte that is not urgent
	urgentSends bool
	userTimeout time.Duration
	keepEvery   time.Duration // the connection's own keep-alive; 0: the limits', off: none
	tos         uint8
	advice      Advice
	route       *route // nil: none

	// The receiver.
	irs, want Seq // want is RFC 9293's RCV.NXT
	edge      Seq // the right edge of the window that was offered: never moved back
	in        pages
	inLen     int // bytes to be read, from the left
	mostIn    int // of them
	early     ranges
	finAt     Seq // where the peer's FIN is, once it has come
	finKnown  bool
	finTaken  bool
	urgent    Seq // RCV.UP
	urgentOn  bool
	unacked   int           // bytes that came and were not acknowledged
	full      int           // the most text that a segment had, but no more than advertised: options take their part
	recent    uint32        // RFC 7323's TS.Recent
	recentAt  time.Duration // when it was set
	lastAck   Seq           // RFC 7323's Last.ACK.sent
	lastOffer uint16        // the window that went with it
	heard     time.Duration // when the last segment came

	timers  [timers]time.Duration
	entered bool // in the stack's queue of timers, at entryAt
	entryAt time.Duration
}

// A fourTuple names a connection.
type fourTuple struct{ local, remote netip.AddrPort }

// Local and Remote are the connection's addresses.
func (c *Conn) Local() netip.AddrPort  { return c.key.local }
func (c *Conn) Remote() netip.AddrPort { return c.key.remote }

// State is how far the connection is.
func (c *Conn) State() State { return c.state }

// Err is why the connection ended; nil where both sides closed it, or it has not ended.
func (c *Conn) Err() error { return c.err }

// Unacked is how many bytes were written and not acknowledged by the peer.
func (c *Conn) Unacked() int { return c.outLen }

// Unread is how many bytes Read would give.
func (c *Conn) Unread() int { return c.inLen }

// SetNoDelay switches Nagle's algorithm off or on (MUST-17; it is on at first).
func (c *Conn) SetNoDelay(on bool) { c.noDelay = on; c.mark() }

// SetBuffers bounds the connection's own buffers, in bytes: no more than the limits', which they are at first, and at 0
// as they are. A window that was offered stays offered (SHLD-14).
func (c *Conn) SetBuffers(send, receive int) {
	if send > 0 {
		c.mostOut = min(send, c.stack.limits.SendBuffer)
	}
	if receive > 0 {
		c.mostIn = min(receive, c.stack.limits.ReceiveBuffer)
	}
}

// SetUserTimeout sets R2, how long what was sent may stay unacknowledged (MUST-21); 0 is the limits'.
func (c *Conn) SetUserTimeout(d time.Duration) { c.userTimeout = d }

// SetKeepAlive has a peer that is silent for that long be asked whether it is there, from now on, or has nobody ask it.
// At 0 it is Limits.KeepAlive's time, and two hours where that is 0 (MUST-24 to MUST-28).
func (c *Conn) SetKeepAlive(now time.Duration, on bool, every time.Duration) {
	switch {
	case !on:
		every = off
	case every <= 0 && c.stack.limits.KeepAlive > 0:
		every = c.stack.limits.KeepAlive
	case every <= 0:
		every = defaultKeepAlive
	}
	c.keepEvery = every
	c.stop(timerKeepAlive)
	if c.state >= Established {
		c.keepAlive(now)
	}
}

// SetTOS sets the Diffserv field, six bits above two, of what is sent from now on (MUST-48, SHLD-21).
func (c *Conn) SetTOS(tos uint8) { c.tos = tos }

// WriteUrgent is a Write all of whose bytes are urgent: up to their end, the segments say so (MUST-30).
func (c *Conn) WriteUrgent(now time.Duration, b []byte) (int, error) {
	n, err := c.Write(now, b)
	if n > 0 {
		c.urgentOut, c.urgentSends = c.finSeq(), true
	}
	return n, err
}

// patience is R2.
func (c *Conn) patience() time.Duration {
	switch {
	case c.userTimeout > 0:
		return c.userTimeout
	case c.state < Established:
		return c.stack.limits.SynTimeout
	}
	return c.stack.limits.UserTimeout
}

// Write takes as much of b as there is room for, and says how much. It never waits; after a short one, Writable tells
// when there is room.
func (c *Conn) Write(now time.Duration, b []byte) (int, error) {
	switch {
	case c.err != nil:
		return 0, c.err
	case c.fin || !c.state.canSend():
		return 0, ErrClosed
	}
	n := min(len(b), c.mostOut-c.outLen)
	c.short = n < len(b)
	if n == 0 {
		return 0, nil
	}
	c.out.write(&c.stack.pool, c.outLen, b[:n])
	c.outLen += n
	c.mark()
	return n, nil
}

// Read takes what has come, at most len(b) bytes. At the end of the peer's half it is (0, true, nil), also where the
// connection was reset behind it; where there is nothing yet, (0, false, nil).
func (c *Conn) Read(now time.Duration, b []byte) (n int, end bool, err error) {
	n = min(len(b), c.inLen)
	if n == 0 {
		if c.err != nil && (!c.finTaken || c.err == ErrClosed) {
			return 0, false, c.err
		}
		return 0, c.finTaken, nil
	}
	c.in.read(0, b[:n])
	c.in.discard(&c.stack.pool, n)
	c.inLen -= n
	if c.inLen == 0 && len(c.early.list) == 0 {
		c.in.release(&c.stack.pool)
	}
	// The window opens by a step that is worth a segment, or not at all: silly window avoidance (MUST-39).
	if grown := c.edge.To(c.want.Add(c.room())); grown >= min(c.mostIn/2, c.advertised) &&
		c.state.takesText() {
		c.ackNow = true
		c.mark()
	}
	return n, false, nil
}

// CloseWrite ends this side's half: what was written is sent, and then a FIN. Reading goes on.
func (c *Conn) CloseWrite(now time.Duration) error {
	switch {
	case c.err != nil:
		return c.err
	case c.fin:
		return nil
	case c.state == SynSent && c.outLen == 0:
		c.end(now, nil)
		return nil
	case !c.state.canSend():
		return ErrClosed
	}
	c.fin = true
	switch c.state {
	case Established:
		c.state = FinWait1
	case CloseWait:
		c.state = LastAck
	}
	c.mark()
	return nil
}

// Close ends both halves: nothing is read any more, and what was written is sent, and then a FIN. Text that nobody has
// read, or that comes from now on, is lost, and the peer is told so by a reset (SHLD-3); then what was written and not
// sent is lost too, as RFC 2525, section 2.17 has it.
func (c *Conn) Close(now time.Duration) error {
	if !c.deaf {
		c.deaf, c.moved = true, now
	}
	if c.err != nil {
		c.dropInput()
		return c.err
	}
	if c.inLen > 0 || len(c.early.list) > 0 {
		c.Abort(now)
		return nil
	}
	if c.fin {
		c.deserted(now)
		return nil
	}
	return c.CloseWrite(now)
}

// Abort ends the connection at once, with a reset to the peer (RFC 9293, section 3.10.5). What was not acknowledged is
// lost.
func (c *Conn) Abort(now time.Duration) {
	switch c.state {
	case SynReceived, Established, FinWait1, FinWait2, CloseWait:
		c.stack.reset(c.key, c.next, 0, false)
	}
	c.end(now, ErrClosed)
	c.dropInput() // if it had ended before
}

// dropInput forgets what nobody will read.
func (c *Conn) dropInput() {
	c.in.release(&c.stack.pool)
	c.inLen, c.early = 0, ranges{}
}

// room is how much more text can be taken in, as far as the window field can say it.
func (c *Conn) room() int { return min(c.mostIn, 65535<<c.scaleIn) - c.inLen }

// finSeq is where this side's FIN is, or will be.
func (c *Conn) finSeq() Seq { return c.first.Add(c.outLen) }

// finAcked reports whether the peer has this side's FIN.
func (c *Conn) finAcked() bool { return c.fin && c.finSeq().Less(c.una) }

// mark has Flush ask the connection for what it sends.
func (c *Conn) mark() {
	if !c.marked {
		c.marked = true
		c.stack.marked = append(c.stack.marked, c)
	}
}

// tell notes events for the stack's user.
func (c *Conn) tell(e Events) {
	c.events |= e
	if !c.queued && c.listener == nil {
		c.queued = true
		c.stack.told = append(c.stack.told, c)
	}
}

// set starts a timer, or starts it anew.
func (c *Conn) set(t timer, at time.Duration) { c.timers[t] = at; c.stack.moved(c) }

func (c *Conn) stop(t timer) { c.timers[t] = off }

// due is the time of the first timer.
func (c *Conn) due() time.Duration {
	first := off
	for _, at := range c.timers {
		first = min(first, at)
	}
	return first
}

// end is the end of the connection: nothing of it is left in the stack but the value itself.
func (c *Conn) end(now time.Duration, why error) {
	if c.state == Closed {
		return
	}
	c.state = Closed
	if c.err == nil {
		c.err = why
	}
	for t := range c.timers {
		c.timers[t] = off
	}
	c.out.release(&c.stack.pool)
	c.outLen, c.records, c.pipe = 0, nil, 0
	if c.deaf || why == ErrClosed { // else what came is the reader's: the peer had sent it before
		c.dropInput()
	}
	c.stack.forget(c)
	c.tell(Ended | Readable | Writable)
}
