package ftp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/plexor-go/plexor/internal/layer"
)

// Security is what of a client's connections is TLS.
type Security uint8

const (
	// PlainText is none.
	PlainText Security = iota
	// Explicit is AUTH TLS, and PROT P for data: who can't do it is not talked to any further (RFC 4217).
	Explicit
	// Implicit is TLS from the first byte.
	Implicit
)

// ClientOptions are the choices of a [Client]. The zero value of each field means its default.
type ClientOptions struct {
	// User and Password log in (default anonymous).
	User, Password string
	// Host, if set, is sent by HOST before (RFC 7151); a server that knows no HOST is taken as it is.
	Host string

	Security Security
	// TLS is for both. An empty ServerName is filled in from the address. Its ClientSessionCache is replaced by one of the
	// client's own, so that data connections resume the session of their control connection, as servers want it.
	TLS *tls.Config

	// Dial makes all connections (default: package net's). Their deadlines are set by other goroutines too, when a context
	// ends, as net.Conn allows; a connection of a loop's coroutine needs a wrapper for that (see package ftpd's Dial). One
	// that has StartTLS(*tls.Config) error is asked for TLS by that, and one that has Abort() error to end without
	// close_notify by that.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Listen, if set, makes data connections active: the server connects. It is called with this end's address of the
	// control connection, and port 0.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// ASCII has transfers be of TYPE A: the caller's line ends are CR LF. The default is TYPE I.
	ASCII bool

	Limits ClientLimits
	// Now is the clock for the years of listings (default time.Now).
	Now func() time.Time
}

// ClientLimits bound what a server may send, and how long it may take. A zero field is its default.
type ClientLimits struct {
	// Line is the longest line of a reply, or of a listing, in bytes (default 8 KiB), ReplyLines how many a reply may have
	// (default 1000), and Entries how many a listing (default 1,000,000).
	Line, ReplyLines, Entries int
	// Depth is how deep Walk goes (default 64).
	Depth int
	// DialTime is how long a connection and its handshake may take (default 30 s), ReplyTime a reply (default 1 minute),
	// StallTime how long data may stand still (default 1 minute), and AbortTime how long a server may take for all
	// replies to ABOR (default 5 s).
	DialTime, ReplyTime, StallTime, AbortTime time.Duration
}

const (
	defaultReplyLine  = 8 << 10
	defaultReplyLines = 1000
	defaultDialTime   = 30 * time.Second
	defaultReplyTime  = time.Minute
	defaultAbortTime  = 5 * time.Second
)

// withDefaults is l with its zero fields filled.
func (l ClientLimits) withDefaults() ClientLimits {
	for _, f := range [...]struct {
		v *int
		d int
	}{{&l.Line, defaultReplyLine}, {&l.ReplyLines, defaultReplyLines}, {&l.Entries, defaultEntries},
		{&l.Depth, defaultDepth}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	for _, f := range [...]struct {
		v *time.Duration
		d time.Duration
	}{{&l.DialTime, defaultDialTime}, {&l.ReplyTime, defaultReplyTime}, {&l.StallTime, defaultStallTime},
		{&l.AbortTime, defaultAbortTime}} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return l
}

// A Client is a control connection that has logged in. Its methods are for one goroutine, or coroutine, at a time. When
// the context of one ends, a transfer is aborted, and the Client can be used on; anything else breaks the connection.
type Client struct {
	o     ClientOptions
	nc    net.Conn
	r     *bufio.Reader
	host  string // that was dialled
	tls   *tls.Config
	feats map[string]string
	epsv  bool // EPSV is not known to fail
	mlsd  bool
	typ   byte // of TYPE, as far as it was set
	err   error
}

// ErrClient is a Client whose connection is broken, or closed.
var ErrClient = errors.New("ftp: the client's connection can't be used any more")

// ErrReadAhead is a server that said something in plain text behind its reply to AUTH: somebody else may have.
var ErrReadAhead = errors.New("ftp: there are bytes behind the reply to AUTH")

// errNoContext is why Dial, a Client's methods and a Session fail that were given nil for a context.
var errNoContext = errors.New("ftp: the context is nil: pass context.Background()")

// Dial connects to address, which is host:port, and logs in. The error is an *[Error] if the server has refused.
func Dial(ctx context.Context, address string, o ClientOptions) (*Client, error) {
	if ctx == nil {
		return nil, errNoContext
	}
	o.Limits = o.Limits.withDefaults()
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("ftp: %w", err)
	}
	c := &Client{o: o, host: host, epsv: true}
	if o.Security != PlainText {
		c.tls = new(tls.Config)
		if o.TLS != nil {
			c.tls = o.TLS.Clone()
		}
		if c.tls.ServerName == "" {
			c.tls.ServerName = host
		}
		// One entry: all connections of this client have the same key, the ServerName, which is never empty.
		c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	dialling, cancel := context.WithTimeout(ctx, o.Limits.DialTime)
	defer cancel()
	if c.nc, err = o.Dial(dialling, "tcp", address); err != nil {
		return nil, fmt.Errorf("ftp: %w", err)
	}
	if o.Security == Implicit {
		err = c.secure(dialling)
	}
	c.r = bufio.NewReaderSize(c.nc, c.o.Limits.Line)
	if err == nil {
		err = c.watch(ctx, c.begin)
	}
	if err != nil {
		_ = c.nc.Close() // the error above is the one to tell
		return nil, err
	}
	return c, nil
}

// secure makes the handshake of the control connection.
func (c *Client) secure(ctx context.Context) error {
	nc, err := handshake(ctx, c.nc, c.tls)
	if err != nil {
		return err
	}
	c.nc = nc
	return nil
}

// handshake has nc speak TLS. A connection that has a StartTLS of its own is asked for it.
func handshake(ctx context.Context, nc net.Conn, cfg *tls.Config) (net.Conn, error) {
	if t, ok := nc.(interface{ StartTLS(*tls.Config) error }); ok {
		if err := layer.Handshake(t.StartTLS(cfg)); err != nil { // FTP knows no STARTTLS
			return nil, fmt.Errorf("ftp: %w", err)
		}
		return nc, nil
	}
	tc := tls.Client(&endConn{Conn: nc}, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("ftp: handshake: %w", err)
	}
	return tc, nil
}

// begin is all up to the login.
func (c *Client) begin() error {
	for { // 120: ready in a while (RFC 959, section 5.4)
		r, err := c.reply()
		if err != nil {
			return err
		}
		if r.Class() == 2 {
			break
		}
		if r.Class() != 1 {
			return &Error{"the greeting", r}
		}
	}
	if c.o.Security == Explicit {
		if err := c.auth(); err != nil {
			return err
		}
	}
	if c.o.Host != "" {
		if r, err := c.ask("HOST", c.o.Host); err != nil {
			return err
		} else if r.Class() != 2 && r.Code != 500 && r.Code != 502 {
			return &Error{"HOST", r}
		}
	}
	if c.o.Security != PlainText {
		if _, err := c.want(2, "PBSZ", "0"); err != nil {
			return err
		}
		if _, err := c.want(2, "PROT", "P"); err != nil {
			return err
		}
	}
	if err := c.login(); err != nil {
		return err
	}
	return c.features()
}

func (c *Client) auth() error {
	if _, err := c.want(2, "AUTH", "TLS"); err != nil {
		return err
	}
	if c.r.Buffered() > 0 {
		return c.broken(ErrReadAhead)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Limits.DialTime) // watch sees to the caller's
	defer cancel()
	if err := c.secure(ctx); err != nil {
		return c.broken(err)
	}
	c.r.Reset(c.nc)
	return nil
}

func (c *Client) login() error {
	user, password := c.o.User, c.o.Password
	if user == "" {
		user = "anonymous"
		if password == "" {
			password = "anonymous@"
		}
	}
	r, err := c.ask("USER", user)
	if err == nil && r.Code == 331 {
		r, err = c.ask("PASS", password)
	}
	if err != nil {
		return err
	}
	if r.Class() != 2 {
		return &Error{"USER", r}
	}
	return nil
}

// features asks for what the server has, and says that names are in UTF-8 (RFC 2640, section 3).
func (c *Client) features() error {
	c.feats = make(map[string]string)
	r, err := c.ask("FEAT", "")
	if err != nil {
		return err
	}
	if r.Code != 211 {
		return nil // it is older than that
	}
	for _, line := range r.Lines {
		if line, ok := strings.CutPrefix(line, " "); ok {
			name, arg, _ := strings.Cut(line, " ")
			c.feats[strings.ToUpper(name)] = arg
		}
	}
	_, c.mlsd = c.feats["MLST"]
	if _, ok := c.feats["UTF8"]; ok {
		_, err = c.ask("OPTS", "UTF8 ON") // some want it, and those who do not know it say so
	}
	return err
}

// Feature is what FEAT has told of a command: "STREAM" of REST.
func (c *Client) Feature(name string) (arg string, ok bool) {
	arg, ok = c.feats[strings.ToUpper(name)]
	return arg, ok
}

// TLS is the state of the control connection; ok is false in plain text.
func (c *Client) TLS() (st tls.ConnectionState, ok bool) {
	if t, is := c.nc.(interface{ ConnectionState() tls.ConnectionState }); is && c.tls != nil {
		return t.ConnectionState(), true
	}
	return st, false
}

// watch has f done, while the end of ctx breaks the connection.
func (c *Client) watch(ctx context.Context, f func() error) error {
	if c.err != nil {
		return c.err
	}
	switch {
	case ctx == nil:
		return errNoContext
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return c.watched(ctx, f)
}

// watched is watch for what has to be done even if ctx has ended, or the next reply would be taken for another's.
func (c *Client) watched(ctx context.Context, f func() error) error {
	nc := c.nc
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) }) // what waits returns
	err := f()
	if !stop() && err != nil {
		return c.broken(context.Cause(ctx))
	}
	return err
}

// broken notes that the connection can't be used any more.
func (c *Client) broken(err error) error {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %w", ErrClient, err)
		_ = c.nc.Close() // err is the one to tell
	}
	return c.err
}

// ask sends a command and reads its reply. An error is of the connection, or of an argument that can't be sent.
func (c *Client) ask(name, arg string) (Reply, error) {
	if err := c.command(name, arg); err != nil {
		return Reply{}, err
	}
	return c.reply()
}

func (c *Client) command(name, arg string) error {
	if c.err != nil {
		return c.err
	}
	b, err := AppendCommand(nil, name, arg)
	if err == nil && len(b) > c.o.Limits.Line {
		err = ErrLineTooLong
	}
	if err != nil {
		return fmt.Errorf("ftp: %s: %w", name, err)
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.o.Limits.ReplyTime)) // a connection that is over says so at the write
	if _, err := c.nc.Write(b); err != nil {
		return c.broken(err)
	}
	return nil
}

// want is ask for a reply of a class.
func (c *Client) want(class int, name, arg string) (Reply, error) {
	r, err := c.ask(name, arg)
	if err == nil && r.Class() != class {
		err = &Error{name, r}
	}
	return r, err
}

// reply reads one.
func (c *Client) reply() (Reply, error) { return c.replyBy(time.Now().Add(c.o.Limits.ReplyTime)) }

func (c *Client) replyBy(by time.Time) (Reply, error) {
	_ = c.nc.SetReadDeadline(by) // a connection that is over says so at the read
	var p ReplyParser
	for range c.o.Limits.ReplyLines {
		line, err := c.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			err = ErrReplyTooLong
		}
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return Reply{}, c.broken(err)
		}
		text := strings.ReplaceAll(strings.TrimRight(string(line), "\r\n"), "\xff\xff", "\xff") // Telnet's
		r, done, err := p.Line(text)
		if err != nil {
			return Reply{}, c.broken(err)
		}
		if !done {
			continue
		}
		if r.Code == 421 { // the server ends the connection (RFC 959, section 4.2.1)
			return r, c.broken(&Error{"the session", r})
		}
		return r, nil
	}
	return Reply{}, c.broken(ErrReplyTooLong)
}

// Do sends a command that has no data connection, and returns its reply, whatever that is.
func (c *Client) Do(ctx context.Context, name, arg string) (r Reply, err error) {
	err = c.watch(ctx, func() error {
		r, err = c.ask(name, arg)
		return err
	})
	return r, err
}

// done is Do for one that has to succeed, by a reply of a class.
func (c *Client) done(ctx context.Context, class int, name, arg string) (r Reply, err error) {
	err = c.watch(ctx, func() error {
		r, err = c.want(class, name, arg)
		return err
	})
	return r, err
}

// Close says QUIT, waits a moment for the answer, and closes.
func (c *Client) Close() error {
	if c.err != nil {
		return nil
	}
	_ = c.nc.SetDeadline(time.Now().Add(c.o.Limits.AbortTime)) // it is closed anyway
	if err := c.command("QUIT", ""); err == nil {
		_, _ = c.replyBy(time.Now().Add(c.o.Limits.AbortTime)) // likewise
	}
	err := c.nc.Close()
	if c.err != nil {
		return nil // it was closed before
	}
	c.err = fmt.Errorf("%w: %w", ErrClient, os.ErrClosed)
	return err
}

// peer is the server's address of the control connection.
func (c *Client) peer() netip.AddrPort { return addrPort(c.nc.RemoteAddr()) }
