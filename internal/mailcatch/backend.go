package mailcatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/smtp"
)

// A Backend takes the mail of an SMTP server for a [Store], and does what [Faults] say. Fill in the fields; they must
// not change from the first use on. It is for any goroutine.
type Backend struct {
	Store  *Store
	Faults *Faults
	// Token, if set, is the password that clients log in with, under any name. Without it any name and password do, so
	// that a program can be tried that wants to log in.
	Token string
	// Implicit is that connections have TLS from the first byte, so that there is one session for each, and the faults of
	// connect and helo are asked once.
	Implicit bool
	// Coroutines is that sessions run on coroutines of event loops, which wait by package coro; [Await] is then the
	// store's Options.Block.
	Coroutines bool
}

// Await is Options.Block for deliveries on coroutines.
func Await(ctx context.Context, f func()) bool {
	_, err := coro.Await(ctx, func() (struct{}, error) {
		f()
		return struct{}{}, nil
	})
	return err == nil
}

// ServerFor fills in what a server needs for the backend: what it offers, and its limits where they are not set.
func (b *Backend) ServerFor(s *smtp.Server) *smtp.Server {
	s.Backend = b
	s.UTF8, s.Binary = true, true // a file takes any bytes
	if s.Limits.Message == 0 {
		s.Limits.Message = b.Store.Limits().MessageBytes
	}
	if s.Limits.TextLine == 0 {
		s.Limits.TextLine = -1 // long lines are a mistake that somebody wants to see here, and no attack
	}
	if s.Limits.Messages == 0 {
		s.Limits.Messages = 1 << 20 // the store has a bound
	}
	if s.Limits.Recipients == 0 {
		s.Limits.Recipients = 1000
	}
	return s
}

// NewSession is of smtp.Backend.
func (b *Backend) NewSession(ctx context.Context, p smtp.Peer) (smtp.Session, error) {
	s := &session{b: b, peer: p}
	if ap, err := netip.ParseAddrPort(fmt.Sprint(p.RemoteAddr())); err == nil { // a Unix socket has none
		s.addr = ap.Addr().Unmap()
	}
	if _, secure := p.TLS(); secure && !b.Implicit { // STARTTLS, and the connection was there before
		return s, nil
	}
	from := ""
	if s.addr.IsValid() {
		from = s.addr.String()
	}
	return s, s.ask(ctx, AtConnect, from)
}

// A session is of one connection.
type session struct {
	b    *Backend
	peer smtp.Peer
	addr netip.Addr
	from string
	to   []string
}

var (
	_ smtp.Session       = (*session)(nil)
	_ smtp.Greeter       = (*session)(nil)
	_ smtp.Authenticator = (*session)(nil)
)

// ask does what the rules say of a stage.
func (s *session) ask(ctx context.Context, at Stage, what ...string) error {
	a := s.b.Faults.Decide(time.Now(), at, what...)
	if err := s.delay(ctx, a.Delay); err != nil {
		return err
	}
	switch {
	case a.Cut:
		return smtp.ErrHangUp
	case a.Code != 0:
		return refusal(a)
	}
	return nil
}

func (s *session) delay(ctx context.Context, d time.Duration) error {
	switch {
	case d <= 0:
		return nil
	case s.b.Coroutines:
		return coro.Sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refusal is an action's answer.
func refusal(a Action) *smtp.Error {
	e := &smtp.Error{Code: a.Code, Text: a.Text}
	if a.Enhanced != "" {
		// ParseRule has looked at it.
		_, _ = fmt.Sscanf(a.Enhanced, "%d.%d.%d", &e.Enhanced[0], &e.Enhanced[1], &e.Enhanced[2])
	}
	return e
}

func (s *session) Hello(ctx context.Context, name string) error { return s.ask(ctx, AtHelo, name) }

func (s *session) Mail(ctx context.Context, from smtp.Mailbox, _ *smtp.MailOptions) error {
	s.from, s.to = from.String(), nil
	return s.ask(ctx, AtMail, s.from)
}

func (s *session) Rcpt(ctx context.Context, to smtp.Mailbox, _ *smtp.RcptOptions) error {
	address := to.String()
	if err := s.ask(ctx, AtRcpt, address); err != nil {
		return err
	}
	s.to = append(s.to, address)
	return nil
}

func (s *session) Data(ctx context.Context, r io.Reader) (id string, err error) {
	a := s.b.Faults.Decide(time.Now(), AtData, s.to...)
	if err := s.delay(ctx, a.Delay); err != nil {
		return "", err
	}
	switch {
	case a.Cut:
		_, err := io.CopyN(io.Discard, r, a.CutAfter)
		if err != nil && err != io.EOF { // it is shorter
			return "", err
		}
		return "", smtp.ErrHangUp
	case a.Code != 0:
		return "", refusal(a)
	}
	m, err := s.b.Store.Deliver(ctx, Envelope{
		From: s.from, To: s.to, Helo: s.peer.Hello(), Peer: s.addr, Protocol: s.peer.Protocol(),
	}, r)
	switch {
	case err == nil:
		return m.ID, nil
	case errors.Is(err, ErrFull):
		return "", &smtp.Error{Code: 452, Enhanced: smtp.Enhanced{4, 3, 1}, Text: "there is no room for more mail"}
	case errors.Is(err, ErrTooLarge):
		return "", smtp.ErrTooLarge
	case errors.Is(err, ErrClosed):
		return "", smtp.ErrLeaving
	}
	return "", err
}

func (s *session) Reset()      { s.to = nil }
func (s *session) Close(error) {}

// Mechanisms is of smtp.Authenticator: those that carry a password, which programs have.
func (s *session) Mechanisms() []string { return []string{"PLAIN", "LOGIN"} }

func (s *session) Auth(_ context.Context, mechanism string) (smtp.Exchange, error) {
	if strings.EqualFold(mechanism, "LOGIN") {
		return smtp.LoginServer(func(_ context.Context, _, password string) error { return s.mayLogIn(password) }), nil
	}
	return smtp.PlainServer(func(_ context.Context, _, _, password string) error { return s.mayLogIn(password) }), nil
}

func (s *session) mayLogIn(password string) error {
	if s.b.Token != "" && !same(password, s.b.Token) {
		return smtp.ErrCredentials
	}
	return nil
}
