package plexor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
	"unsafe" // for an address to prefetch

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/prefetch"
	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/loop"
)

// A Conn is a connection in the hands of coroutines: a [net.Conn] whose waits park the coroutine that calls it, while
// the loop and its other coroutines go on.
//
// All methods but String, RemoteAddr and Loop are for coroutines of the connection's loop: the handler's own, and those
// that it starts with package coro. Several may use it at once, as with any net.Conn: a Write is never mixed with
// another one. Calls from elsewhere (another goroutine, another loop, a timer) and after the handler has returned fail
// with an error that says so, and the first of them on each loop is logged. [Conn.Shared] makes a net.Conn for
// everybody else.
//
// When its handler returns, the connection is closed: what was written still goes out.
type Conn struct {
	// First what each message uses: see prefetch.
	tls   *secured // between the face and raw; nil: plain text
	raw   stream
	ep    *endpoint
	msgs  *messages       // nil: its handler is not one of Messages
	base  context.Context // the handler's task
	asked *askedContext   // nil: nobody asked for Context
}

// An askedContext is what Context has returned, and what ends it.
type askedContext struct {
	ctx   context.Context
	cause context.CancelCauseFunc
}

// An aligned is a Conn that begins with a cache line, as objects of that size do: which of its lines a message uses is
// then known, see prefetch.
type aligned struct {
	Conn
	_ [192 - 168]byte
}

// newConn is a connection of a stream's handler.
func newConn(ep *endpoint) *Conn {
	a := new(aligned)
	a.ep = ep
	return &a.Conn
}

// prefetch has the processor fetch what each message uses of the connection.
func (c *Conn) prefetch() {
	prefetch.Bytes(unsafe.Pointer(c), unsafe.Offsetof(c.raw)+unsafe.Offsetof(c.raw.at))
}

var (
	_ net.Conn      = (*Conn)(nil)
	_ io.ReaderFrom = (*Conn)(nil)
	_ io.WriterTo   = (*Conn)(nil)
)

// Read reads what has arrived, at least one byte, into p, and waits if there is nothing. It returns io.EOF once the
// peer has closed its half and everything is read, an error that is os.ErrDeadlineExceeded to errors.Is once the read
// deadline has passed, ErrServerClosed while the server shuts down and the peer has sent nothing more, and otherwise
// why the connection is over. Errors are *net.OpError.
func (c *Conn) Read(p []byte) (int, error) {
	t, err := c.enter("read", messaging)
	if err != nil {
		return 0, err
	}
	if c.tls != nil {
		return c.tls.read(t, p)
	}
	n, err := c.raw.read(t, p)
	if err != nil {
		err = c.raw.wrap("read", err)
	}
	return n, err
}

// receive waits until something has come, and returns at most size bytes of it in a buffer, which is the caller's to
// give back. In contrast to Read it holds no buffer while it waits.
func (c *Conn) receive(t *coro.Task, size int) (*buffer, error) {
	if c.tls != nil {
		return c.receiveTLS(t, size)
	}
	if err := c.raw.await(t); err != nil {
		return nil, c.raw.wrap("read", err)
	}
	b := c.raw.w.buffers.get(size)
	b.b = b.b[:copy(b.b[:size], c.raw.peek())]
	c.raw.took(len(b.b))
	return b, nil
}

func (c *Conn) receiveTLS(t *coro.Task, size int) (*buffer, error) {
	if err := c.tls.usable(); err != nil {
		return nil, c.raw.wrap("read", err)
	}
	for {
		b := c.raw.w.buffers.get(size)
		n, err := c.tls.try(b.b[:size])
		if err == nil {
			b.b = b.b[:n]
			return b, nil
		}
		c.raw.w.buffers.put(b)
		if err == errNothing {
			c.incompleteRecord()
			err = c.tls.await(t)
		}
		if err != nil {
			return nil, c.tls.wrap("read", err)
		}
	}
}

// Write takes all of p, or returns how much of it was taken and why not more. It waits while Limits.HighWater bytes
// wait to be sent. p is the caller's again when it returns. What was taken leaves at the end of the loop's turn, or
// earlier if it is much, in one system call with what else was written in the turn; that it is delivered is only known
// from Close.
func (c *Conn) Write(p []byte) (int, error) {
	t, err := c.enter("write", 0)
	if err != nil {
		return 0, err
	}
	if c.tls != nil {
		return c.tls.write(t, p)
	}
	n, err := c.raw.write(t, p)
	if err != nil {
		err = c.raw.wrap("write", err)
	}
	return n, err
}

// TryWrite is Write that never waits: it takes all of p and returns true, or nothing and false. That is where
// Limits.HighWater bytes wait to be sent, or p is longer than that (than 32 KiB over TLS), another Write is half done,
// entries wait in the connection's Outbox, or the write deadline has passed. It is for whoever has something small for
// many connections of a loop, which then need no Outbox each. An error is why the connection takes no more. Once that
// is over it is net.ErrClosed to errors.Is, and no wrong use.
func (c *Conn) TryWrite(p []byte) (bool, error) {
	s := &c.raw
	if c.is(returned) || s.is(over|closed|givenAway) {
		return false, net.ErrClosed
	}
	if err := c.usable("write"); err != nil {
		return false, err
	}
	if x := s.waits; x != nil && (x.writing || x.box != nil && x.box.waiting()) || len(p) > c.piece() || !c.room() {
		return false, nil
	}
	err := c.put(p)
	if later(err) {
		return false, nil
	}
	return err == nil, err
}

// enter is how an operation begins: it finds the task that calls, and refuses what is not to be used, or not in this
// way: not are flags besides the usual ones.
func (c *Conn) enter(op string, not connFlags) (*coro.Task, error) {
	t, err := c.raw.self(op)
	if err != nil {
		_, err = c.raw.self("Conn." + op) // put together only now: it is called with every Read and Write
		return nil, c.misuse(op, advise(err))
	}
	if c.is(returned|not) || c.raw.is(givenAway) {
		return nil, c.refusal(op)
	}
	return t, nil
}

func (c *Conn) refusal(op string) error {
	switch {
	case c.raw.is(givenAway):
		return c.misuse(op, ErrGivenAway)
	case c.is(returned):
		return c.misuse(op, ErrReturned)
	}
	return c.misuse(op, ErrMessages)
}

// usable is enter for those that do not wait.
func (c *Conn) usable(op string) error {
	_, err := c.enter(op, 0)
	return err
}

// advise names the line that called a method from where it may not, and what to use
// there: package coro speaks of what its own types have.
func advise(err error) error {
	m, ok := errors.AsType[*coro.MisuseError](err)
	if !ok {
		return err
	}
	return &coro.MisuseError{Op: m.Op, Why: m.Why + ", at " + stack.Caller(),
		Instead: "Conn.Shared, called by the handler, gives a net.Conn for any goroutine"}
}

// misuse tells the log, once a server, and the caller: for an error alone is often lost by the very program that makes
// this mistake. It may run on any goroutine.
func (c *Conn) misuse(op string, err error) error {
	if c.raw.w.misuse() {
		c.raw.w.log.Error("wrong use of a plexor.Conn; no more is said of these", "op", op, "at", stack.Caller(),
			"peer", c.raw.String(), "err", err)
	}
	return c.raw.wrap(op, err)
}

// Send sends msg as one message in the codec of [Messages]; header and body leave together. It waits as Write does. A
// message that the codec refuses (see frame.Codec.Append) is an error, and nothing was sent. msg is the caller's
// again when it returns.
func (c *Conn) Send(msg []byte) error {
	codec := c.Codec()
	if codec == nil {
		return c.misuse("send", ErrNoCodec)
	}
	if err := c.usable("send"); err != nil {
		return err
	}
	scratch := c.raw.w.buffers.get(len(msg) + mostHeader)
	frame, err := codec.Append(scratch.b, msg)
	scratch.b = frame
	if err == nil {
		_, err = c.Write(frame)
	}
	c.raw.w.buffers.put(scratch)
	return err
}

// mostHeader is the room that is made for a message's header and trailer; more makes the buffer grow.
const mostHeader = 32

// Codec is the codec that messages of this connection have; nil if its handler is not one of [Messages], or of
// [Sessions] with a Codec.
func (c *Conn) Codec() frame.Codec {
	if c.msgs == nil {
		return nil
	}
	return c.msgs.codec
}

// CloseWrite ends this half of the connection, behind what was written: the peer reads the end of the stream, and can
// go on sending.
func (c *Conn) CloseWrite() error {
	if err := c.usable("close"); err != nil {
		return err
	}
	if c.tls != nil {
		return c.tls.closeWrite()
	}
	return c.raw.closeWrite()
}

// Close closes the connection: what was written goes out, what the peer still sends is dropped. It waits until the
// peer's system has acknowledged every byte and then returns nil. If the peer takes nothing more for as long as
// Limits.Linger, or the connection breaks before, it returns the error, which is
// loop.ErrUndelivered to errors.Is in the first case. Reads and Writes that wait fail
// with net.ErrClosed. A handler that just returns closes too, without waiting.
func (c *Conn) Close() error {
	t, err := c.enter("close", 0)
	if err != nil {
		return err
	}
	if c.tls != nil {
		err = c.tls.close(t)
	} else {
		err = c.raw.close(t)
	}
	c.cancel(c.raw.whyOver(c.raw.err)) // not before, for it would end the very wait, in a group of that context
	return err
}

// Abort ends the connection at once, with a reset where the protocol has one. What was not delivered may be lost.
func (c *Conn) Abort() error {
	if err := c.usable("abort"); err != nil {
		return err
	}
	c.cancel(loop.ErrAborted)
	c.raw.abort(loop.ErrAborted)
	return nil
}

// Loop is the loop that the connection lives on: for [coro.On], and for loop.Loop.Post from elsewhere. Any goroutine
// may call it.
func (c *Conn) Loop() *loop.Loop { return c.raw.w.loop }

// LocalAddr is this end's address: a *net.TCPAddr or *net.UnixAddr. Once the connection
// is over, and after wrong use, it is empty.
func (c *Conn) LocalAddr() net.Addr {
	if _, err := c.raw.self("Conn.LocalAddr"); err != nil {
		_ = c.misuse("address", err) // there is nobody to return it to
		return c.raw.noAddr()
	}
	return c.raw.localAddr()
}

// RemoteAddr is the peer's address: a *net.TCPAddr or *net.UnixAddr. Any goroutine may call it.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.remoteAddr() }

// RemoteAddrPort is the peer's address without a net.Addr's allocations, for programs that look at it often. It is
// invalid where the peer has none, as over Unix sockets. Any goroutine may call it.
func (c *Conn) RemoteAddrPort() netip.AddrPort { return c.raw.peer }

// SetDeadline sets the read and the write deadline.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline makes Reads that wait at t, or begin after it, fail with an error that is os.ErrDeadlineExceeded to
// errors.Is, until the deadline is set anew; the zero time takes it back. The connection stays usable. With [Messages],
// [Turns] and [Sessions] a connection whose read deadline passes while no handler runs is closed.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline is SetReadDeadline for Writes. What was taken before stays so, and goes on leaving.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	if err := c.usable("set"); err != nil {
		return err
	}
	err := c.raw.setDeadlines(t, read, write)
	if err == nil && c.tls != nil {
		_ = c.tls.flush() // what was refused for the deadline's sake is no longer; the next Write tells of errors
	}
	return err
}

// Context is the context of the handler, for package coro's operations and for others that take one. It is cancelled
// when the handler has returned, and when the connection breaks or is closed, with the reason as its cause; that the
// peer has closed its half does not cancel it, but that it then dies does. A connection whose handler leaves 64 KiB of
// input unread is not watched meanwhile: what lies before the error comes first. Context is asked for by the handler;
// with [Messages] it is that of the message, with [Turns] that of the turn, with [Sessions] that of the session.
func (c *Conn) Context() context.Context {
	if err := c.usable("context"); err != nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(err)
		return ctx
	}
	if c.asked == nil {
		base := c.base
		if base == nil {
			base = c.raw.w.sched.Context()
		}
		c.asked = new(askedContext)
		c.asked.ctx, c.asked.cause = coro.WithCancelCause(base)
		if c.raw.is(over | closed) {
			c.cancel(c.reason())
		}
	}
	return c.asked.ctx
}

// reason is why the connection is over.
func (c *Conn) reason() error {
	if c.raw.err != nil {
		return c.raw.err
	}
	return net.ErrClosed
}

// cancel ends the context, if anybody has it, since the connection is over.
func (c *Conn) cancel(cause error) {
	if c.asked != nil {
		c.asked.cause(cause)
	}
}

// dropContext ends the context of a handler that has returned.
func (c *Conn) dropContext() {
	c.cancel(ErrReturned)
	c.base, c.asked = nil, nil
}

// String is the peer's address, for logs. Any goroutine may call it.
func (c *Conn) String() string { return c.raw.String() }
