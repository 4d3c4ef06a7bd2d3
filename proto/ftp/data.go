package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// leastPort is the lowest port that an active connection goes to: below are services (RFC 2577, section 3).
const leastPort = 1024

// A dataSetup is how the next data connection comes to be.
type dataSetup struct {
	ln net.Listener   // passive
	to netip.AddrPort // active
}

// dropData forgets it.
func (c *Session) dropData() {
	if c.data != nil && c.data.ln != nil {
		_ = c.data.ln.Close() // nobody waits for it
	}
	c.data = nil
}

// addrPort is a's address, without IPv4 in IPv6; not valid if a is of no such kind.
func addrPort(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (c *Session) doPORT(arg string) answer {
	to, err := ParsePort(arg)
	if err != nil {
		return say(501, "Want h1,h2,h3,h4,p1,p2.")
	}
	return c.active("PORT", to)
}

func (c *Session) doEPRT(arg string) answer {
	to, err := ParseEPRT(arg)
	switch {
	case errors.Is(err, ErrFamily):
		return say(522, "No such network protocol, use (1,2)")
	case err != nil:
		return say(501, "Want |1|address|port| or |2|address|port|.")
	}
	return c.active("EPRT", to)
}

// active takes an address that the client listens on. It is the client's own, or it is refused: who could name any
// would have this server connect to, and send to, whom they like (RFC 2577, section 3).
func (c *Session) active(op string, to netip.AddrPort) answer {
	peer := addrPort(c.nc.RemoteAddr())
	switch {
	case c.flags&epsvAll != 0:
		return say(503, "After EPSV ALL there is EPSV alone.")
	case c.srv.NoActive:
		return say(502, "Data connections are passive here.")
	case !peer.IsValid() || to.Addr().Unmap() != peer.Addr().WithZone(""), to.Port() < leastPort:
		c.srv.stats.bounces.Add(1)
		return say(504, "Only to your own address, and ports from 1024 on.")
	}
	c.dropData()
	c.data = &dataSetup{to: netip.AddrPortFrom(peer.Addr(), to.Port())}
	return sayf(200, "%s is taken.", op)
}

func (c *Session) doPASV(string) answer {
	if c.flags&epsvAll != 0 {
		return say(503, "After EPSV ALL there is EPSV alone.")
	}
	told := c.srv.Public.Unmap()
	if !told.IsValid() {
		told = addrPort(c.nc.LocalAddr()).Addr()
	}
	if !told.Is4() {
		return say(522, "PASV is for IPv4, use EPSV (1,2)")
	}
	port, a := c.listen()
	if port == 0 {
		return a
	}
	text := AppendPort([]byte("Entering Passive Mode ("), netip.AddrPortFrom(told, port))
	return say(227, string(append(text, ")."...)))
}

func (c *Session) doEPSV(arg string) answer {
	is4 := addrPort(c.nc.LocalAddr()).Addr().Is4()
	switch {
	case arg == "":
	case arg == "1" && is4, arg == "2" && !is4:
	case arg == "1":
		return say(522, "No such network protocol here, use (2)")
	case arg == "2":
		return say(522, "No such network protocol here, use (1)")
	case arg == "ALL" || arg == "all" || arg == "All":
		c.flags |= epsvAll
		return say(200, "From now on there is EPSV alone.")
	default:
		if _, ok := decimal(arg, 1<<16); ok {
			return say(522, "No such network protocol, use (1,2)")
		}
		return say(501, "Want EPSV, EPSV 1, EPSV 2 or EPSV ALL.")
	}
	port, a := c.listen()
	if port == 0 {
		return a
	}
	return sayf(229, "Entering Extended Passive Mode (|||%d|)", port)
}

// listen listens for a data connection, on this end's address of the control connection. A port of 0: the answer
// says why not.
func (c *Session) listen() (uint16, answer) {
	c.dropData()
	local := addrPort(c.nc.LocalAddr())
	if !local.IsValid() || !addrPort(c.nc.RemoteAddr()).IsValid() {
		return 0, say(425, "The control connection has no address of IP.")
	}
	first, n := int(c.srv.FirstPort), 1
	if first > 0 {
		n = int(c.srv.LastPort) - first + 1
	}
	var ln net.Listener
	err := errors.New("no port")
	start := rand.IntN(n) // who guesses the next one comes too early less often
	for i := 0; i < n && err != nil; i++ {
		port := first
		if first > 0 {
			port += (start + i) % n
		}
		ln, err = c.srv.listen(c.ctx, net.JoinHostPort(local.Addr().String(), strconv.Itoa(port)))
	}
	if err != nil {
		c.srv.logger.Warn("ftp: no port to listen on for data", "err", err)
		return 0, say(425, "There is no port for a data connection.")
	}
	c.data = &dataSetup{ln: ln}
	return addrPort(ln.Addr()).Port(), answer{}
}

func (s *Server) listen(ctx context.Context, address string) (net.Listener, error) {
	if s.Listen != nil {
		return s.Listen(ctx, address)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

func (s *Server) dial(ctx context.Context, local netip.Addr, to netip.AddrPort) (net.Conn, error) {
	if s.Dial != nil {
		return s.Dial(ctx, local, to)
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
	return d.DialContext(ctx, "tcp", to.String())
}

// The errors of a data connection.
var (
	errUnbound = errors.New("ftp: the data connection does not resume a session of the control connection")
	errAborted = errors.New("ftp: aborted")
	errNoData  = errors.New("ftp: no data connection")
)

// connect makes the data connection, and its TLS if it is private.
func (t *transfer) connect(ctx context.Context) (net.Conn, error) {
	nc, err := t.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoData, err)
	}
	if !t.private {
		return nc, nil
	}
	shown := false
	tc := tls.Server(&endConn{Conn: nc}, t.srv.dataTLS(t.bind, &shown))
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close() // the error above is the one to tell
		return nil, fmt.Errorf("%w: handshake: %w", errNoData, err)
	}
	switch shown = shown && tc.ConnectionState().DidResume; {
	case shown:
		t.bind.resumed.Store(true)
	case t.srv.Binding == BindRequire, t.srv.Binding == BindPrefer && t.bind.resumed.Load():
		t.srv.stats.unbound.Add(1)
		_ = tc.Close() // nothing was said on it
		return nil, errUnbound
	}
	return tc, nil
}

// An endConn is what a data connection over TLS runs on. It notes the end of the stream: crypto/tls takes one between
// two records for the end of the data (its Read returns io.EOF), and anybody on the way can make that. With
// close_notify the stream's own end is not read before Read returns.
type endConn struct {
	net.Conn
	ended bool
}

func (e *endConn) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	e.ended = e.ended || err == io.EOF
	return n, err
}

// SetLinger is of *net.TCPConn.
func (e *endConn) SetLinger(sec int) error {
	if l, ok := e.Conn.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(sec)
	}
	return errors.ErrUnsupported
}

// wholeEnd is the end of the data as nc's Read has it: io.EOF over TLS only behind close_notify.
func wholeEnd(nc net.Conn, err error) error {
	if tc, ok := nc.(*tls.Conn); ok && err == io.EOF {
		if e, ok := tc.NetConn().(*endConn); ok && e.ended {
			return io.ErrUnexpectedEOF
		}
	}
	return err
}

// open makes the connection alone.
func (t *transfer) open(ctx context.Context) (net.Conn, error) {
	ln := t.setup.ln
	if ln == nil {
		return t.srv.dial(ctx, t.local.Addr(), t.setup.to)
	}
	defer ln.Close()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() }) // Accept fails then
	defer stop()
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, err
		}
		if addrPort(nc.RemoteAddr()).Addr() == t.peer.Addr() {
			return nc, nil
		}
		t.srv.stats.strangers.Add(1)
		_ = nc.Close() // it is somebody else's
	}
}

// deadline is until when something has to have moved, or all of piece bytes that are written at once.
func (t *transfer) deadline(piece int) time.Time {
	l := &t.srv.limits
	if l.StallTime == 0 {
		return time.Time{}
	}
	by, least := time.Now().Add(l.StallTime), t.leastRate()
	if least == 0 {
		return by
	}
	by = by.Add(atRate(int64(piece), least))
	if all := t.due(least).Add(atRate(int64(piece), least)); all.Before(by) {
		by = all
	}
	return by
}

// leastRate is Limits.LeastRate, or half of the user's own rate if that is less: then it is not the client that is
// slow.
func (t *transfer) leastRate() int {
	least := t.srv.limits.LeastRate
	if r := t.user.Rate; r > 0 && least > 0 {
		least = int(max(min(int64(least), r/2), 1))
	}
	return least
}

// due is until when what has moved should have, at the least rate.
func (t *transfer) due(least int) time.Time {
	return t.began.Add(t.srv.limits.StallTime + atRate(t.moved.Load(), least))
}

// late reports whether the transfer has been slower than the least rate.
func (t *transfer) late() bool {
	least := t.leastRate()
	return least > 0 && time.Now().After(t.due(least))
}

// atRate is how long n bytes take.
func atRate(n int64, rate int) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}
