package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// A secure carries a stream over TLS. Package crypto/tls wants to be called and to wait, so there are two coroutines a
// connection, one that dials and then reads, and one that writes.
type secure struct {
	st     *stream
	task   *coro.Task
	conn   *plexor.Conn
	out    []byte // to be written
	spare  []byte
	more   coro.Event // there is something in out, or closed is set
	closed bool
}

// pieceSize is how much is read at once: what a TLS record holds (RFC 8446 section 5.1).
const pieceSize = 16 << 10

func openSecure(s *session) {
	st := newStream(s)
	x := &secure{st: st}
	s.link, st.out = st, x
	sched := coro.On(s.w.loop)
	// Later in the turn, for the session is not done with its call.
	x.task = sched.Go(sched.Context(), "load", x.run)
}

func (x *secure) run(ctx context.Context) error {
	w := x.st.w
	d := plexor.Dialer{TLS: &tls.Config{ServerName: w.serverName, InsecureSkipVerify: w.opt.Insecure}}
	err := coro.Timeout(ctx, w.opt.Timeout, func(ctx context.Context) (err error) {
		x.conn, err = d.Dial(ctx, "tls"+strings.TrimPrefix(w.target.addr.String(), "tcp"))
		return err
	})
	if err != nil {
		var dial *plexor.DialError
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			err = errTimeout
		case errors.As(err, &dial) && len(dial.Errs) == 1:
			err = dial.Errs[0] // the address is known
		}
		x.st.ended(err)
		return nil
	}
	return coro.Group(ctx, func(g *coro.Tasks) error {
		g.Go(x.writeAll)
		x.st.opened()
		x.readAll()
		x.close() // which ends writeAll
		return nil
	})
}

// readAll reads until the end. The connection's error is the stream's to report.
func (x *secure) readAll() {
	buf := make([]byte, pieceSize)
	for {
		n, err := x.conn.Read(buf)
		if n > 0 {
			x.st.received(buf[:n])
		}
		if err == io.EOF {
			err = errClosed
		}
		if err != nil || x.st.s == nil {
			x.st.ended(err)
			return
		}
	}
}

// writeAll writes what there is, until close.
func (x *secure) writeAll(ctx context.Context) error {
	for {
		if err := x.more.Wait(ctx); err != nil {
			_ = x.conn.Abort() // it was aborted
			return nil
		}
		x.more.Reset()
		if len(x.out) > 0 {
			out := x.out
			x.out, x.spare = x.spare[:0], nil
			if _, err := x.conn.Write(out); err != nil {
				break // the reader hears of it as well
			}
			x.spare = out[:0]
		}
		if x.closed {
			break
		}
	}
	_ = x.conn.Close() // the result does not depend on how it goes
	return nil
}

func (x *secure) write(p []byte) error {
	x.out = append(x.out, p...)
	x.more.Set()
	return nil
}

func (x *secure) close() {
	if x.conn == nil {
		x.task.Cancel(errClosed) // it is not connected yet
		return
	}
	x.closed = true
	x.more.Set()
}

func (x *secure) abort(err error) { x.task.Cancel(err) }
