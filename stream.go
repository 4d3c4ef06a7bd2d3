package plexor

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// A stream is the transport half of a Conn: bytes to and from the loop's connection, by operations that park the
// coroutine that calls them. It is a net.Conn of its own, so that a tls.Conn can stand between it and the Conn.
//
// What arrives goes the shortest way that there is. A reader that waits is resumed inside the loop's callback and
// copies from the loop's read buffer, the view. What it has not taken when it parks again is copied to the inbox,
// which is bounded: at inboxLimit the loop stops reading, and goes on when the inbox is empty.
//
//	callback ──view──▶ reader          nothing kept
//	        └──rest──▶ inbox ──▶ reader    it was busy, or there is none
type stream struct {
	lc    *loop.Conn // its methods may be called at any time, over or not
	w     *worker
	in    *buffer // the inbox; nil: empty
	waits *waits  // nil: nobody waits, and no deadline is set
	err   error   // why it is over, once it is
	peer  netip.AddrPort
	flags streamFlags
	tick  uint32 // worker.tick when a byte last moved
	at    int32  // place in worker.conns
}

type streamFlags uint16

const (
	gotEOF    streamFlags = 1 << iota // the peer closed its half; the inbox comes first
	over                              // the loop's connection has ended; err says why
	closed                            // by Close; err is net.ErrClosed
	paused                            // the inbox is at its limit
	started                           // Conn: a handler was started
	returned                          // Conn: it has returned
	givenAway                         // Conn: by Shared
	accepted                          // Conn: counted by the server
	messaging                         // Conn: Read is not for the handler
	misused                           // Conn: and the log was told
	moved                             // something arrived since Shutdown looked last
)

func (s *stream) is(f streamFlags) bool { return s.flags&f != 0 }

// waits is what a stream needs while somebody waits or a deadline is set. An idle connection has none.
type waits struct {
	readers line
	writers line        // that wait until another's Write is done
	room    coro.Waiter // the one whose Write it is
	closer  coro.Waiter
	writing bool
	readBy  time.Time // zero: none
	writeBy time.Time
}

// inboxLimit is how many bytes are kept for a handler that does not read before the loop stops reading. One piece
// more may come on top.
const inboxLimit = 64 << 10

func (s *stream) getWaits() *waits {
	if s.waits == nil {
		s.waits = s.w.getWaits()
	}
	return s.waits
}

// dropWaits gives waits back if nothing is in it.
func (s *stream) dropWaits() {
	x := s.waits
	if x != nil && x.readBy.IsZero() && x.writeBy.IsZero() && !x.writing && x.readers.empty() && x.writers.empty() && !x.closer.Waiting() {
		s.waits = nil
		s.w.putWaits(x)
	}
}

// self is the calling task, or an error that says who called in place of one.
func (s *stream) self(op string) (*coro.Task, error) { return s.w.sched.Self(op) }

// peek is what has arrived and was not taken. It is valid until the coroutine parks.
func (s *stream) peek() []byte {
	if s.in != nil {
		return s.in.b[s.in.from:]
	}
	if s.w.owner == s {
		return s.w.view
	}
	return nil
}

// discard takes n bytes off the front of what peek returned.
func (s *stream) discard(n int) {
	if s.in == nil {
		s.w.view = s.w.view[n:]
		return
	}
	s.in.from += n
	if s.in.from == len(s.in.b) {
		s.empty()
	}
}

// empty gives the inbox back, and lets the loop read on.
func (s *stream) empty() {
	if s.in != nil {
		s.w.buffers.put(s.in)
		s.in = nil
	}
	if s.is(paused) {
		s.flags &^= paused
		s.lc.Resume()
	}
}

// keep adds p to the inbox.
func (s *stream) keep(p []byte) {
	s.flags |= moved
	s.in = s.w.buffers.add(s.in, p)
	if len(s.in.b)-s.in.from >= inboxLimit && !s.is(paused) {
		s.flags |= paused
		s.lc.Pause()
	}
}

// offer makes p what peek finds; withdraw, at the end of the callback, keeps what was not taken.
func (s *stream) offer(p []byte) {
	s.flags |= moved
	s.w.view, s.w.owner = p, s
}

func (s *stream) withdraw() {
	rest := s.w.view
	s.w.view, s.w.owner = nil, nil
	if len(rest) > 0 && !s.is(closed|over) {
		s.keep(rest)
	}
}

// received is for bytes that arrived: those who wait to read get them at once.
func (s *stream) received(p []byte) {
	s.tick = s.w.tick
	if s.in != nil {
		s.keep(p)
		return
	}
	s.offer(p)
	for x := s.waits; x != nil && x == s.waits && len(s.w.view) > 0; {
		left := len(s.w.view)
		if !x.readers.wake() || len(s.w.view) == left {
			break
		}
	}
	s.withdraw()
}

// wakeReaders and wakeWriters have all who wait look again.
func (s *stream) wakeReaders() {
	if s.waits != nil {
		s.waits.readers.wakeAll()
	}
}

func (s *stream) wakeWriters() {
	if x := s.waits; x != nil {
		x.room.Wake()
		x.writers.wakeAll()
	}
}

// end closes a connection of which the handler learns by err that it is over.
func (s *stream) end(err error) {
	_ = s.lc.Close() // it may have ended by itself
	s.finish(err)
}

// finish is for the loop's report that the connection is over.
func (s *stream) finish(err error) {
	if s.is(over) {
		return
	}
	s.flags |= over
	if !s.is(closed) {
		s.err = s.ended(err)
	} else {
		s.err = err // for Close, which may wait for it
	}
	s.wakeReaders()
	s.wakeWriters()
	if s.waits != nil {
		s.waits.closer.Wake()
	}
}

// unreadable is why a Read with nothing there fails; nil: it is to wait.
func (s *stream) unreadable() error {
	switch {
	case s.is(gotEOF):
		return io.EOF
	case s.is(over):
		return s.err
	case s.w.draining && s.is(accepted) && s.quiet():
		return ErrServerClosed
	}
	return nil
}

// notOurs is what an operation gets that finds it was closed or given away.
func (s *stream) notOurs() error {
	if s.is(givenAway) {
		return ErrGivenAway
	}
	return net.ErrClosed
}

// quiet reports whether the system has nothing that the peer sent, nor the loop anything for the peer, which would
// keep that from sending; and whether nothing came since Shutdown looked last, for then more is on its way. What can't be
// known is taken for nothing.
func (s *stream) quiet() bool {
	if s.is(moved) || s.lc.Pending() > 0 {
		return false
	}
	n, err := s.lc.Socket().Unread()
	return n == 0 || err != nil
}

// readExpired and writeExpired report whether a deadline has passed, on the loop's clock.
func (s *stream) readExpired() bool {
	x := s.waits
	return x != nil && !x.readBy.IsZero() && s.w.passed(x.readBy)
}

func (s *stream) writeExpired() bool {
	x := s.waits
	return x != nil && !x.writeBy.IsZero() && s.w.passed(x.writeBy)
}

// await waits until peek has something.
//
// The stack of a coroutine that waits in here, most often for long, is 2 KiB as long as the calls on it need no more
// than about 1.1 KiB (the runtime keeps the rest as a guard), and 4 KiB beyond. So the way from the handler to here,
// and to the loop's cork, has few and small frames.
func (s *stream) await(t *coro.Task) error {
	for {
		switch {
		case s.is(closed | givenAway):
			return s.notOurs()
		case s.readExpired():
			return os.ErrDeadlineExceeded
		case len(s.peek()) > 0:
			return nil
		}
		if err := s.unreadable(); err != nil {
			return err
		}
		var err error
		if l := &s.getWaits().readers; l.front() != nil {
			err = l.front().Park(t, "read", s)
		} else {
			err = l.queue(t, "read", s)
		}
		if err != nil {
			return err
		}
	}
}

// read is Read by the task t.
func (s *stream) read(t *coro.Task, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.await(t); err != nil {
		return 0, err
	}
	n := copy(p, s.peek())
	s.took(n)
	return n, nil
}

// took is discard by a reader: another one may wait for the rest.
func (s *stream) took(n int) {
	s.discard(n)
	if x := s.waits; x != nil && !x.readers.empty() && (len(s.peek()) > 0 || s.is(gotEOF)) {
		x.readers.wake()
	}
}

// write is Write by the task t.
func (s *stream) write(t *coro.Task, p []byte) (n int, err error) {
	if s.waits != nil {
		if err := s.lockWrite(t); err != nil {
			return 0, err
		}
	}
	n, err = s.writeLocked(t, p)
	if s.waits != nil {
		s.unlockWrite()
	}
	return n, err
}

// writeLocked writes while nobody else does.
func (s *stream) writeLocked(t *coro.Task, p []byte) (n int, err error) {
	most := s.w.highWater
	for {
		m, err := s.lc.Write(p[n:min(n+most, len(p))])
		n += m
		switch {
		case err == nil && n == len(p):
			s.tick = s.w.tick
			return n, nil
		case err == nil:
			continue
		case err == loop.ErrFull:
			err = s.awaitRoom(t)
		default:
			err = s.failure(t, err)
		}
		if err != nil {
			return n, err
		}
	}
}

// failure is unwritable for who may wait. A connection that broke in this turn refuses at once, and why it did is only
// told at the turn's end.
func (s *stream) failure(t *coro.Task, err error) error {
	if errors.Is(err, loop.ErrClosed) && !s.is(over|closed) {
		if err := s.awaitRoom(t); err != nil && !s.is(over) {
			return err
		}
	}
	return s.unwritable(err)
}

// unwritable is what an error of loop.Conn.Write means to the handler.
func (s *stream) unwritable(err error) error {
	if errors.Is(err, loop.ErrClosed) {
		if s.is(over) && !s.is(closed) {
			return s.err
		}
		return net.ErrClosed
	}
	return err
}

// awaitRoom waits until the loop's output is no longer full. Others that write meanwhile wait in writers.
func (s *stream) awaitRoom(t *coro.Task) error {
	x := s.getWaits()
	x.writing = true
	if err := x.room.Park(t, "write", s); err != nil {
		return err
	}
	s.tick = s.w.tick
	switch {
	case s.is(closed | givenAway):
		return s.notOurs()
	case s.writeExpired():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// lockWrite waits until no other Write is half done, and the deadline allows one.
func (s *stream) lockWrite(t *coro.Task) (err error) {
	for {
		x := s.waits
		busy := x != nil && x.writing
		switch {
		case s.is(closed | givenAway):
			err = s.notOurs()
		case s.writeExpired():
			err = os.ErrDeadlineExceeded
		case !busy:
			return nil
		default:
			err = x.writers.queue(t, "write", s)
		}
		if err != nil {
			if !busy && x != nil {
				x.writers.wake() // it was our turn
			}
			return err
		}
	}
}

// unlockWrite lets the next one write.
func (s *stream) unlockWrite() {
	if x := s.waits; x != nil {
		x.writing = false
		x.writers.wake()
	}
}

// The methods of net.Conn.

// Read is of net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	t, err := s.self("Conn.Read")
	if err != nil {
		return 0, s.wrap("read", err)
	}
	n, err := s.read(t, p)
	if err != nil {
		err = s.wrap("read", err)
	}
	return n, err
}

// Write is of net.Conn.
func (s *stream) Write(p []byte) (int, error) {
	t, err := s.self("Conn.Write")
	if err != nil {
		return 0, s.wrap("write", err)
	}
	n, err := s.write(t, p)
	if err != nil {
		err = s.wrap("write", err)
	}
	return n, err
}

// CloseWrite ends our half of the connection.
func (s *stream) CloseWrite() error {
	if _, err := s.self("Conn.CloseWrite"); err != nil {
		return s.wrap("close", err)
	}
	err := s.lc.CloseWrite()
	if err != nil {
		err = s.wrap("close", s.unwritable(err))
	}
	s.wakeWriters() // the loop will not
	return err
}

// Close is of net.Conn: it waits until the peer's system has all that was written.
func (s *stream) Close() error {
	t, err := s.self("Conn.Close")
	if err != nil {
		return s.wrap("close", err)
	}
	if s.is(closed) {
		return s.wrap("close", net.ErrClosed)
	}
	done := s.acknowledged()
	if !s.shut() || done {
		return nil // it was over, or whatever happens now does no harm
	}
	if err := s.delivered(t); err != nil {
		return s.wrap("close", err)
	}
	return nil
}

// shut closes, and waits for nothing. It reports whether there was something to close.
func (s *stream) shut() bool {
	s.flags |= closed
	was := s.lc.Close() == nil
	s.empty()
	s.wakeReaders()
	s.wakeWriters()
	return was
}

// abort ends the connection at once with err.
func (s *stream) abort(err error) {
	s.lc.CloseWithError(err)
}

// How often Close looks whether all has arrived, of which no event tells.
const (
	firstLook = time.Millisecond
	lastLook  = 100 * time.Millisecond
)

// acknowledged reports whether the peer's system has all that was written. What can't be known is taken for so.
func (s *stream) acknowledged() bool {
	if s.lc.Pending() > 0 {
		return false
	}
	n, known := s.lc.Socket().Unacked()
	return n == 0 || !known
}

// delivered waits until every byte is acknowledged, or will not be.
func (s *stream) delivered(t *coro.Task) error {
	var timer *loop.Timer
	for step := firstLook; !s.is(over); step = min(2*step, lastLook) {
		if s.acknowledged() {
			break
		}
		x := s.getWaits()
		if timer == nil {
			timer = s.w.loop.AfterFunc(step, func() { x.closer.Wake() })
		} else {
			timer.Reset(step)
		}
		if err := x.closer.Park(t, "close", s); err != nil {
			timer.Stop()
			return err
		}
	}
	if timer != nil {
		timer.Stop()
	}
	if s.is(over) {
		return s.err
	}
	return nil
}

// LocalAddr is of net.Conn.
func (s *stream) LocalAddr() net.Addr {
	a, err := s.lc.LocalAddr()
	if err != nil {
		return s.noAddr()
	}
	return netAddr(a)
}

// RemoteAddr is of net.Conn.
func (s *stream) RemoteAddr() net.Addr { return s.remoteAddr() }

func (s *stream) remoteAddr() net.Addr {
	if s.peer.IsValid() {
		return net.TCPAddrFromAddrPort(s.peer)
	}
	return s.noAddr()
}

// noAddr is the address of what has none, or had none that is known.
func (s *stream) noAddr() net.Addr {
	if s.peer.IsValid() {
		return &net.TCPAddr{}
	}
	return &net.UnixAddr{Net: "unix"}
}

func (s *stream) network() string {
	if s.peer.IsValid() {
		return "tcp"
	}
	return "unix"
}

// String is for lists of what coroutines wait for.
func (s *stream) String() string {
	if s.peer.IsValid() {
		return "tcp://" + s.peer.String()
	}
	return "unix"
}

// SetDeadline is of net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	return s.setDeadlines(t, true, true)
}

// SetReadDeadline is of net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error {
	return s.setDeadlines(t, true, false)
}

// SetWriteDeadline is of net.Conn.
func (s *stream) SetWriteDeadline(t time.Time) error {
	return s.setDeadlines(t, false, true)
}

// setDeadlines keeps the times, by which operations judge, and has the loop call when they pass. For those that have
// passed already nobody needs to call.
func (s *stream) setDeadlines(t time.Time, read, write bool) error {
	if _, err := s.self("Conn.SetDeadline"); err != nil {
		return s.wrap("set", err)
	}
	if s.is(closed) {
		return s.wrap("set", net.ErrClosed)
	}
	if t.IsZero() && s.waits == nil {
		return nil
	}
	x := s.getWaits()
	call := t
	if !t.IsZero() && s.w.passed(t) {
		call = time.Time{}
	}
	var err error
	if read {
		x.readBy = t
		err = s.lc.SetReadDeadline(call)
		if call.IsZero() {
			x.readers.wakeAll()
		}
	}
	if write {
		x.writeBy = t
		if err == nil {
			err = s.lc.SetWriteDeadline(call)
		}
		if call.IsZero() {
			x.room.Wake()
			x.writers.wakeAll()
		}
	}
	s.dropWaits()
	if err != nil && !s.is(over) {
		return s.wrap("set", err)
	}
	return nil // what is over has no need of deadlines, and its Read says why it is over
}
