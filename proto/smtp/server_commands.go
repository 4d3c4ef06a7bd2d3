package smtp

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
)

// step takes one line, or a message, from what has come. more is false where more has to come.
func (c *ServerConn) step(ctx context.Context) (more bool, err error) {
	if c.is(expects) {
		if len(c.in.unread()) == 0 {
			return false, nil
		}
		return true, c.data(ctx)
	}
	line, ok, err := c.line()
	if err != nil {
		return false, err
	}
	if !ok {
		return false, nil
	}
	if c.auth != nil {
		return true, c.authLine(ctx, line)
	}
	return true, c.command(ctx, line)
}

// line finds the next line; false: it is not whole yet. A line that is too long is answered here.
func (c *ServerConn) line() (line []byte, ok bool, err error) {
	c.scan.Limit = c.srv.limits.Line
	if c.auth != nil {
		c.scan.Limit = c.srv.limits.AuthLine
	}
	c.scan.Limit = min(c.scan.Limit, inputSize)
	for {
		in := c.in
		n, ended, err := c.scan.Scan(in.unread())
		switch {
		case err == ErrLineEnd:
			return nil, false, c.farewell(ErrLineEnd)
		case err != nil:
			in.r += n
			if !ended {
				c.compact()
				return nil, false, nil
			}
			c.auth = nil
			if err := c.wrong(ErrLineTooLong); err != nil {
				return nil, false, err
			}
		case n == 0:
			c.compact()
			return nil, false, nil
		default:
			line = in.b[in.r : in.r+n-2]
			in.r += n
			return line, true, nil
		}
	}
}

// compact moves what is unread to the beginning of the buffer, so that there is room behind it.
func (c *ServerConn) compact() {
	in := c.in
	in.w = copy(in.b, in.unread())
	in.r = 0
}

// command obeys a command.
func (c *ServerConn) command(ctx context.Context, line []byte) error {
	cmd, err := ParseCommand(line)
	if err != nil {
		if err == ErrHTTP {
			return c.farewell(ErrHTTP)
		}
		return c.wrong(err)
	}
	if c.refused != nil && cmd.Verb != "QUIT" {
		if c.refused.Code == 421 || cmd.Verb == "BDAT" { // whose bytes would be commands
			return c.farewell(c.refused)
		}
		return c.wrong(ErrSequence)
	}
	if (c.srv.draining.Load() || c.left.Load()) && (c.tx == nil || c.tx.body == nil && !carries(cmd.Verb)) {
		return c.farewell(ErrLeaving)
	}
	if err := c.obey(ctx, cmd); err != nil {
		return err
	}
	switch cmd.Verb {
	case "MAIL", "RCPT", "RSET", "BDAT":
		return nil
	}
	if err := c.flush(); err != nil { // RFC 2920, section 3.2: these are not held, whatever comes behind
		return c.ends(err)
	}
	return nil
}

// obey is command for one that may come now.
func (c *ServerConn) obey(ctx context.Context, cmd Command) error {
	switch cmd.Verb {
	case "MAIL":
		return c.mail(ctx, cmd.Arg)
	case "RCPT":
		return c.rcpt(ctx, cmd.Arg)
	case "DATA":
		return c.beginData(cmd.Arg)
	case "BDAT":
		return c.bdat(ctx, cmd.Arg)
	case "QUIT":
		return c.quit(cmd.Arg)
	}
	greets := cmd.Verb == "EHLO" || cmd.Verb == "HELO" || cmd.Verb == "LHLO"
	if greets && c.hello == "" {
		return c.greet(ctx, cmd)
	}
	if c.junk++; int(c.junk) > c.srv.limits.Junk {
		return c.farewell(ErrTooMuchJunk)
	}
	switch cmd.Verb {
	case "EHLO", "HELO", "LHLO":
		return c.greet(ctx, cmd)
	case "RSET":
		if cmd.Arg != "" {
			return c.wrong(ErrSyntax)
		}
		c.reset()
		c.reply(250, Enhanced{2, 0, 0}, "Ok")
	case "NOOP":
		c.reply(250, Enhanced{2, 0, 0}, "Ok")
	case "HELP":
		c.reply(214, Enhanced{2, 0, 0}, "Commands: "+strings.Join(verbs[:], " ")+"\nSee RFC 5321")
	case "VRFY":
		return c.verify(ctx, cmd.Arg)
	case "EXPN":
		return c.wrong(&Error{502, Enhanced{5, 5, 1}, "lists are not told here"})
	case "STARTTLS":
		return c.startTLS(ctx, cmd.Arg)
	case "AUTH":
		return c.beginAuth(ctx, cmd.Arg)
	default:
		return c.wrong(ErrUnknown)
	}
	return nil
}

// carries reports whether a command carries a message on that has begun.
func carries(verb string) bool { return verb == "RCPT" || verb == "DATA" || verb == "BDAT" }

// quit says goodbye (RFC 5321, section 4.1.1.10).
func (c *ServerConn) quit(arg string) error {
	if arg != "" {
		return c.wrong(ErrSyntax)
	}
	c.reply(221, Enhanced{2, 0, 0}, c.srv.name()+" closes the connection")
	if err := c.flush(); err != nil {
		return c.ends(err)
	}
	c.flags |= closes
	return c.ends(io.EOF)
}

// greet is EHLO, HELO and LHLO (RFC 5321, section 4.1.1.1; RFC 2033, section 4.1).
func (c *ServerConn) greet(ctx context.Context, cmd Command) error {
	if (cmd.Verb == "LHLO") != c.srv.LMTP {
		return c.wrong(ErrUnknown)
	}
	name, _, _ := strings.Cut(cmd.Arg, " ") // what stands behind it is for people, in old clients
	if !isDomain(name, true) || !isASCII(name) && !c.srv.UTF8 {
		return c.wrong(&Error{501, Enhanced{5, 5, 4}, "a client's name is a domain, or an address in brackets"})
	}
	if g, ok := c.session.(Greeter); ok {
		if err := c.sessionHello(ctx, g, name); err != nil {
			return c.refuse(err)
		}
	}
	c.reset()
	c.hello = name
	if cmd.Verb == "HELO" {
		c.flags &^= extended
		c.reply(250, Enhanced{}, c.srv.name())
		return nil
	}
	c.flags |= extended
	c.reply(250, Enhanced{}, c.srv.name()+"\n"+strings.Join(c.extensions(), "\n"))
	return nil
}

func (c *ServerConn) sessionHello(ctx context.Context, g Greeter, name string) error {
	if c.srv.Block == nil {
		return g.Hello(ctx, name)
	}
	return c.callError(ctx, func() error { return g.Hello(ctx, name) })
}

// extensions are the keywords that EHLO is answered with.
func (c *ServerConn) extensions() []string {
	s, l := c.srv, &c.srv.limits
	all := append(make([]string, 0, 16), "PIPELINING", "SIZE "+strconv.FormatInt(l.Message, 10), "8BITMIME",
		"ENHANCEDSTATUSCODES", "CHUNKING")
	for _, x := range [...]struct {
		on   bool
		name string
	}{{s.Binary, "BINARYMIME"}, {s.UTF8, "SMTPUTF8"}, {s.DSN, "DSN"}} {
		if x.on {
			all = append(all, x.name)
		}
	}
	_, secure := c.tlsState()
	if s.TLS != nil && !secure {
		all = append(all, "STARTTLS")
	}
	if s.RequireTLS && secure {
		all = append(all, "REQUIRETLS")
	}
	if m := c.mechanisms(); len(m) > 0 && !c.is(authenticated) {
		all = append(all, "AUTH "+strings.Join(m, " "))
	}
	limits := "LIMITS MAILMAX=" + strconv.Itoa(l.Messages) + " RCPTMAX=" + strconv.Itoa(l.Recipients)
	if l.Domains > 0 {
		limits += " RCPTDOMAINMAX=" + strconv.Itoa(l.Domains)
	}
	return append(all, limits)
}

// utf8Word is the parameter of VRFY that allows for UTF-8 in the answer (RFC 6531, section 3.7.4.2).
const utf8Word = " SMTPUTF8"

// verify is VRFY (RFC 5321, section 3.5).
func (c *ServerConn) verify(ctx context.Context, who string) error {
	if who == "" {
		return c.wrong(ErrSyntax)
	}
	v, ok := c.session.(Verifier)
	if !ok {
		c.reply(252, Enhanced{2, 1, 5}, "that is not told here; send the mail and see")
		return nil
	}
	utf8 := false
	if l := len(who) - len(utf8Word); c.srv.UTF8 && l > 0 && strings.EqualFold(who[l:], utf8Word) {
		who, utf8 = strings.TrimRight(who[:l], " "), true
	}
	name, m, err := c.sessionVerify(ctx, v, who)
	if err != nil {
		return c.refuse(err)
	}
	if !utf8 && (!isASCII(name) || !m.IsASCII()) { // RFC 6531, section 3.7.4.2
		c.reply(252, Enhanced{2, 6, 8}, "that can be told with SMTPUTF8 alone")
		return nil
	}
	text := "<" + m.String() + ">"
	if name != "" {
		text = name + " " + text
	}
	c.reply(250, Enhanced{2, 1, 5}, text)
	return nil
}

func (c *ServerConn) sessionVerify(ctx context.Context, v Verifier, who string) (string, Mailbox, error) {
	if c.srv.Block == nil {
		return v.Verify(ctx, who)
	}
	found := new(struct {
		name string
		m    Mailbox
	})
	err := c.callError(ctx, func() (err error) { found.name, found.m, err = v.Verify(ctx, who); return err })
	if err != nil {
		return "", Mailbox{}, err
	}
	return found.name, found.m, nil
}

// refuse answers with an error of the Session.
func (c *ServerConn) refuse(err error) error {
	if errors.Is(err, ErrHangUp) {
		c.flags |= closes
		return c.ends(ErrHangUp)
	}
	return c.wrong(c.errorOf(err))
}

// errorOf is the answer for an error of the Session.
func (c *ServerConn) errorOf(err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if ok && e.Code >= 400 && e.Code <= 599 {
		return e
	}
	c.srv.logger.Error("smtp: the backend failed", "peer", c.remoteAddr(), "err", err)
	return ErrInternal
}

// wrong answers with a refusal, and ends the connection behind 421 or too many of them.
func (c *ServerConn) wrong(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = c.errorOf(err)
	}
	if e.Code == 421 {
		return c.farewell(e)
	}
	c.answer(e)
	if e.Code >= 500 {
		if c.errors++; int(c.errors) >= c.srv.limits.Errors {
			return c.farewell(ErrTooManyErrors)
		}
	}
	return nil
}

// answer adds a refusal to what is written, and counts it.
func (c *ServerConn) answer(e *Error) {
	c.srv.stats.count(e)
	if c.srv.Refused != nil {
		c.srv.Refused(Peer{c}, e)
	}
	enhanced := e.Enhanced
	if enhanced == (Enhanced{}) || int(enhanced[0]) != e.Code/100 {
		enhanced = Enhanced{uint16(e.Code / 100), 0, 0}
	}
	c.reply(e.Code, enhanced, e.Text)
}

// reply adds an answer to what is written.
func (c *ServerConn) reply(code int, enhanced Enhanced, text string) {
	c.in.out = AppendReply(c.in.out, code, enhanced, text)
}

// spill writes the answers if there are many.
func (c *ServerConn) spill() error {
	if len(c.in.out) < mostOut {
		return nil
	}
	if err := c.flush(); err != nil {
		return c.ends(err)
	}
	return nil
}

// flush writes the answers.
func (c *ServerConn) flush() error {
	if len(c.in.out) == 0 {
		return nil
	}
	_ = c.nc.SetWriteDeadline(c.srv.now().Add(c.srv.limits.WriteTime)) // if it fails, so does Write
	_, err := c.nc.Write(c.in.out)
	c.in.out = c.in.out[:0]
	return err
}
