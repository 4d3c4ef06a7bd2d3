package plexor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/plexor-go/plexor/sock"
)

// A peer that dies while goroutines have the descriptor: who waits in Read finds it, but they may all be at work
// elsewhere. So the loop is told (loop.Borrower), and examines the connection: it takes in what had arrived before, as
// it would have where it reads itself, and ends it behind that. So a Context ends, the connection counts no more, and
// the first Write fails, whether or not anybody has read.

// errDrained says that the loop has read, and what it has read comes first.
var errDrained = errors.New("plexor: the loop has read")

// end notes that the peer's end was read. Where something was wrong before, that is now to be told.
func (d *direct) end() {
	d.eof.Store(true)
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil || s.unread {
		s.suspect = true
		s.kick()
	}
}

// suspected has the loop examine it, which a Read had kept it from.
func (d *direct) suspected() {
	if d.doubt.Swap(false) {
		d.s.mu.Lock()
		defer d.s.mu.Unlock()
		d.s.suspect = true
		d.s.kick()
	}
}

// examine is for the loop, when the connection may be broken. A Read that is under way finds that by itself, or else
// has it examined at its end.
func (d *direct) examine() {
	if !d.in.mu.TryLock() {
		d.doubt.Store(true)
		if !d.in.mu.TryLock() {
			return
		}
		d.doubt.Store(false)
	}
	err := d.drain()
	d.in.mu.Unlock()
	if err != nil {
		d.s.c.raw.lc.CloseWithError(err)
	}
}

// drain takes in what has arrived, as far as there is room, and returns why the connection is over, or nil if it is not
// or has ended already. The caller holds in.mu.
func (d *direct) drain() error {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.over {
		return nil
	}
	var why error
	s.unread = false
	if err := d.control(func(k sock.Socket) error {
		why = d.receive(k)
		return nil
	}); err != nil {
		return nil // it was revoked
	}
	if why != nil {
		s.over, s.err = true, why
		s.readable.Broadcast()
		s.writable.Broadcast()
	}
	if s.from < len(s.in) || why != nil {
		s.reader.Store(nil)
	}
	return why
}

// receive is drain's, by the descriptor. The caller holds the shared's lock too.
func (d *direct) receive(k sock.Socket) error {
	s := d.s
	if s.from == len(s.in) { // the deadline was the descriptor's
		s.read.stop()
		s.read.passed = false
	}
	var piece [4 << 10]byte
	for {
		if len(s.in)-s.from >= sharedLimit {
			s.unread = true // what comes behind it is found by who reads
			return nil
		}
		n, err := k.Recv(piece[:])
		s.in = append(s.in, piece[:n]...)
		switch {
		case err == nil:
		case err == sock.ErrWouldBlock:
			return nil
		case err == io.EOF:
			s.eof = true
			d.eof.Store(true)
			return d.gone(k)
		default:
			return os.NewSyscallError("recv", err)
		}
	}
}

// gone is why a connection is over whose peer's end was read, or nil. The system's error of a reset is EPIPE there; a
// hang-up without one, as of a unix socket that was closed, is the same. Where our half is closed too, it is no news.
func (d *direct) gone(k sock.Socket) error {
	err := errors.Unwrap(k.ConnectError())
	if errors.Is(err, syscall.EINPROGRESS) { // what it says of a socket that is not connected any more
		err = nil
	}
	if up, _ := k.HungUp(); err == nil && up && !d.s.ended {
		err = syscall.EPIPE
	}
	switch {
	case err != nil:
		return fmt.Errorf("plexor: the peer is gone: %w", err)
	case d.s.broken != nil:
		return d.s.broken
	}
	return nil
}
