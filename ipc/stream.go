package ipc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/credit"
	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/selector"
	"github.com/plexor-go/plexor/sock"
)

// A stream moves frames over a connected socket: what a Pipe, a Python connection and a manager's client have in
// common. The socket is in Go's poller. Each direction has a gate: who is inside has the fields below it.
type stream struct {
	nc    net.Conn
	raw   syscall.RawConn
	codec frame.Codec

	closed atomic.Bool

	mu       sync.Mutex
	lookouts []*lookout // one for each loop on which somebody had to wait

	sending gate
	out     []byte
	broken  error
	write   sendCall

	receiving gate
	dec       frame.Decoder
	buf       *[recvBuffer]byte // nil: nothing is left in it
	rest      []byte            // of buf, unread
	most      int               // descriptors that may come with one message; 0: none is taken
	fds       []int             // came, and belong to messages that are not complete yet
	bad       error             // why nothing can be received any more; nil if a wait was cancelled
	looks     int               // how often; 0 where the peer does not look too. See linger
	looking   credit.Credit
	lingering credit.Credit
	prompt    credit.Credit // whether a coroutine finds something before it waits
	inARow    int           // receives of coroutines that did not have to wait
	read      recvCall
}

// recvBuffer is how much is read at once, in bytes, and how much may be sent by one call out of one buffer.
const recvBuffer = 32 << 10

var recvBuffers = sync.Pool{New: func() any { return new([recvBuffer]byte) }}

// newStream takes nc over; on an error it closes it.
func newStream(nc net.Conn, codec frame.Codec, most int) (*stream, error) {
	s := &stream{nc: nc, codec: codec, most: most, looking: 1, lingering: credit.Most, prompt: 1}
	err := s.dec.Reset(codec)
	if err == nil {
		c, ok := nc.(syscall.Conn)
		if !ok {
			err = errors.ErrUnsupported
		} else {
			s.raw, err = c.SyscallConn()
		}
		if err == nil {
			var perr error
			if err = s.raw.Control(func(fd uintptr) { perr = prepare(fd) }); err == nil {
				err = perr
			}
		}
	}
	if err != nil {
		_ = nc.Close() // nobody has used it
		return nil, err
	}
	s.read.once, s.write.once = s.read.try, s.write.try
	return s, nil
}

// close may be called by anybody, and again. What waits fails with net.ErrClosed.
func (s *stream) close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	err := s.nc.Close()
	s.endLookouts()
	s.drop()
	return err
}

// drop gives back what was received and belongs to nobody, once the stream is closed. If somebody is still receiving,
// they call it when they leave: one of the two comes after the other.
func (s *stream) drop() {
	if !s.receiving.try() {
		return
	}
	closeFDs(s.fds)
	s.fds, s.rest = nil, nil
	s.giveBack()
	_ = s.dec.End() // gives its buffer back
	s.receiving.leave()
}

func (s *stream) doneReceiving() {
	s.receiving.leave()
	if s.closed.Load() {
		s.drop()
	}
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		_ = sock.Socket(fd).Close() // it was never used
	}
}

func (s *stream) giveBack() {
	if s.buf != nil {
		recvBuffers.Put(s.buf)
		s.buf = nil
	}
}

// next waits for the next frame and returns its message, which is valid until the next call. The caller is inside
// receiving. Cancelled, it has lost nothing: what came stays for the next call.
func (s *stream) next(ctx context.Context, op string) ([]byte, error) {
	for {
		if msg, err := s.decoded(); msg != nil || err != nil {
			return msg, err
		}
		if err := s.fill(ctx, op); err != nil {
			return nil, s.endOfFile(err)
		}
	}
}

// decoded is the next message in what came, nil if there is none yet.
func (s *stream) decoded() ([]byte, error) {
	if s.closed.Load() { // and the decoder too, perhaps
		return nil, net.ErrClosed
	}
	msg, rest, err := s.dec.Next(s.rest)
	s.rest = rest
	if err != nil {
		s.bad = err
		return nil, err
	}
	return msg, nil
}

// soon is next of what comes soon: neither a message nor an error if nothing does.
func (s *stream) soon(ctx context.Context) ([]byte, error) {
	for {
		if msg, err := s.decoded(); msg != nil || err != nil {
			return msg, err
		}
		if s.bad != nil {
			return nil, s.bad
		}
		s.read.s = s
		if err := s.linger(ctx); err != nil {
			return nil, err
		}
		if s.read.err == sock.ErrWouldBlock {
			return nil, nil
		}
		if err := s.took(); err != nil {
			return nil, s.endOfFile(err)
		}
	}
}

// endOfFile is io.ErrUnexpectedEOF for the end of the stream within a message.
func (s *stream) endOfFile(err error) error {
	if err == io.EOF && s.dec.Buffered() > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A recvCall is one receiving system call, made when the poller says so.
type recvCall struct {
	once func(fd uintptr) bool // made once, so that no call allocates it
	s    *stream
	how  waiting
	n    int
	err  error
}

// waiting is how a call waits that finds nothing.
type waiting int

const (
	never     waiting = iota
	looking           // again and again, stream.looks times
	lingering         // for lingerTime, in the system call
	parked            // by Go's poller
)

func (r *recvCall) try(fd uintptr) bool {
	s := r.s
	if s.buf == nil {
		s.buf = recvBuffers.Get().(*[recvBuffer]byte)
	}
	var fds []int
	switch {
	case r.how == looking:
		for n := 0; n == 0 || n < s.looks && r.err == sock.ErrWouldBlock; n++ {
			fds, r.n, r.err = receiveNow(fd, s.buf[:], s.most)
		}
	case r.how == lingering:
		fds, r.n, r.err = sock.Socket(fd).RecvWait(s.buf[:], s.most)
	default:
		fds, r.n, r.err = receiveNow(fd, s.buf[:], s.most)
	}
	s.fds = append(s.fds, fds...)
	if r.err == sock.ErrWouldBlock {
		s.giveBack() // who waits holds no buffer
		return r.how != parked
	}
	return true
}

// receiveNow receives without waiting.
func receiveNow(fd uintptr, buf []byte, most int) (fds []int, n int, err error) {
	if most == 0 {
		n, err = sock.Socket(fd).Recv(buf)
		return nil, n, err
	}
	return sock.Socket(fd).RecvFD(buf, most)
}

// fill reads once, and waits until there is something.
func (s *stream) fill(ctx context.Context, op string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if s.bad != nil {
		return s.bad
	}
	r := &s.read
	r.s = s
	var err error
	if t := task(ctx, op); t != nil {
		err = s.fillParked(t, ctx, op)
	} else if err = s.linger(ctx); err == nil && r.err == sock.ErrWouldBlock {
		err = s.fillBlocked(ctx)
	}
	if err != nil {
		return err
	}
	return s.took()
}

// took is the outcome of a receiving call that did not have to wait, or no longer.
func (s *stream) took() error {
	r := &s.read
	if r.err != nil {
		if s.bad = r.err; r.err != io.EOF {
			s.bad = os.NewSyscallError("recvmsg", r.err)
		}
		return s.bad
	}
	if r.n > 0 {
		s.rest = s.buf[:r.n]
	}
	return nil
}

// Two processes that talk by turns wait for each other some microseconds at a time. Go's poller takes several times
// that to put a goroutine to sleep and to wake it again, through other threads; and where the two run on different
// processors, waking an idle one takes the kernel longer than the peer's whole answer. So who is about to wait does
// three things in turn.
//
// It looks again and again, for some microseconds: with a processor each, the answer comes meanwhile, and neither ever
// sleeps. Then it blocks in a system call on its thread, for about a millisecond, for a thread in a system call is
// woken by the sender's own, and often runs next on the same processor. Then it goes to Go's poller.
//
// The first two are done only as long as they were worth it the last times: who looks while the peer waits for this
// very processor looks in vain, and a receiver whose messages come rarely goes to Go's poller at once. Looking needs
// both, since it keeps the two apart: so pipes do it, and the clients of a manager, whose loop spins (managerSpin), but
// not Python, which sleeps.
const (
	mostLooks  = 20 // some 8 µs; unless Options say otherwise
	lingerTime = time.Millisecond
)

// receive makes the call. Its error is that of a socket that was closed meanwhile, or of a wait that is over.
func (s *stream) receive() error {
	err := s.raw.Read(s.read.once)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.bad = err
	}
	return err
}

// fillBlocked waits for as long as it takes, as a goroutine.
func (s *stream) fillBlocked(ctx context.Context) error {
	s.read.how = parked
	return interruptible(ctx, s.nc.SetReadDeadline, s.receive)
}

// mostInARow is how often a coroutine may receive before it lets its loop go on, though there is something.
const mostInARow = 16

// fillParked does so as a coroutine. It tries before it waits only as long as that was worth it.
func (s *stream) fillParked(t *coro.Task, ctx context.Context, op string) error {
	r := &s.read
	try := s.prompt.Try()
	if s.inARow++; s.inARow > mostInARow {
		try = false
	}
	for first := true; ; first = false {
		if try || !first {
			r.how = never
			err := s.receive()
			if first {
				s.prompt.Note(r.err != sock.ErrWouldBlock)
			}
			if err != nil || r.err != sock.ErrWouldBlock {
				return err
			}
		}
		s.inARow = 0
		l, err := s.lookoutOn(t)
		if err != nil { // no descriptor for it, or none that the loop can watch
			return awaitFor(t, ctx, op, s.fillBlocked)
		}
		if err := l.wait(ctx, op, selector.Read); err != nil {
			return err
		}
	}
}

// linger receives what comes soon. If nothing does, the call's error is ErrWouldBlock.
func (s *stream) linger(ctx context.Context) error {
	r := &s.read
	r.err = sock.ErrWouldBlock
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if runtime.GOMAXPROCS(0) == 1 {
		return nil // others may have to run for something to come
	}
	for _, w := range [...]struct {
		how waiting
		c   *credit.Credit
	}{{looking, &s.looking}, {lingering, &s.lingering}} {
		if w.how == looking && s.looks == 0 || r.err != sock.ErrWouldBlock || !w.c.Try() {
			continue
		}
		r.how = w.how
		if err := s.receive(); err != nil {
			return err
		}
		w.c.Note(r.err != sock.ErrWouldBlock)
	}
	return nil
}

// interruptible calls f, which waits for a descriptor, and has it fail when ctx is done: by a deadline in the past.
func interruptible(ctx context.Context, setDeadline func(time.Time) error, f func() error) error {
	if ctx.Done() == nil {
		return f()
	}
	set := wait.NewLatch()
	stop := context.AfterFunc(ctx, func() {
		_ = setDeadline(time.Unix(1, 0)) // one that is closed fails anyhow
		set.Open()
	})
	err := f()
	if !stop() {
		set.Wait()
		_ = setDeadline(time.Time{}) // likewise
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = context.Cause(ctx)
		}
	}
	return err
}

// A sendCall is a frame on its way out.
type sendCall struct {
	once func(fd uintptr) bool
	p    []byte   // what is left of it, up to
	tail []byte   // this, which comes behind
	two  [][]byte // where both are sent at once
	fds  []int    // to go with the first byte
	poll bool
	sent bool // some of it has left
	err  error
}

func (w *sendCall) try(fd uintptr) bool {
	for len(w.p)+len(w.tail) > 0 {
		var n int
		switch so := sock.Socket(fd); {
		case len(w.fds) > 0:
			n, w.err = so.SendFD(w.fds, w.p)
		case len(w.tail) > 0:
			w.two = append(w.two[:0], w.p, w.tail)
			n, w.err = so.SendV(w.two)
		default:
			n, w.err = so.Send(w.p)
		}
		if w.err != nil {
			return w.err != sock.ErrWouldBlock || w.poll
		}
		w.sent, w.fds = true, nil
		m := min(n, len(w.p))
		w.p, w.tail = w.p[m:], w.tail[n-m:]
	}
	return true
}

// send sends head and tail, which are one frame, with fds, and waits until the kernel has taken all. The caller is
// inside sending. Cancelled before the first byte has left, nothing has; after it, the stream is broken for those who
// send.
func (s *stream) send(ctx context.Context, op string, head, tail []byte, fds []int) error {
	if s.closed.Load() {
		return net.ErrClosed
	}
	if s.broken != nil {
		return s.broken
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	w := &s.write
	w.p, w.tail, w.fds, w.sent, w.err, w.poll = head, tail, fds, false, nil, true
	err := s.raw.Write(w.once)
	if err == nil && w.err == sock.ErrWouldBlock {
		if t := task(ctx, op); t != nil {
			err = s.sendParked(t, ctx, op)
		} else {
			err = s.sendBlocked(ctx)
		}
	}
	if err == nil && w.err != nil {
		err = os.NewSyscallError("sendmsg", w.err)
	}
	if err != nil && w.sent {
		s.broken = ErrBroken
		if c, ok := s.nc.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite() // the peer learns that no more comes; err is the one to tell
		}
	}
	w.p, w.tail, w.fds = nil, nil, nil
	clear(w.two)
	return err
}

func (s *stream) sendBlocked(ctx context.Context) error {
	s.write.poll = false
	return interruptible(ctx, s.nc.SetWriteDeadline, func() error { return s.raw.Write(s.write.once) })
}

func (s *stream) sendParked(t *coro.Task, ctx context.Context, op string) error {
	w := &s.write
	for {
		l, err := s.lookoutOn(t)
		if err != nil { // as for receiving
			return awaitFor(t, ctx, op, s.sendBlocked)
		}
		if err := l.wait(ctx, op, selector.Write); err != nil {
			return err
		}
		if err := s.raw.Write(w.once); err != nil || w.err != sock.ErrWouldBlock {
			return err
		}
	}
}
