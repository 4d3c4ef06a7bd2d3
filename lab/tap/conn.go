package tap

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/plexor-go/plexor/lab/tcp"
)

// A Listener takes connections. It is a net.Listener.
type Listener struct {
	host    *Host
	tcp     *tcp.Listener
	addr    netip.AddrPort
	changed signal
	next    *Conn // for one who waits in Accept
	waiting int
	closed  bool
}

// Listen takes TCP connections to an address of the host, or to the unspecified one, for all of that family. The
// backlog is that of TCP's limits.
func (h *Host) Listen(addr netip.AddrPort) (*Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &Listener{host: h, addr: addr}
	err := h.err
	if err == nil {
		l.tcp, err = h.ip.TCP().Listen(addr, 0)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: failure(err)}
	}
	h.listeners[l] = struct{}{}
	return l, nil
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	h := l.host
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		err := h.err
		if l.closed {
			err = net.ErrClosed
		}
		if err != nil {
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
		}
		l.look()
		if c := l.next; c != nil {
			l.next = nil
			return c, nil
		}
		wait := l.changed.wait()
		l.waiting++
		h.mu.Unlock()
		<-wait
		h.mu.Lock()
		l.waiting--
	}
}

// look takes a connection from TCP's backlog for one who waits, with the lock held.
func (l *Listener) look() {
	if l.next != nil {
		return
	}
	if t := l.tcp.Accept(); t != nil {
		l.next = l.host.conn(t)
		l.changed.all()
	}
}

// Close takes no more connections, and resets those that nobody has accepted.
func (l *Listener) Close() error {
	h := l.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	delete(h.listeners, l)
	h.begin()
	l.tcp.Close(h.now)
	if l.next != nil {
		l.next.tcp.Abort(h.now)
		delete(h.conns, l.next.tcp)
	}
	h.end()
	l.changed.all()
	return nil
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// Dial opens a connection from the host. The context bounds the handshake.
func (h *Host) Dial(ctx context.Context, remote netip.AddrPort) (*Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fail := func(err error) (*Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(remote), Err: failure(err)}
	}
	if h.err != nil {
		return fail(h.err)
	}
	h.begin()
	t, err := h.ip.Dial(h.now, remote)
	if err != nil {
		return fail(err)
	}
	c := h.conn(t)
	h.end()
	for t.State() < tcp.Established && t.Err() == nil && h.err == nil {
		wait := c.changed.wait()
		h.mu.Unlock()
		select {
		case <-wait:
			h.mu.Lock()
		case <-ctx.Done():
			h.mu.Lock()
			c.abort()
			return fail(context.Cause(ctx))
		}
	}
	if err := errors.Join(t.Err(), h.err); err != nil {
		delete(h.conns, t)
		return fail(err)
	}
	return c, nil
}

// A Conn is a connection of a Host. It is a net.Conn, and may be half closed.
type Conn struct {
	host          *Host
	tcp           *tcp.Conn
	local, remote net.Addr
	changed       signal
	closed        bool
	read, write   deadline
}

func (h *Host) conn(t *tcp.Conn) *Conn {
	c := &Conn{host: h, tcp: t, local: net.TCPAddrFromAddrPort(t.Local()), remote: net.TCPAddrFromAddrPort(t.Remote())}
	h.conns[t] = c
	return c
}

// happened takes what TCP tells of it, with the lock held.
func (c *Conn) happened(e tcp.Events) {
	if e&tcp.Ended != 0 && c.closed {
		delete(c.host.conns, c.tcp)
	}
	c.changed.all()
}

// Read takes what has come, and waits where nothing has.
func (c *Conn) Read(b []byte) (n int, err error) {
	err = c.loop("read", &c.read, func() (bool, error) {
		var end bool
		n, end, err = c.tcp.Read(c.host.now, b)
		if end {
			err = io.EOF
		}
		return n > 0 || len(b) == 0, err
	})
	return n, err
}

// Write hands b over to be sent. It waits while more than the send buffer is not acknowledged.
func (c *Conn) Write(b []byte) (n int, err error) {
	err = c.loop("write", &c.write, func() (bool, error) {
		m, err := c.tcp.Write(c.host.now, b[n:])
		n += m
		return n == len(b), err
	})
	return n, err
}

// loop does step until it is done, fails, or its deadline has passed.
func (c *Conn) loop(op string, d *deadline, step func() (done bool, err error)) error {
	h := c.host
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		var done bool
		err, before := h.err, c.changed.times
		switch {
		case c.closed:
			err = net.ErrClosed
		case err != nil:
		case d.passed():
			err = os.ErrDeadlineExceeded
		default:
			h.begin()
			done, err = step()
			h.end()
		}
		if err == io.EOF {
			return err
		}
		if err != nil {
			return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: failure(err)}
		}
		if done {
			return nil
		}
		if c.changed.times != before {
			continue // end has taken frames in, and something has come with them
		}
		wait, late := c.changed.wait(), d.ch
		h.mu.Unlock()
		select {
		case <-wait:
		case <-late:
		}
		h.mu.Lock()
	}
}

// CloseWrite ends this side's half: what was written is sent, and then a FIN.
func (c *Conn) CloseWrite() error {
	return c.loop("close", new(deadline), func() (bool, error) { return true, c.tcp.CloseWrite(c.host.now) })
}

// Close ends both halves. What was written is sent in the background, and then a FIN; text that nobody has read is
// lost, and the peer is told so by a reset.
func (c *Conn) Close() error {
	h := c.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.release()
	h.begin()
	_ = c.tcp.Close(h.now) // it fails where the connection has ended already
	if c.tcp.State() == tcp.Closed {
		delete(h.conns, c.tcp)
	}
	h.end()
	return nil
}

// Abort ends the connection at once, with a reset to the peer: Close with a linger time of 0.
func (c *Conn) Abort() {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	c.abort()
}

func (c *Conn) abort() {
	c.release()
	c.host.begin()
	c.tcp.Abort(c.host.now)
	delete(c.host.conns, c.tcp)
	c.host.end()
}

// release ends the calls that wait.
func (c *Conn) release() {
	c.closed = true
	c.read.set(time.Time{})
	c.write.set(time.Time{})
	c.changed.all()
}

// Do has f work on the connection, as Host.Do does on a host.
func (c *Conn) Do(f func(now time.Duration, t *tcp.Conn)) {
	h := c.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begin()
	f(h.now, c.tcp)
	h.end()
}

// LocalAddr and RemoteAddr are *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr  { return c.local }
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline, SetReadDeadline and SetWriteDeadline are those of net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline has Read fail from t on.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.read, t) }

// SetWriteDeadline has Write fail from t on.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.write, t) }

func (c *Conn) setDeadline(d *deadline, t time.Time) error {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	d.set(t)
	c.changed.all()
	return nil
}

// A deadline is a time that a channel tells of. The host's lock guards it.
type deadline struct {
	timer *time.Timer
	ch    chan struct{} // closed at the time; nil: never
}

// set sets another time; the zero one is never. Who waits for the old one has to be woken.
func (d *deadline) set(t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer, d.ch = nil, nil
	if !t.IsZero() {
		ch := make(chan struct{})
		d.ch = ch
		if left := time.Until(t); left > 0 {
			d.timer = time.AfterFunc(left, func() { close(ch) })
		} else {
			close(ch) // here: a timer's goroutine may come later than the next call
		}
	}
}

func (d *deadline) passed() bool {
	select {
	case <-d.ch:
		return true
	default:
		return false
	}
}

// failure is an error as net has it: errors.Is finds the system's number underneath.
func failure(err error) error {
	for _, f := range []struct{ ours, system error }{
		{tcp.ErrReset, syscall.ECONNRESET}, {tcp.ErrRefused, syscall.ECONNREFUSED}, {tcp.ErrTimeout, syscall.ETIMEDOUT},
		{tcp.ErrClosed, net.ErrClosed}, {tcp.ErrInUse, syscall.EADDRINUSE}, {tcp.ErrAddress, syscall.EADDRNOTAVAIL},
		{tcp.ErrUnreachable, syscall.EHOSTUNREACH},
	} {
		if errors.Is(err, f.ours) {
			return f.system
		}
	}
	return err
}
