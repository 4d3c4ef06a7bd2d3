package smtp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

// mechanisms are those that are offered.
func (c *ServerConn) mechanisms() []string {
	a, ok := c.session.(Authenticator)
	if !ok {
		return nil
	}
	if _, secure := c.tlsState(); !secure && !c.srv.PlainAuth {
		return nil
	}
	return a.Mechanisms()
}

// beginAuth is AUTH (RFC 4954, section 4).
func (c *ServerConn) beginAuth(ctx context.Context, arg string) error {
	name, initial, has := strings.Cut(arg, " ")
	name = strings.ToUpper(name)
	switch {
	case !c.is(extended) || c.tx != nil || c.is(authenticated):
		return c.wrong(ErrSequence)
	case name == "":
		return c.wrong(ErrSyntax)
	case !slices.Contains(c.mechanisms(), name):
		if _, secure := c.tlsState(); !secure && c.srv.TLS != nil && !c.srv.PlainAuth {
			return c.wrong(&Error{538, Enhanced{5, 7, 11}, "issue STARTTLS first: AUTH is for connections with TLS"})
		}
		return c.wrong(ErrMechanism)
	}
	var response []byte
	if has {
		var err error
		if response, err = decodeBase64(initial); err != nil {
			return c.wrong(err)
		}
	}
	x, err := c.sessionAuth(ctx, name)
	if err != nil {
		return c.authFailed(err)
	}
	c.auth = x
	return c.authNext(ctx, response)
}

// authLine is a line of the client's within an authentication.
func (c *ServerConn) authLine(ctx context.Context, line []byte) error {
	if string(line) == "*" {
		c.auth = nil
		return c.authFailed(ErrCancelled)
	}
	response, err := decodeBase64(string(line))
	if err != nil {
		c.auth = nil
		return c.authFailed(err)
	}
	return c.authNext(ctx, response)
}

// authNext gives a response to the mechanism, and sends what it says.
func (c *ServerConn) authNext(ctx context.Context, response []byte) error {
	challenge, done, err := c.exchangeNext(ctx, response)
	switch {
	case err != nil:
		c.auth = nil
		return c.authFailed(err)
	case done:
		c.auth = nil
		c.flags |= authenticated
		c.reply(235, Enhanced{2, 7, 0}, "Welcome")
		return nil
	}
	c.in.out = append(c.in.out, "334 "...)
	c.in.out = base64.StdEncoding.AppendEncode(c.in.out, challenge)
	c.in.out = append(c.in.out, '\r', '\n')
	return nil
}

func (c *ServerConn) sessionAuth(ctx context.Context, name string) (Exchange, error) {
	a := c.session.(Authenticator)
	if c.srv.Block == nil {
		return a.Auth(ctx, name)
	}
	x := new(Exchange)
	if err := c.callError(ctx, func() (err error) { *x, err = a.Auth(ctx, name); return err }); err != nil {
		return nil, err
	}
	return *x, nil
}

func (c *ServerConn) exchangeNext(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	x := c.auth
	if c.srv.Block == nil {
		return x.Next(ctx, response)
	}
	said := new(struct {
		challenge []byte
		done      bool
	})
	err = c.callError(ctx, func() (err error) { said.challenge, said.done, err = x.Next(ctx, response); return err })
	if err != nil {
		return nil, false, err
	}
	return said.challenge, said.done, nil
}

// authFailed answers that an authentication has failed.
func (c *ServerConn) authFailed(err error) error {
	c.srv.stats.auth.Add(1)
	if errors.Is(err, ErrHangUp) {
		return c.refuse(err)
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		c.srv.logger.Info("smtp: an authentication failed", "peer", c.remoteAddr(), "err", err)
		e = ErrCredentials
	}
	if c.tries++; int(c.tries) >= c.srv.limits.AuthTries && e.Code != 421 {
		c.answer(e)
		return c.farewell(ErrTooManyTries)
	}
	return c.wrong(e)
}

// decodeBase64 reads what a client sends; "=" is the empty string.
func decodeBase64(s string) ([]byte, error) {
	if s == "=" || s == "" {
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // which the decoder skips
		return nil, ErrBase64
	}
	return b, nil
}

// startTLS is STARTTLS (RFC 3207).
func (c *ServerConn) startTLS(ctx context.Context, arg string) error {
	_, secure := c.tlsState()
	switch {
	case c.srv.TLS == nil:
		return c.wrong(&Error{502, Enhanced{5, 5, 1}, "there is no TLS here"})
	case secure || !c.is(extended):
		return c.wrong(ErrSequence)
	case arg != "":
		return c.wrong(ErrSyntax)
	case len(c.in.unread()) > 0: // somebody on the way may have put it there
		return c.farewell(ErrPlaintext)
	}
	c.reply(220, Enhanced{2, 0, 0}, "Go ahead")
	if err := c.flush(); err != nil {
		return c.ends(err)
	}
	c.endSession(ErrStartTLS)
	if t, ok := c.nc.(startTLSer); ok {
		_ = c.nc.SetDeadline(c.srv.now().Add(c.srv.limits.HandshakeTime))
		if err := t.StartTLS(c.srv.TLS); err != nil {
			c.srv.stats.handshakes.Add(1)
			return c.ends(err)
		}
	} else {
		t := tls.Server(c.nc, c.srv.TLS)
		if err := c.handshake(ctx, t); err != nil {
			return err
		}
		c.nc = t
	}
	c.hello, c.flags = "", c.flags&(opened|over) // and all else that the client has said: RFC 3207, section 4.2
	return c.newSession(ctx)
}

// handshake makes the handshake of TLS.
func (c *ServerConn) handshake(ctx context.Context, t *tls.Conn) error {
	_ = t.SetDeadline(c.srv.now().Add(c.srv.limits.HandshakeTime)) // if it fails, so does the handshake
	if err := t.HandshakeContext(ctx); err != nil {
		c.srv.stats.handshakes.Add(1)
		return c.ends(err)
	}
	return nil
}
