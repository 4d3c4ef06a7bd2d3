package ftp

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"time"
)

func (c *Session) doUSER(arg string) answer {
	if c.srv.RequireTLS && c.flags&secured == 0 {
		return say(530, "AUTH TLS first.")
	}
	c.logout() // RFC 959, section 4.1.1: a new USER ends the one before
	c.name = arg
	return say(331, "Now PASS, with the password.")
}

func (c *Session) doPASS(arg string) answer {
	if c.name == "" || c.user != nil {
		return say(503, "USER comes before it.")
	}
	begin := c.srv.now()
	l := Login{Name: c.name, Password: arg, Host: c.host, Remote: c.nc.RemoteAddr(), TLS: c.state()}
	u, err := c.srv.Users.Login(c.ctx, l)
	if err == nil && (u == nil || u.FS == nil) {
		err = errors.New("ftp: Users.Login returned no User, or one without an FS")
	}
	a := say(230, "Welcome.")
	switch {
	case errors.Is(err, ErrLogin):
		a = c.wrongPassword()
	case err != nil:
		c.srv.logger.Warn("ftp: a login could not be looked at", "user", c.name, "err", err)
		a = say(451, "An error of this server.")
	case !c.srv.enter(u.Name):
		c.srv.stats.crowded.Add(1)
		err = errors.New("ftp: too many sessions")
		a = answer{code: 421, lines: []string{"You have too many sessions."}, end: true}
	default:
		c.srv.stats.logins.Add(1)
		c.user, c.cwd, c.tries = u, "/", 0
		c.flags |= counted
	}
	c.done(Record{User: c.name, Command: "PASS", Time: c.srv.now().Sub(begin), Code: a.code, Err: err})
	c.name = ""
	return a
}

// wrongPassword waits, and counts.
func (c *Session) wrongPassword() answer {
	c.srv.stats.failedLogins.Add(1)
	if d := c.srv.limits.FailDelay; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.ctx.Done():
		}
	}
	if c.tries++; int(c.tries) >= c.srv.limits.Tries {
		return answer{code: 421, lines: []string{"Too many logins have failed."}, end: true}
	}
	return say(530, "No such user, or not this password.")
}

func (c *Session) doACCT(string) answer { return say(202, "There are no accounts.") }

// doREIN forgets all but the connection. Over TLS it is refused: TLS would have to end on a connection that goes on
// (RFC 4217, section 13), and what somebody puts behind it in plain text would be taken for the client's.
func (c *Session) doREIN(string) answer {
	if c.flags&secured != 0 {
		return say(502, "Not over TLS: open another connection.")
	}
	c.reset()
	return say(220, "As new.")
}

// reset is as after the connection was opened, but for TLS.
func (c *Session) reset() {
	c.dropData()
	c.logout()
	c.name, c.host = "", ""
	c.facts, c.flags = allFacts, c.flags&(secured|timed|skipLF|commanded)|asciiType
}

func (c *Session) logout() {
	if c.flags&counted != 0 {
		c.srv.leave(c.user.Name)
	}
	c.user, c.cwd, c.rename, c.offset = nil, "/", "", 0
	c.flags &^= counted | restarted
}

// doHOST takes the name of the host that the client means (RFC 7151).
func (c *Session) doHOST(arg string) answer {
	if c.srv.Hosts == nil {
		return c.notHere(arg)
	}
	if c.user != nil {
		return say(503, "HOST comes before the login.")
	}
	c.host, c.name = "", "" // as if nothing had been said before (RFC 7151, section 3.3)
	name, ok := hostName(arg)
	if !ok {
		return say(501, "Want the name of a host, an address, or one of IPv6 in brackets, without a port.")
	}
	if st := c.state(); st != nil && st.ServerName != "" && !strings.EqualFold(st.ServerName, name) {
		return say(504, "TLS was asked for another name.")
	}
	if !c.srv.Hosts(name) {
		return say(504, "There is no such host here.")
	}
	c.host = name
	return say(220, "Welcome to "+name+".")
}

// hostName reads the argument of HOST (RFC 7151, section 3.1).
func hostName(arg string) (string, bool) {
	if in, ok := strings.CutPrefix(arg, "["); ok {
		in, ok = strings.CutSuffix(in, "]")
		a, err := netip.ParseAddr(in)
		return in, ok && err == nil && a.Is6() && a.Zone() == ""
	}
	if len(arg) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(arg, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		for _, r := range label {
			if !(r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z') && r < 0x80 {
				return "", false
			}
		}
	}
	return strings.ToLower(arg), true
}

// state is TLS's; nil in plain text.
func (c *Session) state() *tls.ConnectionState {
	if c.bind == nil {
		return nil
	}
	return c.bind.state
}

// doAUTH has TLS begin behind its reply. Bytes that came behind the command were put there by somebody in plain text:
// they end the session.
func (c *Session) doAUTH(arg string) answer {
	switch {
	case c.srv.TLS == nil:
		return say(502, "This server does not do that.")
	case c.flags&secured != 0:
		return say(503, "This is TLS already.")
	case !strings.EqualFold(arg, "TLS") && !strings.EqualFold(arg, "TLS-C"):
		return say(504, "There is AUTH TLS.")
	case len(c.in.unread()) > 0:
		c.srv.stats.injected.Add(1)
		return answer{code: 421, lines: []string{"There are bytes behind AUTH."}, end: true}
	}
	return answer{code: 234, lines: []string{"Now TLS."}, then: func() error {
		c.reset() // RFC 4217, section 4: nothing that was said before holds
		return c.startTLS()
	}}
}

func (c *Session) doPBSZ(arg string) answer {
	switch _, ok := decimal(arg, 1<<32-1); {
	case c.flags&secured == 0:
		return say(503, "AUTH TLS comes before it.")
	case !ok:
		return say(501, "Want a number.")
	}
	c.flags |= sized
	return say(200, "PBSZ=0")
}

func (c *Session) doPROT(arg string) answer {
	switch {
	case c.flags&sized == 0:
		return say(503, "PBSZ comes before it.")
	case strings.EqualFold(arg, "P"):
		c.flags |= private
		return say(200, "Data connections are private.")
	case strings.EqualFold(arg, "C"):
		if c.srv.RequireTLS {
			return say(534, "Data connections have to be private.")
		}
		c.flags &^= private
		return say(200, "Data connections are in plain text.")
	case strings.EqualFold(arg, "S"), strings.EqualFold(arg, "E"):
		return say(536, "TLS has the levels C and P.")
	}
	return say(504, "There are the levels C and P.")
}

func (c *Session) doCCC(string) answer {
	if c.flags&secured == 0 {
		return say(533, "This is plain text.")
	}
	return say(534, "The control connection stays private.")
}

// done tells of what is over.
func (c *Session) done(r Record) {
	if f := c.srv.Done; f != nil {
		r.Remote = c.nc.RemoteAddr()
		f(r)
	}
}
