package ftp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"
)

// A Session is the server's side of a control connection. Between two turns it holds no buffer, but for the beginning
// of a line. Its methods are for one goroutine, or coroutine, at a time.
//
//	Open ──▶ Turn: bytes ──▶ a line is whole ──▶ its command ──▶ the reply ──▶ the next line, …, rest
//	                    └──▶ a part of one: it is kept, in as much memory as it needs
//	Closed, once, when the connection has ended
type Session struct {
	srv  *Server
	ctx  context.Context
	nc   net.Conn
	in   *input // nil: between two turns
	part []byte // the beginning of a line

	user   *User  // nil: nobody has logged in
	name   string // of USER
	cwd    string // from the root, with a slash in front
	host   string // of HOST
	rename string // of RNFR; "": none
	offset int64  // of REST

	data  *dataSetup // of PASV, PORT and their kin; nil: none
	bind  *binding   // of TLS
	began time.Time  // when it opened
	by    time.Time  // the next whole command has to be there

	flags flags
	facts Facts
	tries int32
	wrong int32 // commands in a row that were none
}

type flags uint16

const (
	secured flags = 1 << iota // the control connection speaks TLS
	asciiType
	sized     // PBSZ was there
	private   // PROT P
	epsvAll   // EPSV ALL was there
	ending    // the last reply was written
	skipLF    // an LF that a Synch has taken out may come still
	timed     // a read deadline is set
	counted   // in Server.sessions
	restarted // REST was there
	commanded // a line was whole in this turn
)

// A Blocker is a control connection whose owner must not block: one of an event loop. The session has it run f, which
// may block, on another goroutine, and waits. false: the connection is over and f goes on; the session is not touched
// any more. While a transfer runs, the SetReadDeadline of such a connection is called by other goroutines, as any
// net.Conn allows.
type Blocker interface {
	Block(f func()) bool
}

// A Rester is a control connection whose owner sees to it himself that a session does not wait for too long: Rest is
// called at the end of Open and of each Turn, and if nothing has come by then he calls Expire and closes. Other
// connections get a read deadline.
type Rester interface {
	Rest(by time.Time)
}

// errAbandoned is a Blocker that has given up.
var errAbandoned = errors.New("ftp: the connection is over, and a command goes on")

// NewSession is a session on nc, whose first byte has not come yet. ctx bounds transfers, and is not looked at
// otherwise. The error is what is wrong with the Server.
func (s *Server) NewSession(ctx context.Context, nc net.Conn) (*Session, error) {
	c := new(Session)
	return c, c.Init(ctx, s, nc)
}

// Init is NewSession in memory of the caller's.
func (c *Session) Init(ctx context.Context, s *Server, nc net.Conn) error {
	s.once.Do(s.fill)
	if s.fault != nil {
		return s.fault
	}
	if ctx == nil {
		return errNoContext
	}
	*c = Session{srv: s, ctx: ctx, nc: nc, cwd: "/", flags: asciiType, facts: allFacts, began: s.now()}
	s.stats.sessions.Add(1)
	return nil
}

// Open greets the client, unless TLS is to begin first: then the first Turn does.
func (c *Session) Open() error {
	if c.srv.Implicit {
		c.await()
		return nil
	}
	if err := c.greet(); err != nil {
		return err
	}
	c.await()
	return nil
}

func (c *Session) greet() error {
	text := c.srv.Greeting
	if text == "" {
		text = "ready"
	}
	return c.reply(220, text)
}

// Closed ends what the session has, but for the connection itself, which is the caller's.
func (c *Session) Closed() {
	c.dropData()
	c.logout()
	c.srv.stats.sessions.Add(-1)
}

// LoggedIn is the user's name; "": nobody has logged in.
func (c *Session) LoggedIn() string {
	if c.user == nil {
		return ""
	}
	return c.user.Name
}

// Turn reads what has come, waiting if there is nothing, and does the commands that are whole, transfers included. It
// returns nil when nothing of what came is left, but for a part of a line; io.EOF when the connection is to be closed
// behind what was written; or why reading or writing failed.
func (c *Session) Turn() error {
	if c.srv.Implicit && c.flags&secured == 0 {
		if err := c.startTLS(); err != nil {
			return err
		}
		if err := c.greet(); err != nil {
			return err
		}
		if !c.by.IsZero() { // the Read below waits for the first command
			_ = c.nc.SetReadDeadline(c.by) // a connection that is over says so at the read
			c.flags |= timed
		}
	}
	c.flags &^= commanded
	c.takeInput()
	n, err := c.read(c.in.room())
	switch {
	case n > 0:
		if c.flags&timed != 0 {
			c.untime()
		}
		err = c.lines()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = c.Expire()
	case err == nil:
		err = io.ErrNoProgress
	}
	if errors.Is(err, errAbandoned) {
		return err // a command still has the session
	}
	if err == nil {
		c.rest()
	}
	c.putInput()
	return err
}

// read reads what has come into room, which is the end of c.in. n is 0 if nothing has.
func (c *Session) read(room []byte) (n int, err error) {
	n, err = c.nc.Read(room)
	in := c.in
	if n > 0 && c.flags&skipLF != 0 {
		c.flags &^= skipLF
		if room[0] == '\n' { // it was put there already: see cutSynch
			in.w += copy(room, room[1:n])
			return n, err
		}
	}
	in.w += n
	return n, err
}

// lines does the commands that are whole.
func (c *Session) lines() error {
	for {
		l, ok, err := c.next()
		if err != nil {
			c.srv.stats.badLines.Add(1)
			return c.farewell(500, "That is no line of FTP.")
		}
		if !ok {
			return nil
		}
		if len(l.Refusals) > 0 {
			if err := c.write(l.Refusals); err != nil {
				return err
			}
		}
		if err := c.line(l); err != nil {
			return err
		}
	}
}

// next is the next line of what has come.
func (c *Session) next() (l Line, ok bool, err error) {
	in := c.in
	l, n, err := ScanLine(in.unread(), c.srv.limits.Line)
	if err == nil && n == 0 && c.cutSynch() {
		l, n, err = ScanLine(in.unread(), c.srv.limits.Line)
	}
	in.r += n
	return l, n > 0, err
}

// cutSynch mends an ABOR whose LF was sent as urgent data, which the system takes out of the stream: Python's ftplib
// sends it so. It reports whether there was one.
func (c *Session) cutSynch() bool {
	in := c.in
	const cut = "ABOR\r"
	b := in.unread()
	if !bytes.HasSuffix(b, []byte(cut)) || in.w == len(in.b) {
		return false
	}
	if n := len(b) - len(cut); n > 0 && b[n-1] != '\n' && b[n-1] < telnetSE {
		return false // it is the end of something else
	}
	in.b[in.w] = '\n'
	in.w++
	c.flags |= skipLF
	return true
}

// line does one.
func (c *Session) line(l Line) error {
	c.flags |= commanded
	if l.Bad {
		c.srv.stats.badLines.Add(1)
		return c.reply(501, "A CR or a NUL inside a line.")
	}
	cmd, ok := ParseCommand(l.Text)
	x, known := commands[cmd.Name]
	if !ok || !known {
		return c.unknown()
	}
	c.wrong = 0
	a, err := c.run(x, cmd)
	if err != nil {
		return err
	}
	if cmd.Name != "REST" && !x.keepsRest {
		c.offset, c.flags = 0, c.flags&^restarted
	}
	if cmd.Name != "RNFR" {
		c.rename = ""
	}
	if a.transfer != nil {
		return c.transfer(a.transfer)
	}
	if a.end {
		return c.farewell(a.code, a.lines...)
	}
	if err := c.reply(a.code, a.lines...); err != nil {
		return err
	}
	if a.then != nil {
		return a.then()
	}
	return nil
}

func (c *Session) unknown() error {
	c.srv.stats.badCommands.Add(1)
	if c.wrong++; int(c.wrong) >= c.srv.limits.Errors {
		return c.farewell(421, "Too many commands that are none.")
	}
	return c.reply(500, "There is no such command.")
}

// run does a command as far as its reply.
func (c *Session) run(x command, cmd Command) (a answer, err error) {
	if a, ok := c.refused(x, cmd); ok {
		return a, nil
	}
	if !x.blocks {
		return c.call(x, cmd), nil
	}
	if !c.block(func() { a = c.call(x, cmd) }) {
		return a, errAbandoned
	}
	return a, nil
}

// call calls the command; a panic of what the Server's user has given is a reply.
func (c *Session) call(x command, cmd Command) (a answer) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.logger.Error("ftp: a command panicked", "command", cmd.Name, "panic", v, "stack", string(debug.Stack()))
			a = say(451, "An error of this server.")
		}
	}()
	return x.do(c, cmd.Arg)
}

// block has f run where it may block.
func (c *Session) block(f func()) bool {
	if b, ok := c.nc.(Blocker); ok {
		return b.Block(f)
	}
	f()
	return true
}

// reply writes a reply.
func (c *Session) reply(code int, lines ...string) error {
	return c.write(AppendReply(nil, code, lines...))
}

func (c *Session) write(b []byte) error {
	if d := c.srv.limits.WriteTime; d > 0 {
		_ = c.nc.SetWriteDeadline(c.srv.now().Add(d)) // a connection that is over says so at the write
	}
	_, err := c.nc.Write(b)
	return err
}

// farewell is the last reply. Who is to begin with TLS and has not is told nothing: it would take that for TLS.
func (c *Session) farewell(code int, lines ...string) error {
	if c.srv.Implicit && c.flags&secured == 0 {
		c.flags |= ending
		return io.EOF
	}
	if err := c.reply(code, lines...); err != nil {
		return err
	}
	c.flags |= ending
	return io.EOF
}

// Expire says farewell to a client that was silent for too long, between two turns. It returns io.EOF, or why it could
// not.
func (c *Session) Expire() error {
	c.srv.stats.timedOut.Add(1)
	return c.farewell(421, "You were silent for too long.")
}

// Leave says farewell because the server shuts down, between two turns. It returns io.EOF, or why it could not.
func (c *Session) Leave() error { return c.farewell(421, "This server shuts down.") }

// startTLS makes the handshake on the control connection, of which nothing was read ahead.
func (c *Session) startTLS() error {
	c.bind = newBinding()
	cfg := c.srv.controlTLS(c.bind)
	if t, ok := c.nc.(interface{ StartTLS(*tls.Config) error }); ok {
		if err := t.StartTLS(cfg); err != nil {
			return fmt.Errorf("ftp: %w", err)
		}
	} else {
		tc := tls.Server(c.nc, cfg)
		ctx, cancel := context.WithTimeout(c.ctx, c.srv.limits.handshake())
		defer cancel()
		if err := tc.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("ftp: handshake: %w", err)
		}
		c.nc = tc
	}
	if t, ok := c.nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		st := t.ConnectionState()
		c.bind.state = &st
	}
	c.flags |= secured
	return nil
}

// handshake is how long one may take.
func (l Limits) handshake() time.Duration {
	if l.DataWait == 0 {
		return defaultDataWait
	}
	return l.DataWait
}

// An input is what has come and was not taken: b[r:w].
type input struct {
	b    []byte
	r, w int
}

func (in *input) unread() []byte { return in.b[in.r:in.w] }

// room is where more can be read into. It is empty if a line, or lines that wait for the end of a transfer, fill all.
func (in *input) room() []byte {
	if in.r > 0 {
		in.w = copy(in.b, in.unread())
		in.r = 0
	}
	return in.b[in.w:]
}

// takeInput takes a buffer, with the part of a line in it.
func (c *Session) takeInput() {
	in, _ := c.srv.inputs.Get().(*input)
	if in == nil {
		in = &input{b: make([]byte, c.srv.limits.Line+1)} // a byte more shows that a line is too long
	}
	in.r, in.w = 0, copy(in.b, c.part)
	c.in, c.part = in, nil
}

func (c *Session) putInput() {
	c.srv.inputs.Put(c.in)
	c.in = nil
}

// rest keeps the beginning of a line, and sets the deadline for what has to come next.
func (c *Session) rest() {
	if b := c.in.unread(); len(b) > 0 {
		c.part = bytes.Clone(b)
	}
	c.await()
}

// await sets the read deadline: that of the login, or of the next command. It stays as it was while no command is
// whole.
func (c *Session) await() {
	l := &c.srv.limits
	if c.by.IsZero() || c.flags&commanded != 0 {
		c.by = time.Time{}
		if l.IdleTime > 0 {
			c.by = c.srv.now().Add(l.IdleTime)
		}
		if c.user == nil && l.LoginTime > 0 {
			if login := c.began.Add(l.LoginTime); c.by.IsZero() || login.Before(c.by) {
				c.by = login
			}
		}
	}
	if c.by.IsZero() {
		return
	}
	if r, ok := c.nc.(Rester); ok {
		r.Rest(c.by)
	} else {
		_ = c.nc.SetReadDeadline(c.by) // a connection that is over says so at the read
		c.flags |= timed
	}
}

func (c *Session) untime() {
	_ = c.nc.SetReadDeadline(time.Time{})
	c.flags &^= timed
}
