// Package smtpd serves SMTP and LMTP on the engine: a [smtp.Server] on the connections of a [plexor.Server], of which
// one that waits for its next command holds neither a stack nor a buffer.
package smtpd

import (
	"context"
	"io"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/smtp"
)

// Handler serves s on the connections of a plexor.Server. The Backend's methods run on coroutines of the connection's
// loop: they must not block it (coro.Await), and their context is the connection's. With s.Block set to [Await] they
// run on goroutines, and may wait for disks, databases and other servers, as those of package queue do:
//
//	&smtp.Server{Backend: q.Backend(mayRelay), Block: smtpd.Await}
//
//	srv := &plexor.Server{Handler: smtpd.Handler(&smtp.Server{Backend: backend, Name: "mx.example.org"})}
//	addr, err := srv.Open("tcp://127.0.0.1:2525", nil)
//
// At an address of the form tls:// connections begin with TLS. With s.TLS there is STARTTLS, too.
//
// A client that is silent for s.Limits.CommandTime is cut. To have it told so first (421), set s.IdleTold, and
// Limits.ReadIdle of the plexor.Server to that time. The greeting counts for Limits.FirstByte, as the client's first
// byte comes behind it. Shutdown tells clients that wait (421), and has messages that are under way taken.
func Handler(s *smtp.Server) plexor.Handler {
	h := &handler{smtp: s}
	h.Sessions = plexor.Sessions[*smtp.ServerConn]{Open: h.open, Turn: h.turn, Leave: h.leave, Closed: h.closed}
	if s.IdleTold {
		h.Sessions.Idle = h.idle
	}
	return h
}

// Await is smtp.Server.Block: f runs on a goroutine while the loop goes on with other connections. As many do at once
// as the loop's coro.Options.Blocking says; a client that sends slowly holds none of these places.
func Await(ctx context.Context, f func()) bool {
	_, err := coro.Await(ctx, func() (struct{}, error) {
		f()
		return struct{}{}, nil
	})
	return err == nil
}

// A handler is what Handler returns.
type handler struct {
	plexor.Sessions[*smtp.ServerConn]
	smtp *smtp.Server
}

var _ plexor.Drainer = (*handler)(nil)

// Drain is of plexor.Drainer.
func (h *handler) Drain() { h.smtp.Drain() }

func (h *handler) open(c *plexor.Conn) (*smtp.ServerConn, error) {
	k := h.smtp.NewConn(c)
	if k.Open(c.Context()) != nil { // which Closed is told
		_ = c.Close()
	}
	return k, nil
}

func (h *handler) turn(c *plexor.Conn, k *smtp.ServerConn) error {
	if k.Turn(c.Context()) != nil { // likewise
		return io.EOF
	}
	return nil
}

func (h *handler) idle(_ *plexor.Conn, k *smtp.ServerConn, idle plexor.Idle) error {
	if !idle.Read {
		return nil
	}
	_ = k.Idle() // it is cut in any case
	return plexor.ErrIdle
}

// leave says farewell to a client that waits. The connection is this coroutine's to close from then on; what a turn
// does meanwhile ends by itself, for the server drains.
func (h *handler) leave(c *plexor.Conn, k *smtp.ServerConn) bool {
	b := k.Farewell()
	if b == nil {
		return k.Busy()
	}
	coro.On(c.Loop()).Start(context.Background(), "smtp farewell", func(context.Context) error {
		_ = c.SetWriteDeadline(time.Now().Add(farewellTime)) // if it fails, so does Write
		_, _ = c.Write(b)                                    // one that takes nothing hears nothing
		return c.Close()
	})
	return true
}

// farewellTime is how long a client may take for the farewell.
const farewellTime = time.Second

func (h *handler) closed(k *smtp.ServerConn, reason error) { k.Closed(reason) }
