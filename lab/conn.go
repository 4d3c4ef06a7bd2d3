package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// What follows is a host's network for goroutines, which block: package net's types, in a live world. Virtual time
// waits for no goroutine.

var errNotLive = errors.New("lab: this is for goroutines, and so for a world with Options.Live: " +
	"in virtual time use loops and coroutines")

var errBubble = errors.New("lab: a world belongs to the testing/synctest bubble that made it, or to none if it was " +
	"made in none: make it where it is used")

// own refuses who is in a bubble that the world is not in, or in none when the world is in one: time is another there,
// and the runtime ends the process when one of them wakes the other. Two bubbles it can't tell apart.
func (w *World) own() error {
	if wait.Bubbled() != w.bubbled {
		return errBubble
	}
	return nil
}

// forGoroutines is own where goroutines block.
func (w *World) forGoroutines() error {
	if !w.opt.Live {
		return errNotLive
	}
	return w.own()
}

// A gate is where goroutines wait for something of the network's, until it changes, a deadline passes or it is closed.
type gate struct {
	w       *World
	mu      sync.Mutex
	changed sync.Cond
	times   uint64 // that something changed
	closed  bool
	read    limit
	write   limit
}

// A limit is a deadline.
type limit struct {
	timer  *time.Timer
	passed bool
}

func (g *gate) init(w *World) { g.w, g.changed.L = w, &g.mu }

// hears is what the network is to call.
func (g *gate) hears(loop.Ready) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times++
	g.changed.Broadcast()
}

// try calls f until it returns something else than ErrWouldBlock, and waits in between.
func (g *gate) try(l *limit, f func() error) error {
	if err := g.w.own(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		switch times := g.times; {
		case g.closed:
			return net.ErrClosed
		case l.passed:
			return os.ErrDeadlineExceeded
		default:
			g.mu.Unlock()
			err := f()
			g.mu.Lock()
			if err != sock.ErrWouldBlock {
				return err
			}
			for times == g.times && !g.closed && !l.passed {
				g.changed.Wait()
			}
		}
	}
}

func (g *gate) set(l *limit, t time.Time) error {
	if err := g.w.own(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return net.ErrClosed
	}
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.passed = !t.IsZero() && time.Until(t) <= 0
	if !t.IsZero() && !l.passed {
		var own *time.Timer
		own = time.AfterFunc(time.Until(t), func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if l.timer == own {
				l.passed = true
				g.changed.Broadcast()
			}
		})
		l.timer = own
	}
	g.changed.Broadcast()
	return nil
}

// shut reports whether it was the first to.
func (g *gate) shut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range []*limit{&g.read, &g.write} {
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
		}
	}
	first := !g.closed
	g.closed = true
	g.changed.Broadcast()
	return first
}

// SetReadDeadline is of net.Conn.
func (g *gate) SetReadDeadline(t time.Time) error { return g.set(&g.read, t) }

// SetWriteDeadline is of net.Conn.
func (g *gate) SetWriteDeadline(t time.Time) error { return g.set(&g.write, t) }

// SetDeadline is of net.Conn.
func (g *gate) SetDeadline(t time.Time) error {
	return errors.Join(g.SetReadDeadline(t), g.SetWriteDeadline(t))
}

// A conn is a connection for goroutines: a net.Conn, with some more of net.TCPConn's methods.
type conn struct {
	gate
	s      *stream
	resets bool // under gate.mu
}

func newConn(s *stream) *conn {
	c := &conn{s: s}
	c.init(s.host.w)
	s.Notify(c.hears)
	return c
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Read is of net.Conn.
func (c *conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	err = c.try(&c.read, func() (err error) {
		n, err = c.s.Read(p)
		return err
	})
	return n, c.wrap("read", err)
}

// Write is of net.Conn.
func (c *conn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		err = c.try(&c.write, func() error {
			k, err := c.s.Write(p[n:])
			n += k
			return err
		})
	}
	return n, c.wrap("write", err)
}

// CloseWrite is that of net.TCPConn.
func (c *conn) CloseWrite() error { return c.wrap("close", c.s.CloseWrite()) }

// SetNoDelay is that of net.TCPConn.
func (c *conn) SetNoDelay(on bool) error {
	value := 0
	if on {
		value = 1
	}
	return c.s.SetOption(loop.NoDelay, value)
}

// SetReadBuffer is that of net.TCPConn; more than the stack has is as much as it has.
func (c *conn) SetReadBuffer(bytes int) error { return c.s.SetOption(loop.RecvBuffer, bytes) }

// SetWriteBuffer is that of net.TCPConn, likewise.
func (c *conn) SetWriteBuffer(bytes int) error { return c.s.SetOption(loop.SendBuffer, bytes) }

// Unacked is how many bytes the peer's stack has not acknowledged.
func (c *conn) Unacked() int { return c.s.Unacked() }

// SetLinger is that of net.TCPConn, for 0 and below.
func (c *conn) SetLinger(sec int) error {
	if sec > 0 {
		return fmt.Errorf("lab: SetLinger(%d): Close waits for nobody: %w", sec, errors.ErrUnsupported)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resets = sec == 0
	return nil
}

// Close is of net.Conn.
func (c *conn) Close() error {
	if !c.shut() {
		return c.wrap("close", net.ErrClosed)
	}
	c.mu.Lock()
	resets := c.resets
	c.mu.Unlock()
	if resets {
		c.s.Abort()
	} else {
		c.s.Close()
	}
	return nil
}

// LocalAddr is of net.Conn.
func (c *conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.s.LocalAddr()) }

// RemoteAddr is of net.Conn.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.s.RemoteAddr()) }

// parse reads an address of package net: a host is one of the world's names, or an address; "" is the host itself.
func (h *Host) parse(network, address string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.LookupPort(network, port)
	if err != nil {
		return nil, err
	}
	ips := []netip.Addr{netip.IPv6Unspecified()}
	if host != "" {
		if ip, err := netip.ParseAddr(host); err == nil {
			ips[0] = ip
		} else if ips, err = h.LookupHost(host); err != nil {
			return nil, err
		}
	}
	var found []netip.AddrPort
	for _, ip := range ips {
		found = append(found, netip.AddrPortFrom(ip, uint16(number)))
	}
	return found, nil
}

// DialContext connects from this host, as net.Dialer's does: network is "tcp", and the host in address a name of the
// world or an address. It is for goroutines, in a live world.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" {
		return nil, net.UnknownNetworkError(network)
	}
	to, err := h.parse(network, address)
	if err != nil {
		return nil, err
	}
	return h.DialWith(ctx, to[0], sock.Options{})
}

// DialWith is DialContext to an address, with options.
func (h *Host) DialWith(ctx context.Context, to netip.AddrPort, o sock.Options) (net.Conn, error) {
	if err := h.w.forGoroutines(); err != nil {
		return nil, err
	}
	s, err := h.Dial(sock.FromAddrPort("tcp", to), o)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	c := newConn(s.(*stream))
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) }) // it fails when it is closed
	err = c.try(&c.read, c.s.connected)
	if stop() && err == nil {
		return c, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	c.shut()
	c.s.Abort()
	return nil, c.wrap("dial", err)
}

// A listener accepts for goroutines: a net.Listener.
type listener struct {
	gate
	b *backlog
}

// Listener listens on this host, as net.Listen does. It is for goroutines, in a live world.
func (h *Host) Listener(network, address string) (net.Listener, error) {
	if err := h.w.forGoroutines(); err != nil {
		return nil, err
	}
	if network != "tcp" {
		return nil, net.UnknownNetworkError(network)
	}
	at, err := h.parse(network, address)
	if err != nil {
		return nil, err
	}
	b, err := h.Listen(sock.FromAddrPort("tcp", at[0]), sock.Options{})
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(at[0]), Err: err}
	}
	l := &listener{b: b.(*backlog)}
	l.init(h.w)
	b.Notify(l.hears)
	return l, nil
}

// Accept is of net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	var s loop.Stream
	err := l.try(&l.read, func() (err error) {
		s, err = l.b.Accept()
		return err
	})
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
	}
	return newConn(s.(*stream)), nil
}

// Addr is of net.Listener.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.b.Addr()) }

// Close is of net.Listener.
func (l *listener) Close() error {
	if !l.shut() {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.b.Close()
	return nil
}
