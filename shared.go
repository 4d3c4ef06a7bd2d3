package plexor

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A shared is a net.Conn for any goroutine: two bounded buffers between those who call it and the loop.
//
//	Write ──▶ out ──(posted, or Writable)──▶ loop.Conn
//	Read ◀── in ◀──────────(Data)────────── loop.Conn
//
// A Write waits while out is full, which it is while the loop's own output is; the loop stops reading while in is full.
// Whatever is asked of the loop goes by one posted function, that is never posted twice at a time.
//
// Where it can, the loop lends the descriptor to the goroutines as soon as nothing is under way any more, and then
// these buffers stay empty: see direct.
type shared struct {
	c     *Conn // the loop's goroutine alone, but for raw.lc, raw.w and raw.peer, which never change
	local net.Addr
	tc    *tls.Conn // of a tls address of Listen

	mu       sync.Mutex
	readable wait.Cond
	writable wait.Cond
	in       []byte
	from     int // in[from:] is unread
	out      []byte
	spare    []byte
	err      error // why it is over
	broken   error // why nothing can be written
	eof      bool
	over     bool
	paused   bool // in was full: the loop does not read
	posted   bool // serve will run
	writing  bool // a Write is half done
	choked   bool // a Read waits for out to be taken
	ended    bool // CloseWrite
	closed   bool
	resets   bool // SetLinger(0)
	read     sharedDeadline
	write    sharedDeadline

	// Where goroutines have the descriptor: see direct. reader and writer are nil as long as the buffers above are used.
	borrows   bool // the loop's
	lent      *direct
	suspect   bool        // the loop is to examine it
	unread    bool        // it has, and there was more than it has taken in
	returning bool        // the loop is to end the connection,
	left      sock.Socket // with this descriptor if it is not sock.None
	reader    atomic.Pointer[direct]
	writer    atomic.Pointer[direct]
}

// sharedLimit bounds out, and is where in makes the loop stop reading, in bytes.
const sharedLimit = 64 << 10

func newShared(c *Conn) *shared {
	return &shared{c: c, local: c.raw.localAddr(), left: sock.None}
}

// Shared gives the connection away: it returns a [net.Conn] for any goroutine, on which other libraries can work, and
// which outlives the handler. What has arrived and was not read is read there. The Conn itself can't be used any more,
// and deadlines that were set on it are gone. Whoever gets the result must close it.
//
// On Linux, where it does not speak TLS, the loop lends the descriptor as soon as what was written has left: the
// goroutines then read and write it themselves and wait in Go's own poller, as with package net. Elsewhere the loop
// reads and writes for them, by two buffers of 64 KiB at most. Either way Write returns when all is in a buffer, and
// Close returns at once, while what was written still goes out, for Limits.Linger at most. A peer that has died ends
// the connection, and its Context, as soon as the system knows, whether or not anybody reads or writes; what it had
// sent before is read all the same, and where more than 64 KiB of that are unread, the end is found behind them.
// Deadlines are by the system's clock. All as with a net.TCPConn, and like one it has CloseWrite, the options of Conn
// (SetNoDelay and those behind it) and, unless it speaks TLS, SyscallConn; assert to an interface with the method.
//
// What waits in the Conn's [Outbox] is the first that is written; the Outbox takes no more.
func (c *Conn) Shared() net.Conn {
	if _, err := c.raw.self("Conn.Shared"); err != nil {
		return failed{c, c.misuse("share", err)}
	}
	if c.is(returned) || c.raw.is(givenAway) {
		return failed{c, c.refusal("share")}
	}
	if c.tls != nil {
		if err := c.tls.usable(); err != nil {
			return failed{c, c.raw.wrap("share", err)}
		}
	}
	rest := c.raw.endBox(ErrGivenAway, true)
	if c.tls != nil {
		c.tls.putRest(rest)
		return c.tls.share(c.share())
	}
	sh := c.share()
	if len(rest) > 0 {
		_ = sh.push(rest) // who writes next gets the error too
	}
	sh.lend()
	return sh
}

// share makes the shared of a Conn, and the loop's calls go to it from now on.
func (c *Conn) share() *shared {
	s := newShared(c)
	r := &c.raw
	r.flags |= givenAway
	if r.is(awaited) { // by Open of a session
		r.w.heard(c)
	}
	s.in = append(s.in, r.peek()...)
	s.eof, s.over, s.err = r.is(gotEOF), r.is(over), r.err
	s.paused, s.resets = r.is(paused), r.is(resets)
	if r.in != nil {
		r.w.buffers.put(r.in)
		r.in = nil
	}
	r.w.forget(r)
	if r.w.owner == r {
		r.w.view = nil
	}
	if r.is(closed) {
		s.closed = true
	}
	r.lc.SetHandler(s)
	r.lc.ReadOn()                     // the two directions of a net.Conn do not hold each other up
	_ = r.lc.SetDeadline(time.Time{}) // one that is over has none
	r.readers.wakeAll()
	r.wakeWriters()
	if s.paused && len(s.in) == 0 {
		s.kick()
	}
	return s
}

// unreadable is why a Read fails now, whatever has arrived.
func (s *shared) unreadable() error {
	switch {
	case s.closed:
		return s.wrap("read", net.ErrClosed)
	case s.read.passed:
		return s.wrap("read", os.ErrDeadlineExceeded)
	}
	return nil
}

// Read is of net.Conn.
func (s *shared) Read(p []byte) (int, error) {
	for {
		d := s.reader.Load()
		if d == nil {
			var n int
			var err error
			if n, d, err = s.readBuffered(p); d == nil {
				return n, err
			}
		}
		if n, err := d.read(p); err != errDrained {
			return n, err
		}
	}
}

// readBuffered is Read as long as the loop reads. If it returns a direct, it is that one's from now on.
func (s *shared) readBuffered(p []byte) (int, *direct, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := s.unreadable(); err != nil {
			return 0, nil, err
		}
		switch {
		case len(p) == 0:
			return 0, nil, nil
		case s.from < len(s.in):
			n := copy(p, s.in[s.from:])
			if s.from += n; s.from == len(s.in) {
				s.in, s.from = nil, 0
				if s.paused {
					s.kick()
				}
			}
			return n, nil, nil
		case s.eof:
			return 0, nil, io.EOF
		case s.over:
			return 0, nil, s.wrap("read", s.err)
		case s.lent != nil:
			s.reader.Store(s.lent)
			return 0, s.lent, nil
		}
		if err := s.wait("read", &s.readable); err != nil {
			return 0, nil, err
		}
	}
}

// wait waits for a change, if that may be.
func (s *shared) wait(op string, cond *wait.Cond) error {
	if err := s.mayWait(op); err != nil {
		return err
	}
	cond.Wait(&s.mu)
	return nil
}

// mayWait is why the caller must not wait: on the connection's own loop it would wait for itself.
func (s *shared) mayWait(op string) error {
	if !s.c.raw.w.loop.OnLoop() {
		return nil
	}
	return s.c.misuse(op, &coro.MisuseError{Op: "Conn.Shared, " + op, Why: "it would wait for the connection's loop, " +
		"and was called on it (by a handler, a timer or a posted function): call it from a goroutine (go), or in " +
		"coro.Await"})
}

// unwritable is why a Write fails now.
func (s *shared) unwritable() error {
	switch {
	case s.closed:
		return net.ErrClosed
	case s.write.passed:
		return os.ErrDeadlineExceeded
	case s.over:
		return s.err
	case s.broken != nil:
		return s.broken
	case s.ended:
		return loop.ErrWriteClosed
	}
	return nil
}

// Write is of net.Conn.
func (s *shared) Write(p []byte) (int, error) {
	n := 0
	d := s.writer.Load()
	if d == nil {
		var err error
		if n, d, err = s.writeBuffered(p); d == nil {
			return n, err
		}
	}
	m, err := d.write(p[n:])
	return n + m, err
}

// writeBuffered is Write as long as the loop writes. If it returns a direct, the rest is that one's.
func (s *shared) writeBuffered(p []byte) (n int, _ *direct, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.writing && err == nil {
		if err = s.unwritable(); err != nil {
			err = s.wrap("write", err)
		} else {
			err = s.wait("write", &s.writable)
		}
	}
	if err != nil {
		return 0, nil, err
	}
	s.writing = true
	defer func() {
		s.writing = false
		s.writable.Broadcast()
	}()
	for {
		if err := s.unwritable(); err != nil {
			return n, nil, s.wrap("write", err)
		}
		if s.lent != nil {
			return n, s.lent, nil
		}
		if room := sharedLimit - len(s.out); room > 0 {
			m := min(room, len(p)-n)
			s.out = append(s.out, p[n:n+m]...)
			n += m
			if m > 0 {
				s.kick()
			}
		}
		if n == len(p) {
			return n, nil, nil
		}
		if err := s.wait("write", &s.writable); err != nil {
			return n, nil, err
		}
	}
}

// CloseWrite ends our half of the connection, behind what was written.
func (s *shared) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return s.wrap("close", net.ErrClosed)
	case s.over:
		return s.wrap("close", s.err)
	}
	s.ended = true
	s.writable.Broadcast()
	if s.lent != nil {
		if err := s.lent.control(sock.Socket.CloseWrite); err != nil {
			return s.wrap("close", err)
		}
		return nil
	}
	s.kick()
	return nil
}

// Close is of net.Conn.
func (s *shared) Close() error {
	d, resets, err := s.close()
	if d != nil {
		s.closeDirect(d, resets)
	}
	return err
}

// close has everybody find it closed. If it returns a direct, that one is to be closed.
func (s *shared) close() (d *direct, resets bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, s.wrap("close", net.ErrClosed)
	}
	s.closed = true
	s.in, s.from = nil, 0
	s.read.stop()
	s.write.stop()
	s.readable.Broadcast()
	s.writable.Broadcast()
	if s.lent != nil {
		return s.lent, s.resets, nil
	}
	s.kick()
	return nil, false, nil
}

// LocalAddr is of net.Conn.
func (s *shared) LocalAddr() net.Addr { return s.local }

// RemoteAddr is of net.Conn.
func (s *shared) RemoteAddr() net.Addr { return s.c.raw.remoteAddr() }

func (s *shared) wrap(op string, err error) error { return s.c.raw.wrap(op, err) }
