package plexor

import (
	"context"
	"errors"
	"fmt"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/loop"
)

// A Handler serves connections: [HandlerFunc], [GreeterFunc], [Messages], [Turns], [Sessions], or one of your own,
// which is used as a HandlerFunc is. One Handler serves many connections, on several loops at once.
type Handler interface {
	// ServeConn serves one connection, from its first byte to its end, as a coroutine of its own.
	ServeConn(c *Conn)
}

// An ALPNHandler is a Handler that says which protocols it speaks over TLS, the one that it likes best first (ALPN, RFC
// 7301): they are those of an address whose [TLS].Config names none.
type ALPNHandler interface {
	Handler
	NextProtos() []string
}

// A Drainer is a Handler that is told when [Server.Shutdown] begins, so that what goes on may end sooner: an HTTP
// server says "Connection: close" from then on. Drain is called behind the end of listening, on Shutdown's goroutine,
// once for each address that the handler has served; it must not wait.
type Drainer interface {
	Handler
	Drain()
}

// A HandlerFunc is a Handler that is straight-line code on a stream: it runs as a coroutine of its own, from the moment
// when the first byte, or the end of the stream, has come, over TLS the first behind the handshake. Until then the
// connection costs neither stack nor buffer (over TLS what crypto/tls keeps), and f can set no deadline: a connection
// whose first byte does not come in Limits.FirstByte, 30 s unless set, is closed without f, as is one whose handshake
// takes longer than Limits.HandshakeTimeout. From then on f's own deadlines hold, and Limits.IdleTimeout. When it
// returns the connection is closed. If it panics, the connection is reset, the panic is logged with the coroutine's
// stack, and the server goes on.
type HandlerFunc func(c *Conn)

// ServeConn calls f.
func (f HandlerFunc) ServeConn(c *Conn) { f(c) }

// A GreeterFunc is a [HandlerFunc] for protocols in which the server speaks first: it runs as soon as the connection
// is there, over TLS when the handshake is done. Limits.FirstByte does not hold for it:
// it sets a deadline itself for a peer that may stay silent.
type GreeterFunc func(c *Conn)

// ServeConn calls g.
func (g GreeterFunc) ServeConn(c *Conn) { g(c) }

// greeter reports whether h is to run before the first byte.
func greeter(h Handler) bool {
	switch h.(type) {
	case GreeterFunc, listenerTLS:
		return true
	}
	return false
}

// events are the loop's calls for a Conn with a coroutine of its own.
type events Conn

var (
	_ loop.Prefetcher      = (*events)(nil)
	_ loop.DeliveryHandler = (*events)(nil)
)

func (e *events) Opened(*loop.Conn) {
	c := (*Conn)(e)
	switch {
	case c.ep.secure():
		c.awaitHello()
	case greeter(c.ep.handler):
		c.start()
	}
}

func (e *events) Data(_ *loop.Conn, p []byte) {
	c := (*Conn)(e)
	if c.is(started) {
		c.raw.received(p)
		return
	}
	if c.is(unshaken) {
		c.hello(p, c.shaken)
		return
	}
	c.raw.touch()
	c.raw.offer(p)
	if c.silent() {
		c.begin()
	} else {
		c.start()
	}
	if !c.raw.is(givenAway) {
		c.raw.withdraw()
	}
}

// Prefetch is of loop.Prefetcher: the connection, and then the coroutine that waits for its bytes.
func (e *events) Prefetch(step int) {
	if step == 0 {
		(*Conn)(e).prefetch()
	} else {
		e.raw.readers.one.Prefetch(step - 1)
	}
}

func (e *events) EOF(*loop.Conn) {
	c := (*Conn)(e)
	c.raw.flags |= gotEOF
	c.raw.tellEnd()
	switch {
	case c.is(unshaken):
		c.helloEnd(c.shaken)
	case c.silent():
		c.begin()
	case !c.is(started):
		c.start()
	default:
		c.raw.readers.wakeAll()
	}
}

func (e *events) Writable(*loop.Conn) {
	c := (*Conn)(e)
	if c.tls != nil {
		choked := c.tls.choked()
		c.tls.writable()
		if choked && !c.tls.choked() && c.silent() {
			c.begin() // what lies there was left until now
		}
	}
	c.raw.writable()
}

func (e *events) Expired(_ *loop.Conn, err *loop.DeadlineError) {
	c := (*Conn)(e)
	if c.raw.is(accepted) && !c.is(started) {
		c.noHello()
		return
	}
	c.raw.expired(err)
}

func (e *events) Closed(_ *loop.Conn, err error) { (*Conn)(e).finish(err) }

// Delivered is of loop.DeliveryHandler, for Close.
func (e *events) Delivered(*loop.Conn) { e.raw.delivered() }

func (e *events) expel(err error) { (*Conn)(e).expel(err) }
func (e *events) drain()          { _ = (*Conn)(e).drain(true) }
func (e *events) unheard()        { (*Conn)(e).shut() }
func (e *events) tooSlow()        { (*Conn)(e).expel(ErrFrameTime) }
func (e *events) dropPart()       {} // only its coroutine has any

func (e *events) describe(info *ConnInfo) { (*Conn)(e).describe(info) }

// writable lets the Write go on that waits for room.
func (s *stream) writable() {
	s.wrote()
	switch x := s.waits; {
	case x == nil:
	case x.box != nil && (x.box.holds || !x.writing):
		x.box.flush()
	default:
		x.room.Wake()
	}
}

// expired has those look again whose deadline has passed.
func (s *stream) expired(err *loop.DeadlineError) {
	if err.Op == "read" {
		s.readers.wakeAll()
	} else {
		s.wakeWriters()
	}
}

// finish is for the end of the loop's connection. A handler that runs goes on, and its operations fail.
func (c *Conn) finish(err error) {
	w := c.raw.w
	c.raw.endBox(c.raw.whyOver(err), false) // before the connection is counted as gone, for other goroutines may look
	switch {
	case c.raw.is(accepted):
		w.delist(c)
		c.raw.flags &^= awaited // a handler may yet find its first byte
		c.ep.open.Add(-1)
		w.srv.countOut(&c.raw, err)
	case w.client != nil:
		w.delist(c)
	}
	w.unread(&c.raw) // an inbox stays as long as a handler can read it
	why := c.raw.whyOver(err)
	if !c.raw.is(closed) { // else it would end the wait of a Close in a group of that context, which is woken below
		c.cancel(why)
	}
	if c.tls != nil {
		c.tls.finish()
	}
	c.raw.finish(err)
	c.cancel(why) // the first cause stays
	if c.is(returned) || !c.is(started) {
		c.raw.empty()
	}
}

// start runs the handler, which may use the view until it parks.
func (c *Conn) start() {
	c.raw.above |= started
	w := c.raw.w
	if c.raw.is(awaited) {
		w.heard(c)
	}
	w.srv.stats.handlers.Add(1)
	t := w.sched.Start(context.Background(), "plexor handler", c.run)
	t.OnEnd(c.handled)
}

// run is the coroutine.
func (c *Conn) run(ctx context.Context) error {
	c.base = ctx
	if !c.ep.secure() || c.tls != nil || c.serveTLS() {
		c.ep.handler.ServeConn(c)
	}
	return nil
}

// handled closes after the handler: gently if it returned, by a reset if it panicked.
func (c *Conn) handled(err error) {
	c.dropContext()
	if c.tls != nil {
		c.tls.drop()
	}
	w := c.raw.w
	w.srv.stats.handlers.Add(-1)
	c.raw.above |= returned
	if c.raw.is(givenAway) {
		c.report(err)
		return
	}
	if c.report(err) {
		c.raw.abort(err)
	} else if !c.raw.is(closed) {
		c.shut()
	}
	c.raw.empty()
	c.raw.dropWaits()
}

// shut closes, and waits for nothing.
func (c *Conn) shut() {
	if c.tls != nil {
		c.tls.shut()
	} else {
		c.raw.shut()
	}
}

// report tells whether a handler's task ended by a panic, and logs it.
func (c *Conn) report(err error) bool { return err != nil && c.raw.w.reportPanic(c.raw.String(), err) }

func (w *worker) reportPanic(peer string, err error) bool {
	p, ok := errors.AsType[*coro.PanicError](err)
	if !ok {
		return false
	}
	w.srv.stats.panics.Add(1)
	what := "a handler panicked"
	if p.Goexit {
		what = "a handler called runtime.Goexit"
	}
	where, frames := stack.Attrs(string(p.Stack))
	w.log.Error(what, "peer", peer, "panic", fmt.Sprint(p.Value), where, frames)
	return true
}
