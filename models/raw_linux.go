package models

import (
	"context"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/sock"
)

// A rawServer is a listener and its connections as plain descriptors in blocking mode: a call on one of them keeps its
// thread in the kernel until there is something. Three models are made of it; they differ in who calls accept and
// serve.
//
// The trap is the end. A thread that waits in accept(2) or read(2) hears of no context, and closing the descriptor
// under it does not wake it, and may hand its number to somebody else. shutdown(2) does wake it, on Linux the listener
// too: accept then fails with EINVAL, and read finds the end of the stream. That others do not do so is why this file
// is for Linux alone.
//
// The calls are those of golang.org/x/sys, which tell Go's scheduler that this thread may be away for long: another
// thread then gets the right to run Go code, once the scheduler's monitor has noticed (20 µs to 10 ms).
type rawServer struct {
	ln    int
	mu    sync.Mutex
	conns map[int]struct{}
	ended bool
	stop  func() bool
}

// newRawServer takes ln over, and ends it with ctx.
func newRawServer(ctx context.Context, ln sock.Socket) (*rawServer, error) {
	if err := unix.SetNonblock(ln.FD(), false); err != nil {
		_ = ln.Close() // it was not used
		return nil, &sock.Error{Op: "make the listener blocking", Call: "fcntl", Err: err}
	}
	r := &rawServer{ln: ln.FD(), conns: make(map[int]struct{})}
	r.stop = context.AfterFunc(ctx, r.end)
	return r, nil
}

// listenRaw listens.
func listenRaw(ctx context.Context, a sock.Addr) (*rawServer, sock.Addr, error) {
	ln, err := sock.Listen(a, sock.Options{})
	if err != nil {
		return nil, a, err
	}
	got, err := ln.LocalAddr()
	if err != nil {
		_ = ln.Close() // it was not used
		return nil, a, err
	}
	r, err := newRawServer(ctx, ln)
	return r, got, err
}

// end wakes all that wait.
func (r *rawServer) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	_ = unix.Shutdown(r.ln, unix.SHUT_RDWR) // it fails if another process did the same
	for fd := range r.conns {
		_ = unix.Shutdown(fd, unix.SHUT_RDWR) // it fails if the peer has gone
	}
}

// close gives the listener back. Nobody may be in accept.
func (r *rawServer) close() {
	r.stop()
	r.mu.Lock() // end may be at work
	defer r.mu.Unlock()
	_ = unix.Close(r.ln)
	r.ln = -1
}

// outOfFiles is how long accept waits when there is no descriptor left.
const outOfFiles = 10 * time.Millisecond

// accept waits for a connection. After the end it returns io.EOF.
func (r *rawServer) accept() (fd int, err error) {
	for {
		fd, _, err := unix.Accept4(r.ln, unix.SOCK_CLOEXEC)
		r.mu.Lock()
		ended := r.ended
		if err == nil && !ended {
			r.conns[fd] = struct{}{}
		}
		r.mu.Unlock()
		switch {
		case ended:
			if err == nil {
				_ = unix.Close(fd) // it came too late
			}
			return -1, io.EOF
		case err == nil:
			return fd, nil
		case sock.Exhausted(err):
			time.Sleep(outOfFiles) // the connection waits in the backlog meanwhile
		case err != unix.EINTR && !sock.Aborted(err):
			return -1, &sock.Error{Op: "accept a connection", Call: "accept4", Err: err}
		}
	}
}

// serve answers one connection until its end, whatever that is, and closes it.
func (r *rawServer) serve(fd int, s Service) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, fd)
		_ = unix.Close(fd) // the peer's end of the connection is its own affair
	}()
	for buf := newBuffer(); ; {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 || writeAll(fd, s.Reply(buf[:n])) != nil {
			return
		}
	}
}

// writeAll writes, and waits while the peer's buffers are full.
func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err != nil && err != unix.EINTR {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}
