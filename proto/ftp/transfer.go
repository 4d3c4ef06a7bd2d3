package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// A transfer is a data connection and what goes over it. It has a goroutine of its own; the session's reads on
// meanwhile, and is woken by a read deadline that has passed.
//
//	session:   150 ──▶ reads: ABOR, STAT ──────────▶ the deadline ──▶ 226, 426, …
//	goroutine:   └──▶ connect ──▶ move ──▶ close ──▶ over ──┘
type transfer struct {
	srv     *Server
	name    string // of the command
	path    string
	text    string // of the reply 150
	setup   *dataSetup
	user    *User
	bind    *binding
	private bool
	local   netip.AddrPort // of the control connection
	peer    netip.AddrPort

	// move moves the bytes. stop is called when all is over, with or without a data connection; its error counts.
	move func(t *transfer, nc net.Conn) error
	stop func() error

	began  time.Time
	moved  atomic.Int64
	ctx    context.Context
	cancel context.CancelCauseFunc
	over   atomic.Bool
	done   chan struct{} // closed behind over, and behind the deadline
	err    error         // when done
}

// begin makes a transfer of the command that is done, with the data connection that was set up before.
func (c *Session) begin(name, path string, move func(*transfer, net.Conn) error, stop func() error) *transfer {
	t := &transfer{srv: c.srv, name: name, path: path, setup: c.data, user: c.user, bind: c.bind,
		private: c.flags&private != 0, local: addrPort(c.nc.LocalAddr()), peer: addrPort(c.nc.RemoteAddr()),
		move: move, stop: stop, done: make(chan struct{})}
	c.data = nil // it is the transfer's now
	how := "BINARY"
	if c.flags&asciiType != 0 {
		how = "ASCII"
	}
	t.text = "Opening " + how + " mode data connection for " + path + "."
	return t
}

// noData is the answer to a transfer for which nothing is set up; nil: something is.
func (c *Session) noData() *answer {
	switch {
	case c.data == nil:
		a := say(425, "EPSV, PASV, EPRT or PORT comes before it.")
		return &a
	case c.srv.RequireTLS && c.flags&private == 0:
		c.dropData()
		a := say(521, "Data connections have to be private: PBSZ 0, PROT P.")
		return &a
	}
	return nil
}

// transfer has t done, and reads commands meanwhile.
func (c *Session) transfer(t *transfer) error {
	t.ctx, t.cancel = context.WithCancelCause(c.ctx)
	defer t.cancel(nil)
	if err := c.reply(150, t.text); err != nil {
		t.cancel(err)
		t.run(nil)
		return err
	}
	c.untime()
	nc := c.nc
	go t.run(nc)
	gone := c.attend(t)
	if errors.Is(gone, errAbandoned) {
		return gone
	}
	c.untime()
	code, text := c.outcome(t)
	c.done(Record{User: t.user.Name, Command: t.name, Path: t.path, Bytes: t.moved.Load(),
		Time: time.Since(t.began), Code: code, Err: t.err})
	if gone != nil {
		return gone
	}
	return c.reply(code, text)
}

// attend reads commands until t is over. The error is why the control connection is.
func (c *Session) attend(t *transfer) (gone error) {
	for !t.over.Load() {
		room := c.in.room()
		if len(room) == 0 {
			break // what waits is what this session may have
		}
		n, err := c.read(room)
		if n > 0 {
			err = c.meanwhile(t)
		} else if err == nil {
			err = io.ErrNoProgress
		}
		if err != nil && !(errors.Is(err, os.ErrDeadlineExceeded) && t.over.Load()) {
			t.cancel(err) // RFC 959, section 2.3: a control connection that is lost aborts
			gone = err
			break
		}
	}
	if !c.block(func() { <-t.done }) {
		t.cancel(errAbandoned)
		return errAbandoned
	}
	return gone
}

// meanwhile does what is done at once: STAT, if it is the next command, and ABOR, wherever it stands. ABOR itself is
// left where it is, and gets its reply in its turn, behind that of the transfer.
func (c *Session) meanwhile(t *transfer) error {
	for at := 0; ; {
		l, n, err := ScanLine(c.in.unread()[at:], c.srv.limits.Line)
		if err == nil && n == 0 && c.cutSynch() {
			l, n, err = ScanLine(c.in.unread()[at:], c.srv.limits.Line)
		}
		if err != nil || n == 0 {
			return nil // what is wrong is found in its turn
		}
		cmd, _ := ParseCommand(l.Text)
		switch {
		case cmd.Name == "ABOR" && !l.Bad:
			t.cancel(errAborted)
		case cmd.Name == "STAT" && cmd.Arg == "" && at == 0 && !l.Bad:
			c.in.r += n
			if err := c.reply(213, fmt.Sprintf("%s of %s: %d bytes so far.", t.name, t.path, t.moved.Load())); err != nil {
				return err
			}
			continue
		}
		at += n
	}
}

// run is the goroutine's. control is woken at its end.
func (t *transfer) run(control net.Conn) {
	t.began = time.Now()
	t.err = t.do()
	t.over.Store(true)
	if control != nil {
		_ = control.SetReadDeadline(time.Unix(1, 0)) // the session's Read returns; if it is over, so is that
	}
	close(t.done)
}

func (t *transfer) do() (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.srv.logger.Error("ftp: a transfer panicked", "command", t.name, "panic", v, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	stop := t.stop
	defer func() {
		if stop != nil {
			if e := stop(); err == nil {
				err = e
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.ctx, t.srv.limits.handshake())
	defer cancel()
	nc, err := t.connect(ctx)
	cancel()
	if err != nil {
		return err
	}
	end := context.AfterFunc(t.ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) }) // what waits returns
	err = t.move(t, nc)
	end()
	if t.ctx.Err() != nil {
		err = context.Cause(t.ctx)
	}
	if err != nil {
		reset(nc)
		return err
	}
	return nc.Close()
}

var errPanic = errors.New("ftp: a panic")

// reset ends a connection in a way that the client can't take for the end of the file.
func reset(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn() // without close_notify
	}
	if l, ok := nc.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = nc.Close() // it has failed already
}

// errTruncated is an upload over TLS without close_notify.
var errTruncated = errors.New("ftp: the data ended without close_notify")

// errTooLong is a file that is longer than the user may have.
var errTooLong = errors.New("ftp: the file is too long, or the quota is used up")

// errOffset is a REST behind the end.
var errOffset = errors.New("ftp: REST is behind the end of the file")

// outcome is the reply to a transfer that is over, which it counts.
func (c *Session) outcome(t *transfer) (int, string) {
	s, err := &c.srv.stats, t.err
	if err == nil {
		s.transfers.Add(1)
		return 226, "Transfer complete."
	}
	switch {
	case errors.Is(err, errUnbound):
		return 522, "A data connection has to resume the TLS session of the control connection."
	case errors.Is(err, errTruncated):
		s.truncated.Add(1)
		return 426, "The data ended without close_notify: what came is kept, for REST."
	case errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errNoData):
		s.stalled.Add(1)
		return 426, "The data connection was too slow."
	}
	s.failed.Add(1)
	switch {
	case errors.Is(err, errAborted):
		return 426, "Aborted."
	case errors.Is(err, errNoData):
		return 425, "There is no data connection."
	case errors.Is(err, errTooLong):
		return 552, "The file is too long, or the quota is used up."
	case noSpace(err):
		return 452, "There is no space left."
	case errors.Is(err, errPanic):
		return 451, "An error of this server."
	case isLocal(err):
		c.srv.logger.Warn("ftp: a transfer failed", "command", t.name, "err", err)
		return 451, "The file could not be read or written."
	}
	return 426, "The data connection broke."
}

// A localError is one of the file and not of the connection.
type localError struct{ error }

func (e localError) Unwrap() error { return e.error }

func isLocal(err error) bool {
	_, ok := errors.AsType[localError](err)
	return ok
}
