package plexor

import (
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
)

// A stream is the transport half of a Conn: bytes to and from the loop's connection, by operations that park the
// coroutine that calls them. The Conn uses it directly, or through a secured.
//
// What arrives goes the shortest way that there is. A reader that waits is resumed inside the loop's callback and
// copies from the loop's read buffer, the view. What it has not taken when it parks again is copied to the inbox,
// which is bounded: at inboxLimit the loop stops reading, and goes on when the inbox is empty.
//
//	callback ──view──▶ reader          nothing kept
//	        └──rest──▶ inbox ──▶ reader    it was busy, or there is none
type stream struct {
	lc      *loop.Conn // its methods may be called at any time, over or not
	w       *worker
	in      *buffer // the inbox; nil: empty
	readers line    // those that wait to read
	waits   *waits  // nil: nobody waits for anything else, and no deadline is set
	flags   streamFlags
	above   connFlags
	stage   sessionStage
	tick    uint32 // worker.tick when a byte last came; while awaited, silence.tick when it began
	sent    uint32 // worker.tick when a byte was last written, or waiting ones moved
	at      int32  // place in worker.conns, or in silence.conns while awaited
	since   uint32 // when it began: see worker.stamp
	part    int32  // number of its entry in worker.input; 0: it holds no unfinished input
	err     error  // why it is over, once it is
	peer    netip.AddrPort
}

type streamFlags uint16

const (
	gotEOF    streamFlags = 1 << iota // the peer closed its half; the inbox comes first
	over                              // the loop's connection has ended; err says why
	closed                            // by Close; err is net.ErrClosed
	paused                            // the inbox is at its limit
	givenAway                         // by Shared
	accepted                          // by a listener: the server counts it, and its limits hold
	moved                             // something arrived since Shutdown looked last
	halfway                           // a message has begun to arrive, and Shutdown waits for its rest
	awaited                           // its first byte has not come, and Limits.FirstByte bounds that
	taken                             // bytes were read in this turn
	resets                            // SetLinger(0): Close is Abort
)

func (s *stream) is(f streamFlags) bool { return s.flags&f != 0 }

// connFlags are those of the Conn above the stream. They are kept in the stream, where there is room for them.
type connFlags uint8

const (
	started   connFlags = 1 << iota // a handler was started, or the coroutine of a handshake
	returned                        // it has returned
	messaging                       // Read is not for the handler
	unshaken                        // its TLS handshake is not done
)

func (c *Conn) is(f connFlags) bool { return c.raw.above&f != 0 }

// waits is what a stream needs while somebody waits to write or to close, a deadline is
// set, or once it has an Outbox. Few connections have one.
type waits struct {
	writers line        // that wait until another's Write is done
	room    coro.Waiter // the one whose Write it is
	closer  coro.Waiter
	writing bool
	box     *Outbox   // nil: nobody asked for it
	ended   func()    // of OnEnd; nil: nobody wants to know
	readBy  time.Time // zero: none
	writeBy time.Time
}

// inboxLimit is how many bytes are kept for a handler that does not read before the loop stops reading. One piece
// more may come on top. All connections of a loop together have Limits.PartialInput: from
// half of it on, the limit is 0.
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
	if x != nil && x.readBy.IsZero() && x.writeBy.IsZero() && !x.writing && x.writers.empty() &&
		!x.closer.Waiting() && x.box == nil && x.ended == nil {
		s.waits = nil
		s.w.putWaits(x)
	}
}

// self is the calling task, or an error that says who called in place of one.
func (s *stream) self(op string) (*coro.Task, error) { return s.w.sched.Self(op) }

// touch notes that a byte has come. Until the first one of the handler's has come it
// counts for nothing: what comes over TLS before it is TLS's own.
func (s *stream) touch() {
	if !s.is(awaited) {
		s.tick = s.w.tick
	}
}

// wrote notes that a byte was written, or that the peer took some of those that wait.
func (s *stream) wrote() { s.sent = s.w.tick }

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
	s.flags |= taken
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
	if s.part != 0 {
		s.w.holdInbox(s)
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
	if (len(s.in.b)-s.in.from >= inboxLimit || s.is(accepted) && s.w.input.crowded()) && !s.is(paused) {
		s.flags |= paused
		s.lc.Pause()
	}
	s.w.holdInbox(s) // last, for it may have to go
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
	for left := len(s.w.view); left > 0; left = len(s.w.view) {
		if !s.readers.wake() || len(s.w.view) == left {
			break
		}
	}
	s.withdraw()
}

// wakeWriters has all who wait to write look again.
func (s *stream) wakeWriters() {
	if x := s.waits; x != nil {
		x.room.Wake()
		x.writers.wakeAll()
	}
}

// unreadable is why a Read with nothing there fails; nil: it is to wait.
func (s *stream) unreadable() error {
	switch {
	case s.is(gotEOF):
		return io.EOF
	case s.is(over):
		return s.err
	case s.w.draining && s.flags&(accepted|halfway) == accepted && s.quiet():
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

// quiet reports whether nothing that the peer sent is unread, nor anything waits for the peer, which would keep that
// from sending; and whether nothing came since Shutdown looked last, for then more is on its way.
func (s *stream) quiet() bool { return !s.is(moved) && s.lc.Quiet() }

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
		if front := s.readers.front(); front != nil {
			err = front.Park(t, "read", s)
		} else {
			err = s.readers.queue(t, "read", s)
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
	if !s.readers.empty() && (len(s.peek()) > 0 || s.is(gotEOF)) {
		s.readers.wake()
	}
}
