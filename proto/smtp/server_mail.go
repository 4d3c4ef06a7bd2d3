package smtp

import (
	"context"
	"strings"
)

// mail is MAIL (RFC 5321, section 4.1.1.2).
func (c *ServerConn) mail(ctx context.Context, arg string) error {
	switch {
	case c.hello == "" || c.tx != nil || c.auth != nil:
		return c.wrong(ErrSequence)
	case c.srv.NeedAuth && !c.is(authenticated):
		return c.wrong(ErrNeedAuth)
	}
	_, secure := c.tlsState()
	if c.srv.NeedTLS && !secure {
		return c.wrong(ErrNeedTLS)
	}
	if int(c.messages) >= c.srv.limits.Messages {
		return c.farewell(ErrTooMany)
	}
	if c.junk++; int(c.junk) > c.srv.limits.Junk {
		return c.farewell(ErrTooMuchJunk)
	}
	from, o, err := ParseMail(arg)
	if err != nil {
		return c.wrong(err)
	}
	if err := c.mayMail(o, secure); err != nil {
		return c.wrong(err)
	}
	if err := c.sessionMail(ctx, from, o); err != nil {
		return c.refuse(err)
	}
	c.messages++
	c.tx = &transaction{utf8: o.UTF8, binary: o.Body == BodyBinary}
	c.reply(250, Enhanced{2, 1, 0}, "Ok")
	return nil
}

// mayMail is why a message with these parameters is refused; nil: it is not.
func (c *ServerConn) mayMail(o *MailOptions, secure bool) error {
	s := c.srv
	switch {
	case o.UTF8 && !s.UTF8,
		o.Body == BodyBinary && !s.Binary,
		(o.Return != ReturnDefault || o.EnvelopeID != "") && !s.DSN,
		o.RequireTLS && !s.RequireTLS,
		!c.is(extended) && *o != (MailOptions{}):
		return ErrParameter
	case o.RequireTLS && !secure:
		return &Error{530, Enhanced{5, 7, 10}, "REQUIRETLS without TLS"}
	case o.Size > s.limits.Message:
		return ErrTooLarge
	}
	if o.Auth != nil && !c.is(authenticated) {
		o.Auth = new(AuthParam) // RFC 4954, section 5: nobody vouches for it
	}
	return nil
}

func (c *ServerConn) sessionMail(ctx context.Context, from Mailbox, o *MailOptions) error {
	s := c.session
	if c.srv.Block == nil {
		return s.Mail(ctx, from, o)
	}
	return c.callError(ctx, func() error { return s.Mail(ctx, from, o) })
}

func (c *ServerConn) sessionRcpt(ctx context.Context, to Mailbox, o *RcptOptions) error {
	s := c.session
	if c.srv.Block == nil {
		return s.Rcpt(ctx, to, o)
	}
	return c.callError(ctx, func() error { return s.Rcpt(ctx, to, o) })
}

// rcpt is RCPT (RFC 5321, section 4.1.1.3).
func (c *ServerConn) rcpt(ctx context.Context, arg string) error {
	if c.tx == nil || c.tx.body != nil {
		return c.wrong(ErrSequence)
	}
	to, o, err := ParseRcpt(arg, c.tx.utf8)
	if err != nil {
		return c.wrong(err)
	}
	if *o != (RcptOptions{}) && (!c.srv.DSN || !c.is(extended)) {
		return c.wrong(ErrParameter)
	}
	if len(c.tx.recipients) >= c.srv.limits.Recipients {
		return c.wrong(ErrRecipients)
	}
	domain := strings.ToLower(to.Domain)
	if most := c.srv.limits.Domains; most > 0 && len(c.domains) >= most {
		if _, ok := c.domains[domain]; !ok {
			return c.wrong(ErrDomains)
		}
	}
	if err := c.sessionRcpt(ctx, to, o); err != nil {
		return c.refuse(err)
	}
	if c.srv.limits.Domains > 0 {
		if c.domains == nil {
			c.domains = make(map[string]struct{})
		}
		c.domains[domain] = struct{}{}
	}
	c.tx.recipients = append(c.tx.recipients, to)
	c.reply(250, Enhanced{2, 1, 5}, "Ok")
	return nil
}

// beginData is DATA (RFC 5321, section 4.1.1.4). The message is taken when its first bytes have come.
func (c *ServerConn) beginData(arg string) error {
	switch {
	case arg != "":
		return c.wrong(ErrSyntax)
	case c.tx == nil || c.tx.body != nil || c.tx.binary: // RFC 3030, section 3: BINARYMIME goes by BDAT
		return c.wrong(ErrSequence)
	case len(c.tx.recipients) == 0 && c.srv.LMTP:
		return c.wrong(&Error{503, Enhanced{5, 5, 1}, ErrNoRecipients.Text}) // RFC 2033, section 4.2
	case len(c.tx.recipients) == 0:
		return c.wrong(ErrNoRecipients)
	}
	c.flags |= expects
	c.reply(354, Enhanced{}, "End the message with a line that has a dot alone")
	return nil
}

// bdat is BDAT (RFC 3030, section 2).
func (c *ServerConn) bdat(ctx context.Context, arg string) error {
	size, last, err := ParseBdat(arg)
	if err != nil {
		return c.farewell(ErrSyntax) // nobody knows how many bytes are to come
	}
	if c.tx == nil || len(c.tx.recipients) == 0 {
		if err := c.skip(size); err != nil {
			return err
		}
		switch {
		case c.tx == nil:
			return c.wrong(ErrSequence)
		case c.srv.LMTP && last:
			c.reset() // RFC 2033, section 4.3: an answer for each recipient, and there is none
			return nil
		}
		return c.wrong(ErrNoRecipients)
	}
	b := c.tx.body
	if b == nil {
		b = c.newBody(true)
		b.left, b.last = size, last
		return c.deliver(ctx, b)
	}
	b.left, b.last = size, last
	return c.settle(b)
}

// newBody is the message of the transaction.
func (c *ServerConn) newBody(chunked bool) *body {
	b := &body{c: c, chunked: chunked, begun: c.srv.now()}
	b.dec.Plain = chunked
	b.dec.TextLine = max(c.srv.limits.TextLine, 0)
	b.binary = c.tx.binary
	c.tx.body = b
	return b
}

// data takes the message behind DATA.
func (c *ServerConn) data(ctx context.Context) error {
	c.flags &^= expects
	return c.deliver(ctx, c.newBody(false))
}
