package plexor

import (
	"errors"
	"io"
	"math"
	"os"
	"sync"
	"syscall"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// How a file leaves. A loop must not wait for a disk, and no system call promises that it will not:
//
//	is the piece in the system's memory (sock.ReadCached)?
//	   yes, much is left, plain text ──▶ sendfile(2), filePiece bytes at a time     no copy
//	   yes                           ──▶ read on the loop, and write                what is short leaves with its head
//	   no, or it can't be known      ──▶ read on a goroutine, and write             the disk is waited for there
//
// That a piece is in memory is asked of its first and its last byte, since files are read ahead and dropped in order.
// What is wrong about that costs the loop one read of filePiece bytes.

const (
	// fileShort is up to how many bytes a file is read and written: below, a copy costs less than a system call more.
	fileShort = 32 << 10
	// filePiece bounds one sendfile, and so how long a loop waits if what it sends is not in memory after all.
	filePiece = 256 << 10
	// fileTurn is how much is sent to a peer that takes all before the loop's others have their turn.
	fileTurn = 1 << 20
	// fileRead is how much is read on a goroutine at once.
	fileRead = 128 << 10
)

// SendFile writes n bytes of a file, from off on, as one Write does: behind what was written before, with nothing of
// another coroutine's in between, waiting while the peer takes nothing, until the write deadline. It returns how many
// it wrote, which is n, or less and an error: io.ErrUnexpectedEOF to errors.Is if the file is shorter than that. Where
// it can (Linux, plain text), the bytes leave without a copy through the process, and then what the file holds when
// they leave is what the peer gets. What the system has to read from a disk is waited for on a goroutine; a loop has 64
// of these, and they are not those of [coro.Await], so that calls that are stuck there hold up no file. The file's own
// position is neither used nor moved; the file has to stay open until SendFile returns.
func (c *Conn) SendFile(f *os.File, off, n int64) (int64, error) {
	t, err := c.enter("write", 0)
	if err != nil {
		return 0, err
	}
	if f == nil || off < 0 || n < 0 || off > math.MaxInt64-n {
		return 0, c.raw.wrap("write", os.ErrInvalid)
	}
	s := &c.raw
	if c.tls != nil {
		err = c.tls.usable()
	}
	if err == nil {
		err = s.lockWrite(t)
	}
	if err != nil {
		return 0, s.wrap("write", err)
	}
	s.getWaits().writing = true
	x := fileSend{c: c, t: t, f: f, off: off, left: n}
	if x.raw, err = f.SyscallConn(); err == nil {
		err = x.run()
	}
	s.unlockWrite()
	s.dropWaits()
	if err != nil {
		err = s.wrap("write", err)
	}
	return n - x.left, err
}

// A fileSend is a SendFile under way.
type fileSend struct {
	c     *Conn
	t     *coro.Task
	f     *os.File
	raw   syscall.RawConn
	off   int64
	left  int64
	known int64 // the file is in memory up to here, as far as was asked
	turn  int   // bytes since the loop's others had their turn
	copy  bool  // this file can't be sent otherwise
}

func (x *fileSend) run() error {
	for x.left > 0 {
		var n int
		var err error
		if x.copy || x.left <= fileShort || x.c.tls != nil || !x.cached() {
			n, err = x.write()
		} else {
			n, err = x.send()
		}
		x.off += int64(n)
		x.left -= int64(n)
		if err != nil {
			return err
		}
		if x.turn += n; x.turn >= fileTurn && x.left > 0 {
			x.turn = 0
			if err := coro.Yield(x.t.Context()); err != nil {
				return err
			}
			if err := x.ours(); err != nil {
				return err
			}
		}
	}
	return nil
}

// ours is why the connection can't be written to any more, after a wait.
func (x *fileSend) ours() error {
	s := &x.c.raw
	switch {
	case s.is(closed | givenAway):
		return s.notOurs()
	case s.writeExpired():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// send sends what the socket takes of what is in memory.
func (x *fileSend) send() (n int, err error) {
	s := &x.c.raw
	if closed := x.raw.Control(func(fd uintptr) { n, err = s.lc.SendFile(fd, x.off, int(x.known-x.off)) }); closed != nil {
		return 0, closed
	}
	switch {
	case n > 0:
		s.wrote()
		return n, nil
	case err == nil:
		return 0, io.ErrUnexpectedEOF
	case err == loop.ErrFull:
		x.known, x.turn = 0, 0 // it may be long
		return 0, s.awaitRoom(x.t)
	case errors.Is(err, errors.ErrUnsupported):
		x.copy = true
		return 0, nil
	}
	return 0, s.failure(x.t, err)
}

// cached reports whether the next piece is in the system's memory.
func (x *fileSend) cached() bool {
	if x.off < x.known {
		return true
	}
	to := x.off + min(x.left, filePiece)
	var first, last [1]byte
	if n, err := x.readCached(first[:], x.off); n == 0 || err != nil {
		return false
	}
	if n, err := x.readCached(last[:], to-1); n == 0 || err != nil {
		return false
	}
	x.known = to
	return true
}

func (x *fileSend) readCached(p []byte, off int64) (n int, err error) {
	if closed := x.raw.Control(func(fd uintptr) { n, err = sock.ReadCached(fd, p, off) }); closed != nil {
		return 0, closed
	}
	return n, err
}

// write reads the next bytes, on a goroutine if the disk has to be waited for, and writes them.
func (x *fileSend) write() (int, error) {
	w := x.c.raw.w
	b := w.buffers.get(copyBuffer)
	defer w.buffers.put(b)
	n, err := x.readCached(b.b[:min(x.left, copyBuffer)], x.off)
	if err != nil {
		return x.writeSlow()
	}
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return x.put(b.b[:n])
}

// fileBuffers are those of the goroutines that read: a read that nobody waits for any more keeps its own.
var fileBuffers = sync.Pool{New: func() any { return new([fileRead]byte) }}

type filePart struct {
	buf *[fileRead]byte
	n   int
}

func (x *fileSend) writeSlow() (int, error) {
	f, off, n := x.f, x.off, min(x.left, fileRead)
	r, err := coro.AwaitIn(x.t.Context(), x.c.raw.w.files, func() (filePart, error) {
		b := fileBuffers.Get().(*[fileRead]byte)
		n, err := f.ReadAt(b[:n], off)
		if n > 0 {
			err = nil // what is behind it comes with the next
		}
		return filePart{b, n}, err
	})
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = x.ours()
	}
	if err != nil {
		return 0, err
	}
	m, err := x.put(r.buf[:r.n])
	fileBuffers.Put(r.buf)
	return m, err
}

// put writes p while nobody else does.
func (x *fileSend) put(p []byte) (int, error) {
	if x.c.tls != nil {
		return x.c.tls.writeLocked(x.t, p)
	}
	return x.c.raw.writeLocked(x.t, p)
}
