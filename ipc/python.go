package ipc

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/sample"
	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/sock"
)

// PythonOptions are the choices of a connection to a Python process, or of a listener for such. The zero value of each
// field means its default.
type PythonOptions struct {
	// AuthKey is the secret that both sides know, Python's authkey; nil: neither side asks. An empty one is refused, since
	// that is a key which was lost on its way.
	AuthKey []byte
	// MaxMessage is the greatest size of a message in bytes (default [DefaultMax]).
	MaxMessage int
	// HandshakeTimeout is how long the proof of the key may take (default 10 s). A listener has each on a goroutine of its
	// own, so that a client that says nothing holds up nobody else.
	HandshakeTimeout time.Duration
	// Log gets the connections that a listener refused (default slog.Default()): ten at once, then one a second, of which
	// the attribute "omitted" says how many before it were not written.
	Log *slog.Logger
}

// defaultHandshake is how long the proof of a key may take unless told otherwise.
const defaultHandshake = 10 * time.Second

func (o PythonOptions) check() (PythonOptions, error) {
	if o.MaxMessage == 0 {
		o.MaxMessage = DefaultMax
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultHandshake
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	switch {
	case o.MaxMessage < 0:
		return o, fmt.Errorf("PythonOptions.MaxMessage is %d: it must be positive", o.MaxMessage)
	case o.HandshakeTimeout < 0:
		return o, fmt.Errorf("PythonOptions.HandshakeTimeout is %v: it must be positive", o.HandshakeTimeout)
	case o.AuthKey != nil && len(o.AuthKey) == 0:
		return o, errors.New("PythonOptions.AuthKey is empty: set a key, or nil for none")
	}
	return o, nil
}

// A PythonConn is a connection in the format of Python's multiprocessing.connection, with a Python process or with a Go
// process that uses this too. Its messages are bytes: what Python sends with send_bytes and receives with recv_bytes.
// What Python sends with send is a pickle, whose reading runs what the sender wants; this package neither reads nor
// writes them, but a message of JSON or the like serves the same ends.
//
// All methods may be called by any goroutine and any coroutine, several at once.
type PythonConn struct {
	s              *stream
	max            int
	name           string
	sendOp, recvOp string
}

// DialPython connects to a multiprocessing.connection.Listener, or to [ListenPython], at "tcp://host:port" (Python's
// family AF_INET) or "unix:///path" (AF_UNIX). With a key both sides prove that they know it; a wrong one is [ErrAuth].
func DialPython(ctx context.Context, address string, o PythonOptions) (*PythonConn, error) {
	op := "dial " + address
	o, err := o.check()
	if err != nil {
		return nil, failed(op, err)
	}
	a, err := sock.ParseAddr(address)
	if err != nil {
		return nil, failed(op, err)
	}
	network, at := dialArgs(a)
	nc, err := dial(ctx, op, network, at)
	if err != nil {
		return nil, failed(op, err)
	}
	c, err := newPythonConn(nc, o, a.String())
	if err != nil {
		return nil, failed(op, err)
	}
	if err := c.handshake(ctx, o, answerChallenge, deliverChallenge); err != nil {
		_ = c.s.close() // err is the one to tell
		return nil, failed(op, err)
	}
	return c, nil
}

func dialArgs(a sock.Addr) (network, address string) {
	if a.Scheme == "unix" {
		return "unix", a.Path
	}
	return a.Scheme, net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

func newPythonConn(nc net.Conn, o PythonOptions, name string) (*PythonConn, error) {
	var codec frame.Codec = frame.Multiprocessing{Max: o.MaxMessage}
	if o.AuthKey != nil {
		codec = frame.Multiprocessing{Max: maxHandshake}
	}
	s, err := newStream(nc, codec, 0)
	if err != nil {
		return nil, err
	}
	return &PythonConn{s, o.MaxMessage, name, "send to " + name, "receive from " + name}, nil
}

// A proof is one half of the handshake: one side asks, the other one answers.
type proof func(ctx context.Context, c *PythonConn, key []byte) error

// handshake has both sides prove that they know the key.
func (c *PythonConn) handshake(ctx context.Context, o PythonOptions, halves ...proof) error {
	if o.AuthKey == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.HandshakeTimeout, errHandshakeTime)
	defer cancel()
	for _, half := range halves {
		if err := half(ctx, c, o.AuthKey); err != nil {
			return err
		}
	}
	return c.s.dec.Reset(frame.Multiprocessing{Max: o.MaxMessage})
}

var errHandshakeTime = fmt.Errorf("the handshake took longer than PythonOptions.HandshakeTimeout: %w",
	context.DeadlineExceeded)

// SendBytes sends a message, which Python gets from recv_bytes. It waits while the kernel's buffer is full. msg is the
// caller's again when it returns. As for when ctx is done, see [Pipe.Send].
func (c *PythonConn) SendBytes(ctx context.Context, msg []byte) error {
	if err := c.s.sending.enter(ctx, c.sendOp); err != nil {
		return &Error{c.sendOp, err}
	}
	defer c.s.sending.leave()
	if len(msg) > c.max {
		return &Error{c.sendOp, fmt.Errorf("%w: %d bytes, PythonOptions.MaxMessage is %d", frame.ErrTooLong, len(msg), c.max)}
	}
	if err := c.send(ctx, msg); err != nil {
		return &Error{c.sendOp, err}
	}
	return nil
}

func (c *PythonConn) send(ctx context.Context, msg []byte) error {
	s := c.s
	head := s.out[:0]
	if len(msg) <= math.MaxInt32 {
		head = binary.BigEndian.AppendUint32(head, uint32(len(msg)))
	} else {
		head = binary.BigEndian.AppendUint32(head, math.MaxUint32) // -1: a length of eight bytes follows
		head = binary.BigEndian.AppendUint64(head, uint64(len(msg)))
	}
	tail := msg
	if len(msg) <= smallMessage {
		head, tail = append(head, msg...), nil
	}
	s.out = head
	return s.send(ctx, c.sendOp, head, tail, nil)
}

// RecvBytes waits for the next message, which is the caller's: what Python sent with send_bytes. It returns io.EOF
// itself, unwrapped, when the peer has closed the connection between two messages.
func (c *PythonConn) RecvBytes(ctx context.Context) ([]byte, error) {
	if err := c.s.receiving.enter(ctx, c.recvOp); err != nil {
		return nil, &Error{c.recvOp, err}
	}
	defer c.s.doneReceiving()
	view, err := c.s.next(ctx, c.recvOp)
	switch {
	case err == io.EOF:
		return nil, io.EOF
	case err != nil:
		return nil, &Error{c.recvOp, err}
	}
	return append(make([]byte, 0, len(view)), view...), nil
}

// Close closes the connection. What was sent stays on its way; calls that wait fail with net.ErrClosed, and so does a
// second Close.
func (c *PythonConn) Close() error { return failed("close "+c.name, c.s.close()) }

// LocalAddr and RemoteAddr are the addresses of the connection's ends.
func (c *PythonConn) LocalAddr() net.Addr { return c.s.nc.LocalAddr() }

// RemoteAddr is the peer's address.
func (c *PythonConn) RemoteAddr() net.Addr { return c.s.nc.RemoteAddr() }

// A PythonListener accepts connections of multiprocessing.connection.Client, and of [DialPython]. All methods are for
// any goroutine, and Accept for coroutines too.
type PythonListener struct {
	l       *listener
	opt     PythonOptions
	ctx     context.Context // until Close, for its own goroutines
	closing wait.Event
	tasks   sync.WaitGroup

	endLog func() // says what opt.Log was not told

	mu         sync.Mutex
	handshakes list.List     // of context.CancelCauseFunc, oldest first
	err        error         // why it accepts no more
	ready      []*PythonConn // proved the key
	over       bool          // none comes any more
	waiting    []*sleeper    // in Accept
}

// Bounds of a PythonListener.
const (
	maxHandshakes = 256 // under way at once; the oldest has to go for one more
	maxReady      = 256 // connections that wait for Accept; one more is refused
)

var (
	errCrowded = errors.New("too many handshakes at once: the oldest has to go")
	errUnheard = fmt.Errorf("%d connections wait for Accept already", maxReady)
)

// ListenPython listens at "tcp://host:port" (port 0: a free one, see Addr) or "unix:///path", the latter with the
// permissions 0600. A listener at tcp should have a key.
func ListenPython(address string, o PythonOptions) (*PythonListener, error) {
	op := "listen on " + address
	o, err := o.check()
	if err != nil {
		return nil, failed(op, err)
	}
	a, err := sock.ParseAddr(address)
	if err == nil && a.Scheme != "tcp" && a.Scheme != "unix" {
		err = fmt.Errorf("%s has no streams: use tcp or unix", a.Scheme)
	}
	if err != nil {
		return nil, failed(op, err)
	}
	sl, err := listen(a)
	if err != nil {
		return nil, failed(op, err)
	}
	log, endLog := sample.New(o.Log, nil)
	o.Log = log
	l := &PythonListener{l: sl, opt: o, endLog: endLog}
	ctx, cancel := context.WithCancel(context.Background())
	l.ctx = ctx
	l.closing.ThenHere(cancel) // who closes it may be in another bubble of testing/synctest, or in none
	l.tasks.Go(l.serve)
	return l, nil
}

// Addr is the address that the listener got, as DialPython takes it.
func (l *PythonListener) Addr() string { return l.l.addr.String() }

// serve accepts, and leaves each handshake to a goroutine.
func (l *PythonListener) serve() {
	defer l.finish()
	var under sync.WaitGroup
	defer under.Wait()
	for {
		nc, err := l.l.accept(l.ctx)
		if err != nil {
			l.mu.Lock()
			if l.err = err; l.ctx.Err() != nil {
				l.err = net.ErrClosed
			}
			l.mu.Unlock()
			return
		}
		ctx, cancel := context.WithCancelCause(l.ctx)
		l.mu.Lock()
		if l.handshakes.Len() == maxHandshakes {
			l.handshakes.Remove(l.handshakes.Front()).(context.CancelCauseFunc)(errCrowded)
		}
		place := l.handshakes.PushBack(context.CancelCauseFunc(cancel))
		l.mu.Unlock()
		under.Go(func() {
			defer cancel(nil)
			l.admit(ctx, nc, place)
		})
	}
}

func (l *PythonListener) admit(ctx context.Context, nc net.Conn, place *list.Element) {
	c, err := newPythonConn(nc, l.opt, l.l.addr.String())
	if err == nil {
		if err = c.handshake(ctx, l.opt, deliverChallenge, answerChallenge); err != nil {
			_ = c.s.close() // err is the one to tell
		}
	}
	l.mu.Lock()
	l.handshakes.Remove(place) // if it is not out by itself
	switch {
	case err != nil:
	case len(l.ready) < maxReady:
		l.ready = append(l.ready, c)
		l.wakeOne()
	default:
		err = errUnheard
		_ = c.s.close() // likewise
	}
	l.mu.Unlock()
	if err == nil {
		return
	}
	if l.ctx.Err() == nil {
		l.opt.Log.Warn("ipc: a connection is refused", "listener", l.Addr(), "peer", nc.RemoteAddr().String(), "err", err)
	}
}

// finish says that no connection comes any more.
func (l *PythonListener) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for len(l.waiting) > 0 {
		l.wakeOne()
	}
}

// wakeOne wakes the first who waits in Accept. The caller holds l.mu.
func (l *PythonListener) wakeOne() {
	if len(l.waiting) > 0 {
		l.waiting[0].wake()
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
}

// Accept waits for the next connection that has proved the key. Those that fail to do so are logged and closed.
func (l *PythonListener) Accept(ctx context.Context) (*PythonConn, error) {
	op := "accept on " + l.Addr()
	givenContext(op, ctx)
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, &Error{op, err}
		}
		c, s, err := l.next(ctx, op)
		if err != nil {
			return nil, &Error{op, err}
		}
		if c != nil {
			return c, nil
		}
		if err := s.sleep(ctx, op); err != nil {
			l.leave(s)
			return nil, &Error{op, err}
		}
	}
}

// next is a connection, or else what to sleep on until there may be one.
func (l *PythonListener) next(ctx context.Context, op string) (*PythonConn, *sleeper, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ready) > 0 {
		c := l.ready[0]
		l.ready = slices.Delete(l.ready, 0, 1)
		return c, nil, nil
	}
	if l.over {
		return nil, nil, l.err
	}
	s := newSleeper(task(ctx, op))
	l.waiting = append(l.waiting, s)
	return nil, s, nil
}

// leave is for who waits no longer. What it was woken for at the same moment is for another.
func (l *PythonListener) leave(s *sleeper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, s); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	} else if len(l.ready) > 0 {
		l.wakeOne()
	}
}

// Close stops listening, removes the socket's file, and closes the connections that nobody has accepted. Those that
// were go on.
func (l *PythonListener) Close() error {
	l.closing.Happen()
	err := l.l.close()
	l.tasks.Wait()
	l.mu.Lock()
	unused := l.ready
	l.ready = nil
	l.mu.Unlock()
	for _, c := range unused {
		_ = c.s.close() // nobody has used it
	}
	l.endLog()
	return failed("close "+l.Addr(), err)
}
