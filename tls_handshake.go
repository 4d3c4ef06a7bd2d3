package plexor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/layer"
	"github.com/plexor-go/plexor/internal/tlsrecord"
	"github.com/plexor-go/plexor/loop"
)

var (
	// ErrHandshaking is the use of a Conn while another coroutine makes a TLS handshake on it.
	ErrHandshaking = errors.New("plexor: a TLS handshake is under way on this connection: wait for StartTLS to return")
	// ErrPlaintext is StartTLS that finds bytes which came in plain text and belong to no handshake. Somebody on the way
	// may have put them there, to have them taken for what the peer said in safety (CVE-2011-0411).
	ErrPlaintext = errors.New("plexor: bytes in plain text came between the upgrade and the TLS handshake")
	// ErrBusy is a handshake that Limits.Handshakes or Limits.UnfinishedHandshakes left no room for, or that had to make
	// room for another. The connection was reset.
	ErrBusy = errors.New("plexor: too many TLS handshakes at once (Limits.Handshakes, Limits.UnfinishedHandshakes)")
)

// A HandshakeError is why a TLS handshake failed. The connection is of no use then.
// Unwrap gives what package crypto/tls said, or the error of the connection; for a
// handshake that took too long it is os.ErrDeadlineExceeded to errors.Is.
type HandshakeError struct {
	Reason string // what is wrong, in words, and on which side; empty if Err says it all
	Err    error
}

func (e *HandshakeError) Error() string {
	if e.Reason == "" {
		return "plexor: TLS handshake: " + layer.Plain(e.Err.Error())
	}
	return "plexor: TLS handshake: " + e.Reason + ": " + layer.Plain(e.Err.Error())
}

// Unwrap is what went wrong underneath.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Timeout is of net.Error.
func (e *HandshakeError) Timeout() bool { return errors.Is(e.Err, os.ErrDeadlineExceeded) }

// Temporary is of net.Error.
func (e *HandshakeError) Temporary() bool { return false }

// StartTLS goes on in TLS on a connection that has spoken plain text so far, as STARTTLS of SMTP (RFC 3207) and its
// kin do: as the server on a connection that was accepted, as the client on one that was dialled. It makes the
// handshake, within Limits.HandshakeTimeout and the Conn's deadlines, and from then on all goes by TLS. On an error
// nothing goes any more, in plain text neither: return from the handler.
//
// The server answers the command first and then calls StartTLS, the client calls it when it has read that answer. What
// the peer sent behind that is read as part of the handshake, and if it is none, StartTLS fails with ErrPlaintext. What
// the program itself has read ahead, in a bufio.Reader, it must look at itself: refuse to upgrade if there is
// something in it, and throw it away in any case.
//
// No other coroutine may be in a Read or Write, and none may begin one, until it returns. cfg must not change any more.
// A client needs cfg.ServerName. Renegotiation is refused: it would have to read and write at once.
func (c *Conn) StartTLS(cfg *tls.Config) error {
	t, err := c.enter("starttls", 0)
	if err != nil {
		return err
	}
	return c.startTLS(t.Context(), cfg)
}

// startTLS is StartTLS with a context that bounds it.
func (c *Conn) startTLS(ctx context.Context, cfg *tls.Config) (err error) {
	s := &c.raw
	client := !s.is(accepted)
	if client && cfg != nil && cfg.RootCAs == nil && !cfg.InsecureSkipVerify {
		err = c.raw.w.loadRoots(ctx)
	}
	switch {
	case err != nil:
	case c.is(messaging):
		err = errors.New("plexor: StartTLS in a handler of Messages: " +
			"upgrade in a HandlerFunc, and let it call the ServeConn of Messages")
	case cfg == nil:
		err = errors.New("plexor: StartTLS without a tls.Config")
	case c.tls != nil:
		err = errors.New("plexor: StartTLS on a connection that speaks TLS")
	case s.is(closed):
		err = net.ErrClosed
	case !s.readers.empty() || s.waits != nil && s.waits.writing && (s.box() == nil || s.box().midway()):
		err = errors.New("plexor: StartTLS while another coroutine reads or writes, " +
			"or the Outbox is in the midst of an entry")
	}
	if err != nil {
		return s.wrap("starttls", err)
	}
	if client && cfg.Renegotiation != tls.RenegotiateNever {
		return s.wrap("starttls", errors.New("plexor: Renegotiation of a tls.Config is not supported"))
	}
	if b := s.box(); b != nil {
		b.letGo(c)
	}
	x := c.secure(cfg, client)
	if p := s.peek(); len(p) > 0 && (client || !tlsrecord.BeginsHandshake(p)) {
		x.state, x.err = failedTLS, &HandshakeError{fmt.Sprintf("%d bytes were there before it began", len(p)), ErrPlaintext}
	} else {
		_ = x.shake(ctx, s.w.handshakeTimeout(), client) // which is x.err
	}
	s.flushBox() // it has waited
	if x.err != nil {
		return &net.OpError{Op: "starttls", Net: s.network(), Addr: s.remoteAddr(), Err: layer.Strip(x.err)}
	}
	return nil
}

// secure puts TLS over the stream; shake comes next.
func (c *Conn) secure(cfg *tls.Config, client bool) *secured {
	x := &secured{c: c}
	x.under.Conn = (*streamTransport)(x)
	if client {
		x.tc = tls.Client(&x.under, cfg)
	} else {
		x.tc = tls.Server(&x.under, cfg)
	}
	c.tls = x
	return x
}

// shake makes the handshake on the task that calls it.
func (x *secured) shake(ctx context.Context, limit time.Duration, client bool) error {
	w := x.c.raw.w
	served := w.srv != nil && !client
	late := served // until the handshake has begun it is not the peer's fault
	err := coro.Timeout(ctx, limit, func(ctx context.Context) (err error) {
		if served {
			if x.handshake, err = w.beginHandshake(ctx, x.c); err != nil {
				return err
			}
			defer func() {
				late = x.handshake.late
				x.handshake.end()
				x.handshake = nil
			}()
		}
		// Without cancellation, for which a tls.Conn would start a goroutine: our waits end by themselves.
		return x.tc.HandshakeContext(context.WithValue(context.WithoutCancel(ctx), onCoroutine{}, x.c.raw.w))
	})
	if err == nil {
		x.state = open
		if served {
			w.srv.stats.handshakes.Add(1)
		}
		return nil
	}
	if late && errors.Is(err, context.DeadlineExceeded) {
		err = ErrBusy
	}
	x.state, x.err = failedTLS, explain(err, client)
	if served {
		w.srv.stats.countHandshake(err)
	}
	return x.err
}

func (w *worker) handshakeTimeout() time.Duration {
	if w.srv == nil {
		return defaultHandshakeTimeout
	}
	return w.srv.limits.HandshakeTimeout
}

// awaitHello begins a connection's time for the handshake, when it is opened. Until its first byte it has no coroutine.
func (c *Conn) awaitHello() {
	s := &c.raw
	s.getWaits().readBy = s.w.loop.Now().Add(s.w.handshakeTimeout())
	_ = s.lc.SetReadDeadline(s.waits.readBy) // what is over has its end coming
}

// noHello ends a connection whose time for the handshake has passed before its first byte.
func (c *Conn) noHello() {
	s := &c.raw
	s.waits.readBy = time.Time{}
	s.dropWaits()
	s.w.srv.stats.handshakeTimeouts.Add(1)
	s.w.log.Debug("no TLS handshake came in time", "peer", s.String())
	s.lc.CloseWithError(os.ErrDeadlineExceeded)
}

// serveTLS makes the handshake before the handler runs, and reports whether that may.
func (c *Conn) serveTLS() bool {
	s := &c.raw
	limit := s.w.handshakeTimeout()
	if x := s.waits; x != nil {
		limit = x.readBy.Sub(s.w.loop.Now())
		x.readBy = time.Time{}
		_ = s.lc.SetReadDeadline(time.Time{}) // likewise
		s.dropWaits()
	}
	c.ep.ticketKeys()
	x := c.secure(c.ep.tls, false)
	err := x.shake(c.base, limit, false)
	if err == nil {
		return true
	}
	switch {
	case errors.Is(err, ErrBusy), errors.Is(err, os.ErrDeadlineExceeded):
		s.w.log.Debug("TLS handshake refused: the connection is reset", "peer", s.String(), "err", err)
		s.abort(err)
	case gone(err):
		s.w.log.Debug("TLS handshake broken off", "peer", s.String(), "err", err)
	default:
		s.w.log.Warn("TLS handshake failed: the connection is closed", "peer", s.String(), "err", err)
		if tlsrecord.IsHTTP(err) {
			_, _ = s.lc.Write([]byte(tlsrecord.HTTPRefusal)) // best effort
		}
	}
	return false
}

// gone reports whether a handshake failed because the peer went away, or the server did: nobody is to blame.
func gone(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, loop.ErrAborted) ||
		isReset(err)
}

// countHandshake counts one that failed, by reason.
func (k *counters) countHandshake(err error) {
	switch {
	case errors.Is(err, errEvicted):
		k.evictedHandshakes.Add(1)
	case errors.Is(err, ErrBusy):
		k.refusedHandshakes.Add(1)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		k.handshakeTimeouts.Add(1)
	default:
		k.handshakeErrors.Add(1)
	}
}

// explain puts into words what went wrong.
func explain(err error, client bool) *HandshakeError {
	peer := "the client"
	if client {
		peer = "the server"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = os.ErrDeadlineExceeded
	}
	reason := ""
	header, isHeader := errors.AsType[tls.RecordHeaderError](err)
	alert, isAlert := tlsrecord.RemoteAlert(err)
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, ErrBusy):
		reason = "it was refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = "it took too long"
	case errors.Is(err, io.ErrUnexpectedEOF):
		reason = peer + " hung up"
	case isHeader && tlsrecord.IsHTTP(err):
		reason = peer + " speaks plain HTTP on a TLS port"
	case isHeader:
		reason = fmt.Sprintf("%s does not speak TLS (its first bytes are %q)", peer, header.RecordHeader[:])
	case unverified:
		reason = "the certificate of " + peer + " was refused"
	case isAlert && tlsrecord.Distrust(alert):
		reason = peer + " does not trust the certificate it got"
	case isAlert && alert == tlsrecord.CertificateRequired:
		reason = peer + " wants a certificate"
	case isAlert:
		reason = peer + " refused it"
	}
	return &HandshakeError{reason, err}
}
