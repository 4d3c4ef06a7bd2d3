package queue

import (
	"bytes"
	"context"
	"io"

	"github.com/plexor-go/plexor/proto/smtp"
)

// Backend is a [smtp.Backend] that puts mail into the queue: the answer 250 is given when it is on stable storage.
// accept is asked for each recipient, and returns an error for those that this client may not send to: a server that
// takes mail from anybody for anybody is soon known for that. A message that has been through a hundred machines is
// refused (RFC 5321, section 6.3).
//
// Submit writes to the disk and waits for it: on an event loop it needs smtp.Server.Block, as smtpd.Await.
func (q *Queue) Backend(accept func(ctx context.Context, p smtp.Peer, to smtp.Mailbox) error) smtp.Backend {
	return smtp.BackendFunc(func(_ context.Context, p smtp.Peer) (smtp.Session, error) {
		return &session{q: q, p: p, accept: accept}, nil
	})
}

type session struct {
	q      *Queue
	p      smtp.Peer
	accept func(ctx context.Context, p smtp.Peer, to smtp.Mailbox) error
	e      Envelope
}

func (s *session) Mail(_ context.Context, from smtp.Mailbox, o *smtp.MailOptions) error {
	s.e = Envelope{From: from, Options: *o}
	return nil
}

func (s *session) Rcpt(ctx context.Context, to smtp.Mailbox, o *smtp.RcptOptions) error {
	if err := s.accept(ctx, s.p, to); err != nil {
		return err
	}
	s.e.To = append(s.e.To, smtp.Recipient{Mailbox: to, RcptOptions: *o})
	return nil
}

// errHops is a message that goes round in a circle.
var errHops = &smtp.Error{Code: 554, Enhanced: smtp.Enhanced{5, 4, 6}, Text: "the message goes round in a circle"}

func (s *session) Data(_ context.Context, r io.Reader) (string, error) {
	field := s.p.Received()
	if len(s.e.To) == 1 {
		field.For = s.e.To[0].Mailbox
	}
	hops := new(smtp.Hops)
	return s.q.Submit(s.e, io.MultiReader(bytes.NewReader(field.Append(nil)), &counted{r, hops}))
}

// counted is a message whose hops are counted.
type counted struct {
	r    io.Reader
	hops *smtp.Hops
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	_, _ = c.hops.Write(p[:n]) // it never fails
	if c.hops.N >= smtp.MostHops {
		return 0, errHops
	}
	return n, err
}

func (s *session) Reset() { s.e = Envelope{} }

func (s *session) Close(error) {}
