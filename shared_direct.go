package plexor

import (
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
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A direct is the descriptor of a shared connection in the hands of the goroutines that use it: they read and write it
// themselves, and where they have to wait they wait in Go's own poller, as on a connection of package net. That is what
// costs a goroutine least: a loop that reads for it has to wake it, and, where its own thread is not the one that goes
// on with it, a second thread.
//
// The calls are the loop's raw ones (see package sock), which are not announced to Go's scheduler: that is what it
// costs less than package net's. The loop goes on counting the connection, ends it where a limit or the server's end
// asks for that, and gets the descriptor back at Close for what the peer has not acknowledged yet: see loop.Conn.Lend.
type direct struct {
	s       *shared
	file    *os.File
	raw     syscall.RawConn
	in, out half
	eof     atomic.Bool // the peer's end was read
	doubt   atomic.Bool // a Read kept the loop from examining it
}

// A half is one direction, for one call at a time.
type half struct {
	mu    sync.Mutex
	op    string
	p     []byte
	n     int
	err   error
	tried bool // once, and found that it has to wait
	try   func(fd uintptr) bool
	moved atomic.Bool // a byte has, since the loop last looked
}

// borrows reports whether goroutines get the descriptor. It is done where it could be tried; elsewhere the loop reads
// and writes for them.
const borrows = runtime.GOOS == "linux"

// keepOnLoop, if tests set it, is borrows taken back.
var keepOnLoop bool

// pieceAtOnce bounds one system call, in bytes: as it is not announced, a garbage collection waits for it.
const pieceAtOnce = 256 << 10

// newDirect takes the descriptor k over. An error, of Go's poller, leaves it closed.
func newDirect(s *shared, k sock.Socket) (*direct, error) {
	d := &direct{s: s, file: os.NewFile(uintptr(k), "plexor")}
	d.in.op, d.out.op = "read", "write"
	d.in.try, d.out.try = d.tryRead, d.tryWrite
	var err error
	if d.raw, err = d.file.SyscallConn(); err == nil {
		err = d.file.SetDeadline(time.Time{}) // fails if it is not in the poller
	}
	if err != nil {
		return nil, errors.Join(err, d.file.Close())
	}
	return d, nil
}

// lock has one call at a time in. Where waiting for another one's end is not allowed, the error says so.
func (d *direct) lock(h *half) error {
	if h.mu.TryLock() {
		return nil
	}
	if err := d.s.mayWait(h.op); err != nil {
		return err
	}
	h.mu.Lock()
	return nil
}

// read is Read, or errDrained if there is something in the shared's buffer now that comes first.
func (d *direct) read(p []byte) (int, error) {
	h := &d.in
	if err := d.lock(h); err != nil {
		return 0, err
	}
	if d.s.reader.Load() != d {
		h.mu.Unlock()
		return 0, errDrained
	}
	h.p, h.n, h.err, h.tried = p, 0, nil, false
	err := d.raw.Read(h.try)
	h.p = nil
	if err == nil {
		err = h.err
	}
	n := h.n
	switch {
	case err == nil:
		h.stir()
	case err == io.EOF:
		d.end()
	default:
		err = d.failure(h, err)
	}
	h.mu.Unlock()
	if d.doubt.Load() {
		d.suspected()
	}
	return n, err
}

// tryRead reports whether the Read is over.
func (d *direct) tryRead(fd uintptr) bool {
	h := &d.in
	if len(h.p) == 0 {
		return true
	}
	h.n, h.err = sock.Socket(fd).Recv(h.p[:min(len(h.p), pieceAtOnce)])
	return h.err != sock.ErrWouldBlock || d.mayNotWait(h)
}

func (d *direct) write(p []byte) (int, error) {
	h := &d.out
	if err := d.lock(h); err != nil {
		return 0, err
	}
	defer h.mu.Unlock()
	h.p, h.n, h.err, h.tried = p, 0, nil, false
	err := d.raw.Write(h.try)
	h.p = nil
	if err == nil {
		err = h.err
	}
	if h.n > 0 {
		h.stir()
	}
	if err != nil {
		err = d.failure(h, err)
	}
	return h.n, err
}

// tryWrite reports whether the Write is over.
func (d *direct) tryWrite(fd uintptr) bool {
	h := &d.out
	for h.n < len(h.p) {
		n, err := sock.Socket(fd).Send(h.p[h.n:min(len(h.p), h.n+pieceAtOnce)])
		h.n += n
		if h.err = err; err != nil {
			return err != sock.ErrWouldBlock || d.mayNotWait(h)
		}
	}
	return true
}

// mayNotWait is mayWait, asked once a call.
func (d *direct) mayNotWait(h *half) bool {
	h.err = nil
	if !h.tried {
		h.tried = true
		h.err = d.s.mayWait(h.op)
	}
	return h.err != nil
}

// failure is what an error of a call means. A Read that failed has read all that there was, and so the connection is
// over; behind a Write that failed the loop examines what there is still to read. That a deadline has passed is common:
// net/http ends its Read in the background so, with each request.
func (d *direct) failure(h *half, err error) error {
	late := err == os.ErrDeadlineExceeded
	if !late {
		if _, ok := errors.AsType[*coro.MisuseError](err); ok {
			return err
		}
		late = errors.Is(err, os.ErrDeadlineExceeded)
	}
	d.s.mu.Lock()
	err = d.meaning(h, err, late)
	d.s.mu.Unlock()
	return d.s.wrap(h.op, err)
}

// meaning is failure without the operation's name. The caller holds the connection's lock.
func (d *direct) meaning(h *half, err error, late bool) error {
	s := d.s
	switch {
	case s.closed:
		return net.ErrClosed
	case late:
		return os.ErrDeadlineExceeded
	case s.over:
		return s.err
	case h == &d.out && s.ended:
		return loop.ErrWriteClosed
	case h == &d.in:
		s.over, s.err = true, os.NewSyscallError("recv", err)
		s.handBack(sock.None)
		return s.err
	}
	err = os.NewSyscallError("send", err)
	s.broken = err
	s.suspect = true
	s.kick()
	return err
}

// stir notes that a byte has moved, for the loop's sweep of those that are idle.
func (h *half) stir() {
	if !h.moved.Load() {
		h.moved.Store(true)
	}
}

// stirred notes of a connection whose descriptor is lent in which direction a byte has moved since the last sweep.
func (c *Conn) stirred() {
	s, ok := c.raw.lc.Handler().(*shared)
	if !ok {
		return
	}
	d := s.writer.Load()
	if d == nil {
		return
	}
	if d.in.moved.Swap(false) {
		c.raw.tick = c.raw.w.tick
	}
	if d.out.moved.Swap(false) {
		c.raw.wrote()
	}
}

// control calls f with the descriptor, while it can't be closed.
func (d *direct) control(f func(sock.Socket) error) error {
	var err error
	if closed := d.raw.Control(func(fd uintptr) { err = f(sock.Socket(fd)) }); closed != nil {
		return net.ErrClosed
	}
	return err
}

// giveUp closes the descriptor, and returns a duplicate if the loop is to see to what is left: bytes that the peer's
// system has not acknowledged, which a reset would overtake, as the peer may still send.
func (d *direct) giveUp() sock.Socket {
	left := sock.None
	_ = d.control(func(k sock.Socket) error { // it is closed already: nothing is left
		if n, known := k.Unacked(); d.eof.Load() && known && n == 0 {
			return nil
		}
		if dup, err := k.Dup(); err == nil { // else the system goes on by itself, as with package net
			left = dup
		}
		return nil
	})
	_ = d.file.Close() // likewise
	return left
}

// reset ends the connection at once.
func (d *direct) reset() {
	// Both fail if it is closed already; a socket that has no reset is closed without.
	_ = d.control(func(k sock.Socket) error { return k.SetLinger(sock.LingerReset) })
	_ = d.file.Close()
}

// lend has the loop give the descriptor to the goroutines.
func (s *shared) lend() {
	if borrows && !keepOnLoop && !s.c.raw.virtual() && !s.c.raw.is(closed|over) {
		s.borrows = true
		s.c.raw.lc.Lend()
	}
}

// Lent is of loop.Borrower.
func (s *shared) Lent(lc *loop.Conn, k sock.Socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.over || s.broken != nil || s.posted || len(s.out) > 0 {
		return false // see serve
	}
	d, err := newDirect(s, k)
	if err == nil {
		d.eof.Store(s.eof)
		s.read.lend(d.file.SetReadDeadline)
		s.write.lend(d.file.SetWriteDeadline)
	} else {
		s.over, s.err = true, err
		_ = lc.Loop().Post(func() { lc.CloseWithError(err) }) // not in here; a loop that has ended has closed it
	}
	s.paused, s.lent = false, d
	s.writer.Store(d)
	if s.from == len(s.in) {
		s.reader.Store(d)
	}
	s.readable.Broadcast()
	s.writable.Broadcast()
	return true
}

// Broken is of loop.Borrower.
func (s *shared) Broken(*loop.Conn) {
	if d := s.writer.Load(); d != nil {
		d.examine()
	}
}

// Revoke is of loop.Borrower.
func (s *shared) Revoke(err error) {
	if err == nil {
		err = net.ErrClosed // Return, after Close
	}
	s.fail(s.c.raw.whyOver(err))
	s.mu.Lock()
	d, left := s.lent, s.left
	s.left = sock.None
	s.mu.Unlock()
	if d != nil {
		d.reset()
	}
	if left != sock.None {
		_ = left.Abort() // the connection has ended, and that is told
	}
}

// handBack has the loop end the connection: with what is left, or at once if that is sock.None. The caller holds mu.
func (s *shared) handBack(left sock.Socket) {
	s.left, s.returning = left, true
	if !s.posted {
		s.posted = true
		s.post()
	}
}

// closeDirect is Close, for who has the descriptor.
func (s *shared) closeDirect(d *direct, resets bool) {
	left := sock.None
	if resets {
		d.reset()
	} else {
		left = d.giveUp()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.handBack(left)
	} else if left != sock.None {
		_ = left.Abort() // it has ended meanwhile
	}
}

// takeBack is the loop's part of handBack.
func (s *shared) takeBack() {
	s.mu.Lock()
	left := s.left
	s.left, s.returning = sock.None, false
	s.mu.Unlock()
	lc := s.c.raw.lc
	lc.Return(left)
	if left != sock.None {
		_ = lc.Close() // it may have ended
	}
}
