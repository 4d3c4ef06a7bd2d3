package plexor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/backlog"
	"github.com/plexor-go/plexor/internal/eyeballs"
	"github.com/plexor-go/plexor/internal/layer"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Dial connects to address and returns a connection for the coroutines of the calling one's loop. It is for coroutines:
// ctx is the context that the task was given, or one derived from it, such as [Conn.Context] in a handler. Anywhere
// else it fails and says so; [Run] makes a loop for programs that have none, and a [Client] dials for goroutines.
//
// The address is "tcp://host:port" or "unix:///path", with socket options as a query (see sock.ParseAddr and
// sock.ParseOptions), or
//
//	tls://host:port?cert=FILE&key=FILE&fingerprint=AB:CD:…
//
// where the connection begins with a handshake: cert and key are the client's own certificate, if the server wants one,
// and fingerprint is the SHA-256 of the one certificate that is trusted, whoever has signed it. Without it the system's
// authorities, or those of Dialer.TLS, must vouch for the host. A name is looked up on a goroutine while the loop goes
// on, and if it has several addresses, the first to answer wins (Happy Eyeballs version 2, RFC 8305). ctx bounds all of
// it; when Dial fails nothing is left open, and the error is a *[DialError] that tells how each attempt went.
//
// The connection is the caller's to close. No limit of a server holds for it, and a server's Shutdown waits until it is
// closed. It is a Conn as a handler's is, but that it does not end with the task that dialled it.
func Dial(ctx context.Context, address string) (*Conn, error) {
	return new(Dialer).Dial(ctx, address)
}

// A Dialer holds the choices for Dial. The zero value has the defaults. It may be used by any number of coroutines, on
// any loops.
type Dialer struct {
	// Lookup finds the addresses of a name, in the order in which they are to be tried (default the system's, which sorts
	// by RFC 6724, or the loop's Network's, if it has one). It is called on a goroutine, where it may block until ctx is
	// done.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	// Delay is how long an attempt has before the next one begins beside it (default 250 ms).
	Delay time.Duration
	// TLS is for tls:// addresses (nil: the defaults of crypto/tls). An empty ServerName is filled in from the address.
	TLS *tls.Config
}

// A DialError tells why there is no connection.
type DialError struct {
	Address string
	// Errs are the reasons: one an attempt, in the order in which they began, or one for all. errors.Is and errors.As
	// look into each.
	Errs []error
}

func (e *DialError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plexor: dial %s: ", e.Address)
	for i, err := range e.Errs {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(layer.Plain(err.Error()))
	}
	return b.String()
}

// Unwrap returns Errs.
func (e *DialError) Unwrap() []error { return e.Errs }

// Timeout reports whether time ran out: that of ctx, or the system's own for an answer.
func (e *DialError) Timeout() bool {
	return slices.ContainsFunc(e.Errs, func(err error) bool {
		t, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err)
		return ok && t.Timeout()
	})
}

// Temporary is of net.Error: whether to try again is the caller's to know.
func (e *DialError) Temporary() bool { return false }

// Dial is like the function [Dial].
func (d *Dialer) Dial(ctx context.Context, address string) (*Conn, error) {
	c, errs := d.dial(ctx, address)
	if errs != nil {
		return nil, &DialError{Address: address, Errs: errs}
	}
	return c, nil
}

func (d *Dialer) dial(ctx context.Context, address string) (*Conn, []error) {
	t, err := coro.Self(ctx, "plexor.Dial")
	if err != nil {
		return nil, []error{fmt.Errorf("%w; plexor.Run makes a loop and runs a function as a coroutine, "+
			"and a plexor.Client dials for goroutines", err)}
	}
	ep, err := parseStream(address)
	if err != nil {
		return nil, []error{err}
	}
	w := workerOn(t.Scheduler())
	addrs, err := d.resolve(ctx, w, ep.addr)
	if err != nil {
		return nil, []error{err}
	}
	return d.connect(ctx, w, ep, addrs)
}

// parseStream is parseEndpoint for an address to connect to.
func parseStream(address string) (*endpoint, error) {
	ep, err := parseEndpoint(address)
	if err == nil && ep.addr.Scheme == "udp" {
		err = errors.New("udp has no connections: net.Dial makes a socket for datagrams, Server.OpenPackets serves them")
	}
	return ep, err
}

// connect connects to the first of addrs that answers, on the loop that w is of, and
// makes the handshake of a tls address.
func (d *Dialer) connect(ctx context.Context, w *worker, ep *endpoint, addrs []sock.Addr) (*Conn, []error) {
	delay := d.Delay
	if delay == 0 {
		delay = eyeballs.Delay
	}
	addrs = eyeballs.Interleave(addrs)
	c, errs := eyeballs.Race(ctx, addrs, delay, func(ctx context.Context, a sock.Addr) (*Conn, error) {
		return w.connect(ctx, a, ep.options)
	}, func(c *Conn) { c.raw.abort(loop.ErrAborted) })
	if errs != nil || !ep.secure() {
		return c, errs
	}
	err := loop.ErrAborted // of a callback that panics, or ends its goroutine
	defer func() {
		if err != nil {
			c.raw.abort(err) // it is of no use to anybody
		}
	}()
	if err = ep.clientTLS(ctx, c, d.TLS); err != nil {
		return nil, []error{err}
	}
	return c, nil
}

// resolve finds the addresses of a name, off the loop that w is of.
func (d *Dialer) resolve(ctx context.Context, w *worker, a sock.Addr) ([]sock.Addr, error) {
	if _, literal := a.AddrPort(); literal || a.Scheme == "unix" {
		return []sock.Addr{a}, nil
	}
	on := w.loop.Network()
	if on != nil && d.Lookup == nil {
		return lookUpOn(on, a)
	}
	return coro.AwaitIn(ctx, w.lookUps, func() ([]sock.Addr, error) { return d.lookUp(ctx, on, a) })
}

// lookUpOn is lookUp by a network's own names, which does not wait.
func lookUpOn(net loop.Network, a sock.Addr) ([]sock.Addr, error) {
	names, ok := net.(loop.Resolver)
	if !ok {
		return nil, fmt.Errorf("look up %s: the network knows no names: %w", a.Host, errors.ErrUnsupported)
	}
	ips, err := names.LookupHost(a.Host)
	return found(a, ips, err)
}

// lookUp is resolve for who may block. on is what the loops stand on; nil: the kernel.
func (d *Dialer) lookUp(ctx context.Context, on loop.Network, a sock.Addr) ([]sock.Addr, error) {
	switch _, literal := a.AddrPort(); {
	case literal || a.Scheme == "unix" || on == nil && d.Lookup == nil:
		return a.Resolve(ctx)
	case d.Lookup == nil:
		return lookUpOn(on, a)
	}
	ips, err := d.Lookup(ctx, a.Host)
	return found(a, ips, err)
}

// found makes the addresses that a look-up of a's host has found.
func found(a sock.Addr, ips []netip.Addr, err error) (as []sock.Addr, _ error) {
	if err == nil && len(ips) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", a.Host, err)
	}
	for _, ip := range ips {
		one := a
		one.Host = ip.Unmap().String()
		as = append(as, one)
	}
	return as, nil
}

// An attempt is a connection on its way: a loop.Handler until it stands.
type attempt struct {
	loop.Base
	c      *Conn
	waiter coro.Waiter
	done   bool
	err    error
}

// connect is one attempt. When ctx ends it, the socket is closed at once.
func (w *worker) connect(ctx context.Context, a sock.Addr, o sock.Options) (*Conn, error) {
	k := &attempt{c: new(Conn)}
	lc, err := w.loop.Dial(a, o, 0, k)
	for pace := new(backlog.Pace); backlog.Full(a, err) && pace.Waited < backlog.Patience; {
		if coro.Sleep(ctx, pace.Next()) != nil {
			return nil, fmt.Errorf("connect %s: %w: %w", a, context.Cause(ctx), err)
		}
		lc, err = w.loop.Dial(a, o, 0, k)
	}
	if err != nil {
		return nil, err
	}
	k.c.raw = w.newStream(lc, netip.AddrPort{}, 0)
	k.c.raw.above = started
	for !k.done {
		if err := k.waiter.Wait(ctx, "connect", a); err != nil {
			lc.Abort()
			return nil, fmt.Errorf("connect %s: no answer: %w", a, err)
		}
	}
	if k.err == nil {
		return k.c, nil
	}
	if e, ok := errors.AsType[*sock.Error](k.err); ok && e.Addr == "" {
		said := *e
		said.Addr = a.String()
		return nil, &said
	}
	return nil, fmt.Errorf("connect %s: %w", a, k.err)
}

// Opened is of loop.Handler: it stands, and is a Conn from now on.
func (k *attempt) Opened(lc *loop.Conn) {
	lc.SetHandler((*events)(k.c))
	lc.ReadOn() // for the other end may be a server's, which stops reading while it can't write
	k.c.raw.peer = peerOf(lc)
	if w := k.c.raw.w; w.client != nil {
		w.enlist(k.c)
	}
	k.finish(nil)
}

// Closed is of loop.Handler: it will never stand.
func (k *attempt) Closed(_ *loop.Conn, err error) { k.finish(err) }

func (k *attempt) finish(err error) {
	k.done, k.err = true, err
	k.waiter.Wake()
}
