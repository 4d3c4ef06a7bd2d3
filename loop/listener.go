package loop

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// An AcceptFunc chooses the handler of a new connection, on the connection's loop, before Opened. nil refuses the
// connection: it is reset.
type AcceptFunc func(c *Conn) Handler

var errNoHandler = errors.New("there must be a handler, or a function that chooses one; it is nil")

// A Listener accepts connections on a loop. Its methods are for the loop's goroutine.
type Listener struct {
	loop    *Loop
	choose  AcceptFunc
	give    func() *Loop // who gets the next connection
	sock    sock.Socket
	addr    sock.Addr
	options sock.Options  // for systems where a connection does not have its listener's
	file    sock.File     // of a unix socket
	paused  bool          // steps back, or closed
	armed   bool          // the driver's
	slot    uint32        // the driver's
	early   []sock.Socket // accepted by the driver, and no turn's yet: see Options.AcceptBudget
	ended   bool
	listening
	leaving bool        // ends as soon as the driver accepts no more
	broken  atomic.Bool // broken off from outside, while the loop was held: what comes of it is its end
	look    *Timer      // the driver's, of a shared socket

	retry    *Timer
	pause    time.Duration
	said     bool      // the log knows of this step back
	lacks    lineLimit // of the log's lines about want of descriptors
	fails    lineLimit // and about other failures of accept
	retrying atomic.Bool
}

// A listener that found no free descriptor tries again when one was closed in this group, and at these intervals,
// since it may be closed elsewhere in the process.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second

	// At the limit a listener steps back and goes on with each connection that ends. The log hears of it this often.
	sayEvery = 10 * time.Second
)

// A lineLimit lets one line of the log through in sayEvery, for peers bring about what it tells of.
type lineLimit struct {
	begun    bool
	last     int64 // when the last one was written, by the loop's clock
	unlogged int   // left out since
}

// next reports whether the line may be written now, and how many were left out since the one before.
func (s *lineLimit) next(now int64) (unlogged int, ok bool) {
	if s.begun && now-s.last < int64(sayEvery) {
		s.unlogged++
		return 0, false
	}
	unlogged = s.unlogged
	*s = lineLimit{begun: true, last: now}
	return unlogged, true
}

// Listen listens on a, which is a tcp or a unix address, and hands each connection to its handler. The errors
// are those of sock.Listen.
func (l *Loop) Listen(a sock.Addr, o sock.Options, accept AcceptFunc) (*Listener, error) {
	if a.Scheme == "udp" {
		return nil, fmt.Errorf("loop: %s: Listen is for streams; ListenPacket is for datagrams", a)
	}
	s, err := l.sys.listen(a, o)
	if err != nil {
		return nil, err
	}
	return l.listenOn(s, o, accept, func() *Loop { return l }, listening{})
}

// listenOn takes s over. The file of one that is shared is left to others.
func (l *Loop) listenOn(s sock.Socket, o sock.Options, accept AcceptFunc, give func() *Loop, how listening) (
	*Listener, error) {
	ln := &Listener{loop: l, choose: accept, give: give, sock: s, options: o, listening: how}
	var err error
	if ln.addr, err = l.sys.localAddr(s); err == nil && !how.shared {
		ln.file, err = l.sys.fileOf(s)
	}
	if err == nil && accept == nil {
		err = errNoHandler
	}
	if err == nil && l.closing.Load() {
		err = ErrClosed
	}
	if err == nil {
		err = l.driver.addListener(ln)
	}
	if err != nil {
		giveUp(l.sys, s, how.shared)
		return nil, fmt.Errorf("loop: listen on %s: %w", ln.addr, err)
	}
	l.addEndpoint(ln)
	return ln, nil
}

// discard gives up a listening socket for an error that is told elsewhere.
func discard(sys system, s sock.Socket) {
	if file, err := sys.fileOf(s); err == nil {
		_ = file.Remove()
	}
	_ = sys.close(s)
}

// giveUp is discard, but for the file of a shared socket, which is others'.
func giveUp(sys system, s sock.Socket, shared bool) {
	if shared {
		_ = sys.close(s) // the error that led here is told
		return
	}
	discard(sys, s)
}

// Addr is the address that the listener got, with its port. Any goroutine may call it.
func (ln *Listener) Addr() sock.Addr { return ln.addr }

// Close stops listening. Connections that were accepted go on; those that wait in the backlog are reset by the
// system.
func (ln *Listener) Close() error {
	if ln.ended {
		return ErrClosed
	}
	ln.end(nil)
	return nil
}

func (ln *Listener) end(error) {
	if ln.ended {
		return
	}
	ln.ended, ln.paused = true, true
	if ln.retry != nil {
		ln.retry.Stop()
	}
	if ln.look != nil {
		ln.look.Stop()
	}
	ln.loop.starved.remove(ln)
	for len(ln.early) > 0 {
		_ = ln.loop.sys.abort(ln.nextEarly()) // as the system does with those in the backlog
	}
	if err := ln.file.Remove(); err != nil {
		ln.loop.opt.Log.Warn("the listener's file is left behind", "listener", ln.addr.String(), "err", err)
	}
	ln.loop.removeEndpoint(ln) // before its descriptor is closed
	ln.loop.driver.releaseListener(ln)
	ln.loop.starved.fed()
}

// finish accepts what waits, for those peers have a connection, as far as they know, and stops listening.
func (ln *Listener) finish() {
	for len(ln.early) > 0 {
		ln.accepted(ln.nextEarly())
	}
	for n := 0; n < mostBacklog && !ln.paused; n += ln.loop.opt.AcceptBudget {
		if !ln.accept() {
			break
		}
	}
	ln.end(nil)
}

// nextEarly takes the first of those that were accepted early.
func (ln *Listener) nextEarly() sock.Socket {
	s := ln.early[0]
	ln.loop.arrived(s)
	ln.early = ln.early[1:]
	if len(ln.early) == 0 {
		ln.early = nil
	}
	return s
}

// leave stops listening, and leaves what comes to those that share the socket. What the driver is about to accept is
// taken in, for nobody else will get it.
func (ln *Listener) leave() {
	if ln.ended || ln.leaving {
		return
	}
	ln.leaving, ln.paused = true, true
	for len(ln.early) > 0 {
		ln.accepted(ln.nextEarly())
	}
	ln.loop.driver.updateListener(ln)
	ln.left()
}

// left ends a listener that leaves once nothing more can come from the driver. Of those that share the socket the
// kernel may have woken this one for a connection just as it went to leave, and then nobody else knows of that one; so
// what waits now is taken in.
func (ln *Listener) left() {
	if ln.ended || !ln.leaving || ln.loop.driver.accepting(ln) {
		return
	}
	for n := ln.loop.opt.AcceptBudget; n > 0; n-- {
		s, err := ln.loop.sys.accept(ln.sock)
		if err != nil {
			break // nobody waits, or there is no room for them here
		}
		ln.accepted(s)
	}
	ln.end(nil)
}

// mostBacklog bounds what finish accepts while peers go on connecting.
const mostBacklog = 65536

// accept takes what waits in the backlog, up to the budget; it reports whether there may be more.
func (ln *Listener) accept() bool {
	for n := ln.loop.opt.AcceptBudget; n > 0 && !ln.paused; n-- {
		s, err := ln.loop.sys.accept(ln.sock)
		switch {
		case err == nil:
			ln.accepted(s)
		case err == sock.ErrWouldBlock:
			return false
		case (ln.loop.closing.Load() || ln.broken.Load()) && !sock.Aborted(err):
			return false // it was broken off, and says so each time
		default:
			ln.refused(err)
		}
	}
	return !ln.paused
}

// refused is told by the driver why accept gave no connection.
func (ln *Listener) refused(err error) {
	switch {
	case sock.Aborted(err): // the peer is gone already
	case ln.loop.closing.Load(), ln.broken.Load(): // it was broken off
	case sock.Exhausted(err):
		ln.stepBack(err)
	default:
		if unlogged, ok := ln.fails.next(ln.loop.readClock()); ok {
			ln.loop.opt.Log.Error("accept failed; trying again", "listener", ln.addr.String(), "err", err, "unlogged", unlogged)
		}
		ln.stop()
	}
}

// accepted takes a connection in, here or on the loop that is to have it.
func (ln *Listener) accepted(s sock.Socket) {
	if ln.pause != 0 {
		ln.recovered()
	}
	ln.loop.stats.accepted.Add(1)
	to := ln.give()
	to.stats.conns.Add(1) // at once, and until delist: the next one is given to another, and Shutdown waits for it
	if to == ln.loop {
		ln.adopt(to, s)
		return
	}
	if !to.hand(s, func() { ln.adopt(to, s) }) {
		to.stats.conns.Add(-1)
		_ = ln.loop.sys.abort(s) // the loop has ended, or was given up
	}
}

// adopt makes a connection of s on loop to, whose goroutine this is, and which counts it already.
func (ln *Listener) adopt(to *Loop, s sock.Socket) {
	if err := to.sys.inherit(s, ln.addr, ln.options); err != nil {
		_ = to.sys.abort(s) // most likely the peer is gone
		to.stats.refused.Add(1)
		to.stats.conns.Add(-1)
		return
	}
	c := &Conn{loop: to, sock: s}
	if ln.lends && to.sys.network() == nil {
		ln.adoptLent(c)
		return
	}
	to.enlist(c)
	if err := to.driver.add(c); err != nil {
		to.stats.refused.Add(1)
		to.delist(c)
		to.stats.conns.Add(-1)
		_ = to.sys.abort(s)
		// The driver has no room (select beyond FD_SETSIZE): those still in the backlog may find some later.
		// Each try costs one client its connection, so they are far apart, unless a descriptor comes free.
		step := func() {
			ln.pause = lastRetry
			ln.stepBack(err)
		}
		if to == ln.loop {
			step()
		} else {
			_ = ln.loop.postAlways(step) // fails when that loop has ended, and the listener with it
		}
		return
	}
	h := ln.choose(c)
	if h == nil {
		c.SetHandler(Base{})
		to.stats.refused.Add(1)
		c.fail(ErrAborted)
		return
	}
	c.SetHandler(h)
	if !c.is(ended | closing) {
		h.Opened(c)
	}
}

// stepBack stops accepting until there is room again, and tells the log.
func (ln *Listener) stepBack(err error) {
	l := ln.loop
	if !ln.stop() || ln.said {
		return
	}
	if unlogged, ok := ln.lacks.next(l.readClock()); ok {
		ln.said = true
		l.opt.Log.Warn("listener steps back until a descriptor is free", "listener", ln.addr.String(),
			"driver", l.Driver(), "conns", len(l.conns), "err", err, "unlogged", unlogged)
	}
}

// stop stops accepting for a while, unless it is so already.
func (ln *Listener) stop() bool {
	if ln.ended || ln.paused {
		return false
	}
	l := ln.loop
	ln.paused = true
	l.driver.updateListener(ln)
	l.starved.add(ln)
	l.stats.stepBacks.Add(1)
	ln.pause = min(max(2*ln.pause, firstRetry), lastRetry)
	if ln.retry == nil {
		ln.retry = &Timer{loop: l, f: ln.stepForward}
	}
	ln.retry.Reset(ln.pause)
	return true
}

// stepForward tries again.
func (ln *Listener) stepForward() {
	ln.retrying.Store(false)
	if ln.ended || ln.leaving || !ln.paused {
		return
	}
	ln.loop.starved.remove(ln)
	ln.retry.Stop()
	ln.paused = false
	ln.loop.driver.updateListener(ln)
}

// recovered: a connection was accepted after a step back.
func (ln *Listener) recovered() {
	ln.pause = 0
	if ln.said {
		ln.said = false
		ln.loop.opt.Log.Info("listener accepts again", "listener", ln.addr.String())
	}
}

// starved are the listeners of a group that wait for a descriptor.
type starved struct {
	n  atomic.Int32
	mu sync.Mutex
	ls map[*Listener]struct{}
}

func (s *starved) add(ln *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ls == nil {
		s.ls = make(map[*Listener]struct{})
	}
	s.ls[ln] = struct{}{}
	s.n.Store(int32(len(s.ls)))
}

func (s *starved) remove(ln *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ls, ln)
	s.n.Store(int32(len(s.ls)))
}

// fed: a descriptor was closed.
func (s *starved) fed() {
	if s.n.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ln := range s.ls {
		if !ln.retrying.Swap(true) {
			_ = ln.loop.postAlways(ln.stepForward) // fails when the loop has ended, and the listener with it
		}
	}
}

// Dial connects to a, a tcp or unix address whose host is a literal, and returns at once; Opened or Closed tells
// the handler how it went. A name must be resolved before ([sock.Addr.Resolve]), for that would block the loop. A
// timeout of zero leaves it to the system, which gives up after minutes.
func (l *Loop) Dial(a sock.Addr, o sock.Options, timeout time.Duration, h Handler) (*Conn, error) {
	if h == nil {
		return nil, fmt.Errorf("loop: dial %s: %w", a, errNoHandler)
	}
	if l.closing.Load() {
		return nil, ErrClosed
	}
	if _, literal := a.AddrPort(); a.Scheme == "udp" || a.Scheme == "tcp" && !literal {
		return nil, fmt.Errorf("loop: dial %s: it must be a stream's address, with an IP address and no name", a)
	}
	s, err := l.sys.connect(a, o)
	if err != nil {
		return nil, err
	}
	// One that is connected already, as those to Unix sockets are, also waits to be told so: nothing may arrive
	// on it before Opened.
	c := &Conn{loop: l, sock: s, handler: h, state: connecting}
	l.stats.conns.Add(1)
	l.enlist(c)
	if err := l.driver.add(c); err != nil {
		l.delist(c)
		l.stats.conns.Add(-1)
		_ = l.sys.close(s)
		return nil, fmt.Errorf("loop: dial %s: %w", a, err)
	}
	if timeout > 0 {
		k := &closer{}
		k.timer = Timer{loop: l, f: func() {
			if c.is(connecting) {
				c.release(fmt.Errorf("loop: dial %s: no answer within %v: %w", a, timeout, &DeadlineError{"connect"}), false)
			}
		}}
		c.closer = k
		k.timer.Reset(timeout)
	}
	return c, nil
}
