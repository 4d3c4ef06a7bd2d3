// Package ftpd is FTP on the engine: a handler that serves package ftp's sessions on the connections of a
// plexor.Server. A session that waits for its next command is a turn that rests: it holds neither stack nor buffer,
// whether or not somebody has logged in.
//
// What may block (the file system, Users, a transfer with its data connection) runs on goroutines, while the session's
// coroutine waits for them: see conn. Data connections are package net's, so that downloads leave by sendfile.
package ftpd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/ftp"
)

// Handler serves s on the connections of a [plexor.Server]. Of one whose sessions begin with TLS (Server.Implicit) the
// address is tcp://, not tls://, for it is the session that makes the handshake, so that data connections can be bound
// to it.
func Handler(s *ftp.Server) plexor.Handler {
	h := &handler{srv: s, log: s.Log}
	if h.log == nil {
		h.log = slog.Default()
	}
	return plexor.Sessions[*conn]{Open: h.open, Turn: h.turn, Leave: h.leave, Closed: h.closed}
}

type handler struct {
	srv *ftp.Server
	log *slog.Logger
}

func (h *handler) open(c *plexor.Conn) (*conn, error) {
	k := &conn{c: c}
	if err := k.session.Init(context.Background(), h.srv, k); err != nil {
		return nil, err
	}
	if err := k.session.Open(); err != nil {
		k.session.Closed()
		return nil, err
	}
	return k, nil
}

func (h *handler) turn(c *plexor.Conn, k *conn) error {
	k.stopTimer()
	k.inTurn = true
	err := k.session.Turn()
	k.inTurn = false
	if err == nil && k.leaves {
		err = k.session.Leave()
	}
	if err != nil && err != io.EOF {
		h.log.Debug("a session of FTP ended", "peer", c.String(), "err", err)
		return io.EOF
	}
	return err
}

// leave has a session say farewell when the server shuts down: now, or behind the transfer that goes on.
func (h *handler) leave(c *plexor.Conn, k *conn) bool {
	if k.leaves {
		return true
	}
	if k.leaves = true; !k.inTurn {
		coro.On(c.Loop()).Go(context.Background(), "ftp: farewell", func(context.Context) error {
			if k.inTurn || k.over {
				return nil
			}
			_ = k.session.Leave() // a client that is gone needs no reply
			return c.Close()
		})
	}
	return true
}

func (h *handler) closed(k *conn, _ error) {
	k.stopTimer()
	k.over = true
	if k.finished == nil {
		k.session.Closed()
		return
	}
	go func() { // a command goes on, and has the session
		<-k.finished
		k.session.Closed()
	}()
}

// A conn is a connection as package ftp sees it: a [net.Conn] that the connection's coroutine uses, and of which
// goroutines may ask for the addresses, and set the read deadline.
//
//	coroutine: Turn ──▶ a command ──▶ Block: waits ──────────▶ the reply
//	goroutine:                          └──▶ the file system ──┘
//	coroutine: Turn ──▶ a transfer ──▶ reads on ─────────────▶ woken, the reply
//	goroutine:              └──▶ the data connection ──────────┘ SetReadDeadline
type conn struct {
	c       *plexor.Conn
	session ftp.Session

	done     coro.Waiter   // the coroutine waits here for f of Block
	finished chan struct{} // closed when f has returned; nil: none runs
	timer    *loop.Timer   // ends a session that rests for too long; nil: none is set
	inTurn   bool
	leaves   bool // the server shuts down
	over     bool
}

var (
	_ ftp.Blocker = (*conn)(nil)
	_ ftp.Rester  = (*conn)(nil)
)

// Block is of [ftp.Blocker].
func (k *conn) Block(f func()) bool {
	l := k.c.Loop()
	t, over := coro.On(l).Self("a command of FTP")
	finished, ended := make(chan struct{}), false
	k.finished = finished
	go func() {
		defer func() {
			close(finished)
			_ = post(l, func() { // it fails when the loop has ended, and its coroutines with it
				ended = true
				k.done.Wake()
			})
		}()
		f()
	}()
	if over != nil { // the loop has ended in the midst of the turn, and its coroutines with it
		return false
	}
	for !ended {
		if err := k.done.Park(t, "a command of FTP", k.c); err != nil && !ended {
			return false // the loop ends
		}
	}
	k.finished = nil
	return true
}

// Read is of net.Conn, as those behind it.
func (k *conn) Read(p []byte) (int, error)  { return k.c.Read(p) }
func (k *conn) Write(p []byte) (int, error) { return k.c.Write(p) }
func (k *conn) Close() error                { return k.c.Close() }
func (k *conn) RemoteAddr() net.Addr        { return k.c.RemoteAddr() }

func (k *conn) LocalAddr() (a net.Addr) {
	across(k.c, func() { a = k.c.LocalAddr() })
	return a
}

func (k *conn) SetDeadline(t time.Time) error {
	return errors.Join(k.SetReadDeadline(t), k.SetWriteDeadline(t))
}

// SetReadDeadline wakes a Read that waits.
func (k *conn) SetReadDeadline(t time.Time) (err error) {
	err = net.ErrClosed
	across(k.c, func() {
		if !k.over {
			err = k.c.SetReadDeadline(t)
		}
	})
	return err
}

func (k *conn) SetWriteDeadline(t time.Time) error { return k.c.SetWriteDeadline(t) }

// StartTLS is that of the plexor.Conn.
func (k *conn) StartTLS(cfg *tls.Config) error { return k.c.StartTLS(cfg) }

func (k *conn) ConnectionState() tls.ConnectionState { return k.c.ConnectionState() }

// Rest is of [ftp.Rester]. It is a timer and no read deadline, which would close the connection without a word.
func (k *conn) Rest(by time.Time) {
	k.stopTimer()
	k.timer = k.c.Loop().AfterFunc(max(time.Until(by), 0), k.expire)
}

// expire ends the session, unless something has come meanwhile.
func (k *conn) expire() {
	k.timer = nil
	coro.On(k.c.Loop()).Go(context.Background(), "ftp: too late", func(context.Context) error {
		if k.inTurn || k.over || k.timer != nil {
			return nil
		}
		_ = k.session.Expire() // a client that is gone needs no reply
		return k.c.Close()
	})
}

func (k *conn) stopTimer() {
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}
