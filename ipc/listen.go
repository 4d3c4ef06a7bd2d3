package ipc

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/plexor-go/plexor/sock"
)

// A listener is a listening socket in Go's poller, and its file if it has one.
type listener struct {
	addr   sock.Addr
	nl     deadlineListener
	file   sock.File
	gate   gate
	closed atomic.Bool
}

// A deadlineListener is a *net.UnixListener or *net.TCPListener.
type deadlineListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// private are the permissions of a socket's file: those of the same user may connect.
const private = 0o600

func listen(a sock.Addr) (*listener, error) {
	var o sock.Options
	if a.Scheme == "unix" {
		o.Mode = private
	}
	s, err := sock.Listen(a, o)
	if err != nil {
		return nil, err
	}
	l := &listener{}
	if l.file, err = sock.FileOf(s); err != nil {
		_ = s.Close() // nobody has used it
		return nil, err
	}
	if l.addr, err = s.LocalAddr(); err == nil {
		f := os.NewFile(uintptr(s), a.String())
		var nl net.Listener
		if nl, err = net.FileListener(f); err == nil {
			l.nl = nl.(deadlineListener)
		}
		_ = f.Close() // nl has a duplicate
	} else {
		_ = s.Close() // the first error is the one to tell
	}
	if err != nil {
		_ = l.file.Remove() // likewise
		return nil, err
	}
	return l, nil
}

// accept waits for a connection. When this process runs out of descriptors it steps back, and tries again.
func (l *listener) accept(ctx context.Context) (nc net.Conn, err error) {
	const op = "accept"
	if err := l.gate.enter(ctx, op); err != nil {
		return nil, err
	}
	defer l.gate.leave()
	err = await(ctx, op, func(ctx context.Context) error {
		return interruptible(ctx, l.nl.SetDeadline, func() (err error) {
			for {
				nc, err = l.nl.Accept()
				switch {
				case err == nil:
					return nil
				case sock.Exhausted(err):
					if !pauseFor(ctx, acceptRetry) {
						return context.Cause(ctx)
					}
				case !sock.Aborted(err):
					return err
				}
			}
		})
	})
	return nc, err
}

// acceptRetry is how long accept waits for a descriptor to come free.
const acceptRetry = 10 * time.Millisecond

func (l *listener) close() error {
	if l.closed.Swap(true) {
		return net.ErrClosed
	}
	return errors.Join(l.file.Remove(), l.nl.Close())
}
