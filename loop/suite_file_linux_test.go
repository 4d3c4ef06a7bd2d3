package loop_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// TestSendFile: a file leaves behind what was written, and before what comes after it; while it waits for room Write
// refuses, the connection is not quiet, is not lent, and its write deadline expires; and Writable tells of room.
func TestSendFile(t *testing.T) {
	const size = 4 << 20
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(pattern(size)); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			clock := manual()
			r := run(t, loop.Options{Driver: driver, Clock: clock})
			off, expired := 0, 0
			done := make(chan struct{})
			next := func(c *loop.Conn) {
				for off < size {
					n, err := c.SendFile(f.Fd(), int64(off), size-off)
					if off += n; err == loop.ErrFull {
						return
					}
					if n == 0 || err != nil {
						t.Errorf("SendFile from %d on: %d, %v", off, n, err)
						return
					}
				}
				if n, err := c.SendFile(f.Fd(), size, 1); n != 0 || err != nil {
					t.Errorf("SendFile at the end: %d, %v", n, err)
				}
				write(t, c, []byte("tail"))
				close(done)
			}
			k := r.connect(network, sock.Options{}, &watcher{
				writable: next,
				expired: func(c *loop.Conn, _ *loop.DeadlineError) {
					expired++
					_ = c.SetWriteDeadline(clock.Now().Add(patience)) // it is open
				},
			})
			k.do(func() {
				if err := k.c.SetWriteDeadline(clock.Now().Add(patience)); err != nil {
					t.Errorf("SetWriteDeadline: %v", err)
				}
				write(t, k.c, []byte("head"))
				next(k.c)
				if off == size || k.c.Quiet() || k.c.Drain() {
					t.Errorf("%d bytes have gone to a peer that does not read, and it is quiet: %v", off, k.c.Quiet())
				}
				if _, err := k.c.Write([]byte("between")); err != loop.ErrFull {
					t.Errorf("Write while a file waits: %v", err)
				}
			})
			r.advance(2 * patience)
			k.do(func() {
				if expired != 1 {
					t.Errorf("the write deadline has expired %d times", expired)
				}
			})
			k.peer.expect([]byte("head"))
			k.peer.expect(pattern(size))
			k.peer.expect([]byte("tail"))
			recv(t, "the end of the file", done)
			k.do(func() { _ = k.c.Close() })
			k.peer.expectAll(nil)
			k.peer.Close()
			k.end(nil)
		})
	})
}

// TestSendFileToNobody: a peer's reset ends a file that waits, and a file that can't be sent says so.
func TestSendFileToNobody(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(64 << 20); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		off := int64(0)
		var why error
		next := func(c *loop.Conn) {
			for n := 1; n > 0; off += int64(n) {
				n, why = c.SendFile(f.Fd(), off, 1<<20)
			}
		}
		k := r.connect("tcp", sock.Options{}, &watcher{writable: next})
		k.do(func() { next(k.c) })
		k.peer.reset()
		if err := recv(t, "Closed", k.closed); err == nil || err == io.EOF {
			t.Errorf("Closed got %v", err)
		}
		k.do(func() {
			if why == nil {
				t.Error("SendFile to a peer that is gone says nothing")
			}
			if _, err := k.c.SendFile(f.Fd(), 0, 1); err == nil {
				t.Error("SendFile on a connection that has ended says nothing")
			}
		})
	})
}
