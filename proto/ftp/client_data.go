package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A dataConn makes the data connection of a transfer, when the server has said 1xx, or before.
type dataConn struct {
	nc   net.Conn
	ln   net.Listener
	said bool // this end has ended, and reads on until the reply has come
}

func (d *dataConn) close() {
	if d.nc != nil {
		_ = d.nc.Close() // it is given up
	}
	if d.ln != nil {
		_ = d.ln.Close() // likewise
	}
}

// data sets a data connection up.
func (c *Client) data(ctx context.Context) (*dataConn, error) {
	if c.o.Listen != nil {
		return c.activeData(ctx)
	}
	to, err := c.passiveAddress()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Limits.DialTime)
	defer cancel()
	nc, err := c.o.Dial(ctx, "tcp", to.String())
	if err != nil {
		return nil, fmt.Errorf("ftp: data connection: %w", err)
	}
	return &dataConn{nc: nc}, nil
}

// passiveAddress is where the server waits: on the address of the control connection, by the port that it tells. The
// address in the reply to PASV is not used, unless it is that one: a server could have this client connect to others.
func (c *Client) passiveAddress() (netip.AddrPort, error) {
	peer := c.peer()
	if c.epsv {
		r, err := c.ask("EPSV", "")
		if err != nil {
			return peer, err
		}
		if r.Code == 229 {
			port, err := ParseEPSV(strings.Join(r.Lines, " "))
			if err == nil {
				return netip.AddrPortFrom(peer.Addr(), port), nil
			}
		}
		c.epsv = false
	}
	if !peer.Addr().Is4() {
		return peer, fmt.Errorf("ftp: the server has no EPSV, and PASV is for IPv4: %w", errors.ErrUnsupported)
	}
	r, err := c.want(2, "PASV", "")
	if err != nil {
		return peer, err
	}
	to, err := ParsePASV(strings.Join(r.Lines, " "))
	if err != nil || to.Port() == 0 {
		return peer, &Error{"PASV", r}
	}
	return netip.AddrPortFrom(peer.Addr(), to.Port()), nil
}

// activeData has the server connect.
func (c *Client) activeData(ctx context.Context) (*dataConn, error) {
	local := addrPort(c.nc.LocalAddr())
	ln, err := c.o.Listen(ctx, "tcp", net.JoinHostPort(local.Addr().String(), "0"))
	if err != nil {
		return nil, fmt.Errorf("ftp: data connection: %w", err)
	}
	at := netip.AddrPortFrom(local.Addr(), addrPort(ln.Addr()).Port())
	r, err := c.ask("EPRT", string(AppendEPRT(nil, at)))
	if err == nil && r.Class() != 2 && at.Addr().Is4() {
		r, err = c.ask("PORT", string(AppendPort(nil, at)))
	}
	if err == nil && r.Class() != 2 {
		err = &Error{"EPRT", r}
	}
	if err != nil {
		_ = ln.Close() // the error above is the one to tell
		return nil, err
	}
	return &dataConn{ln: ln}, nil
}

// open is behind the server's 1xx: an active connection is accepted, and TLS begins.
func (c *Client) open(ctx context.Context, d *dataConn) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Limits.DialTime)
	defer cancel()
	if d.ln != nil {
		stop := context.AfterFunc(ctx, func() { _ = d.ln.Close() }) // Accept fails then
		defer stop()
		for d.nc == nil {
			nc, err := d.ln.Accept()
			if err != nil {
				if ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				return fmt.Errorf("ftp: data connection: %w", err)
			}
			if addrPort(nc.RemoteAddr()).Addr() != c.peer().Addr() {
				_ = nc.Close() // it is somebody else's
				continue
			}
			d.nc = nc
		}
	}
	if c.tls == nil {
		return nil
	}
	nc, err := handshake(ctx, d.nc, c.tls)
	if err != nil {
		return fmt.Errorf("ftp: data connection: %w", err)
	}
	d.nc = nc
	return nil
}

// transfer does a command with a data connection, from offset on. move is called with it; what it returns ends the
// transfer. Its error and the server's are both told.
func (c *Client) transfer(ctx context.Context, typ byte, name, arg string, offset int64,
	move func(nc net.Conn) error) error {
	if c.err != nil {
		return c.err
	}
	switch {
	case ctx == nil:
		return errNoContext
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	var d *dataConn
	started := false
	err := c.watch(ctx, func() (err error) {
		if d, err = c.prepare(ctx, typ, offset); err != nil {
			return err
		}
		r, err := c.ask(name, arg)
		if err == nil && r.Class() != 1 {
			err = &Error{name, r}
		}
		started = err == nil
		return err
	})
	if d != nil {
		defer func() { d.close() }()
	}
	if err != nil {
		return err
	}
	if err = c.open(ctx, d); err == nil {
		nc := d.nc
		stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) }) // what waits returns
		err = move(nc)
		stop()
	}
	if started && err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return c.abort(name, d, err)
	}
	if d.said = (name == "STOR" || name == "APPE") && c.tls != nil && sayEnd(d.nc); !d.said {
		d.close() // over TLS some servers wait for close_notify before they reply
	}
	err = c.watched(ctx, func() error {
		r, err := c.reply()
		if err == nil && r.Class() != 2 {
			err = &Error{name, r}
		}
		return err
	})
	if d.said && err == nil {
		_ = d.nc.SetReadDeadline(time.Now().Add(ticketTime))
		_, _ = io.CopyN(io.Discard, d.nc, mostAfter) // the reply has said how it ended
	}
	return err
}

const (
	// mostAfter bounds what a server may send on the data connection of an upload: tickets of TLS.
	mostAfter = 1 << 20
	// ticketTime is how long a server that has replied to an upload may take to end that connection. Those who never do
	// cost this much.
	ticketTime = 100 * time.Millisecond
)

// sayEnd ends this side of an upload over TLS, with close_notify, without which it would not count. The connection
// itself stays until the server has replied: to close it with a ticket unread would reset it, and the server might lose
// the end of the file. And the tickets are needed for the next one.
func sayEnd(nc net.Conn) bool {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return false
	}
	if tc, ok := nc.(*tls.Conn); ok {
		if e, ok := tc.NetConn().(*endConn); ok {
			if half, ok := e.Conn.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // a server that closes at close_notify may have done so
			}
		}
	}
	return true
}

// prepare is what comes before the command: TYPE, the data connection's address, REST.
func (c *Client) prepare(ctx context.Context, typ byte, offset int64) (*dataConn, error) {
	if c.typ != typ {
		if _, err := c.want(2, "TYPE", string(typ)); err != nil {
			return nil, err
		}
		c.typ = typ
	}
	d, err := c.data(ctx)
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		if _, err := c.want(3, "REST", strconv.FormatInt(offset, 10)); err != nil {
			return d, err
		}
	}
	return d, nil
}

// abort ends a transfer in its midst, and reads what the server says to that. err is why; if the server had a reason
// of its own it is told, too.
func (c *Client) abort(name string, d *dataConn, err error) error {
	if c.err != nil {
		return err
	}
	by := time.Now().Add(c.o.Limits.AbortTime)
	_ = c.nc.SetWriteDeadline(by) // a connection that is over says so at the write
	if e := c.writeAbort(); e != nil {
		_ = c.broken(e)
		return err
	}
	switch nc := d.nc.(type) { // without close_notify, or with a reset, or an upload would count
	case *tls.Conn:
		_ = nc.NetConn().Close()
	case *net.TCPConn:
		_ = nc.SetLinger(0)
	case interface{ Abort() error }:
		_ = nc.Abort()
	}
	d.close()
	// How many replies come, and in which order, is not the same everywhere: that of the transfer and that to ABOR,
	// in either order, or one of them, where ABOR was lost in the transfer's end. So there is a mark behind them. It
	// is sent when the transfer has ended, for the servers that throw away what comes during one.
	for i := range mostAbortReplies {
		r, e := c.replyBy(by)
		switch {
		case e != nil:
			return err
		case i > 0 && r.Code == 200:
			return err
		case r.Class() >= 4 && r.Code != 426 && r.Code != 500 && r.Code != 502: // the latter are for ABOR
			err = fmt.Errorf("%w: %w", &Error{name, r}, err)
		}
		if i == 0 && c.command("NOOP", "") != nil {
			return err
		}
	}
	_ = c.broken(errManyReplies)
	return err
}

// mostAbortReplies is how many replies may come behind ABOR and NOOP.
const mostAbortReplies = 4

var errManyReplies = errors.New("ftp: more replies than commands")

// writeAbort sends ABOR behind Telnet's Interrupt Process and Synch, which is its Data Mark as urgent data: a server
// that reads no commands during a transfer may look then (RFC 959, section 4.1.3). Over TLS, or where this is no TCP
// of package net's, it is the line alone, which is enough for servers that read on.
func (c *Client) writeAbort() error {
	line := "ABOR\r\n"
	if tc, ok := c.nc.(*net.TCPConn); ok {
		if _, err := io.WriteString(tc, "\xff\xf4\xff"); err != nil {
			return err
		}
		if sendUrgent(tc, telnetDM) != nil {
			line = string([]byte{telnetDM}) + line // the mark alone
		}
	}
	_, err := io.WriteString(c.nc, line)
	return err
}

// A stallConn is a data connection whose reads and writes each have a time.
type stallConn struct {
	net.Conn
	ctx context.Context
	d   time.Duration
}

func (s stallConn) Read(p []byte) (int, error) {
	_ = s.Conn.SetReadDeadline(time.Now().Add(s.d)) // a connection that is over says so at the read
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	n, err := s.Conn.Read(p)
	return n, wholeEnd(s.Conn, err)
}

func (s stallConn) Write(p []byte) (int, error) {
	_ = s.Conn.SetWriteDeadline(time.Now().Add(s.d)) // a connection that is over says so at the write
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.Conn.Write(p)
}

func (c *Client) stall(ctx context.Context, nc net.Conn) stallConn {
	return stallConn{nc, ctx, c.o.Limits.StallTime}
}

// dataType is the TYPE of files.
func (c *Client) dataType() byte {
	if c.o.ASCII {
		return 'A'
	}
	return 'I'
}

// Retr writes a file to w, from offset on, and returns how many bytes that were. Over TLS the file has ended when
// close_notify has come, or the error is io.ErrUnexpectedEOF.
func (c *Client) Retr(ctx context.Context, path string, offset int64, w io.Writer) (n int64, err error) {
	err = c.transfer(ctx, c.dataType(), "RETR", path, offset, func(nc net.Conn) error {
		n, err = io.CopyBuffer(struct{ io.Writer }{w}, c.stall(ctx, nc), make([]byte, copyBuffer))
		return err
	})
	return n, err
}

// Stor stores what r has under path, from offset on, and returns how many bytes were sent. With an offset the file
// must have that many bytes; what it has behind them is replaced, or kept, as the server likes.
func (c *Client) Stor(ctx context.Context, path string, offset int64, r io.Reader) (int64, error) {
	return c.store(ctx, "STOR", path, offset, r)
}

// Append is Stor at the end of the file.
func (c *Client) Append(ctx context.Context, path string, r io.Reader) (int64, error) {
	return c.store(ctx, "APPE", path, 0, r)
}

func (c *Client) store(ctx context.Context, name, path string, offset int64, r io.Reader) (n int64, err error) {
	err = c.transfer(ctx, c.dataType(), name, path, offset, func(nc net.Conn) error {
		n, err = io.CopyBuffer(c.stall(ctx, nc), struct{ io.Reader }{r}, make([]byte, copyBuffer))
		return err
	})
	return n, err
}

// Resume stores what r has under path, of which the server may have the beginning already: that many bytes are passed
// over. It returns where it began.
func (c *Client) Resume(ctx context.Context, path string, r io.ReadSeeker) (from int64, err error) {
	if from, err = c.Size(ctx, path); err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Reply.Class() != 5 || c.err != nil {
			return 0, err
		}
		from = 0 // there is no such file yet
	}
	size, err := r.Seek(0, io.SeekEnd)
	if err == nil && from > size {
		err = fmt.Errorf("ftp: %s has %d bytes there, and %d here", path, from, size)
	}
	if err == nil {
		_, err = r.Seek(from, io.SeekStart)
	}
	if err != nil {
		return from, err
	}
	_, err = c.Stor(ctx, path, from, r)
	return from, err
}
