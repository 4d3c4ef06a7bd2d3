package web

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/proto/http1"
)

// The pool. All of it belongs to the loop, and nothing here waits but get. A request that wants a connection takes the
// one of its host that has rested for the shortest time, or opens another if the bounds have room (a connection that
// rests elsewhere makes room in Conns), or else waits:
//
//	of its host        in order: who is first gets the next connection of the host that comes free, or its room
//	of all hosts       hosts that have room of their own wait for room in Conns, one request each in turn
//
// What is counted in open is a connection from before it is dialled until it is closed.

// A clientKey is what connections have in common that may serve the same requests.
type clientKey struct {
	scheme, addr, proxy string
	h1                  bool // HTTP/1.1 alone: the request wants to change the protocol
}

type clientHost struct {
	key     clientKey
	proxy   http.Header // that go to a proxy with each request
	direct  bool        // requests are sent as to the server itself
	open    int
	idle    []*clientConn // that has rested longest first
	waiting list.List     // of *clientWaiter
	dialing list.List     // of *clientWaiter: a connection is being opened for each
	hungry  *list.Element // in Client.hungry
	muxes   []*clientMux  // of HTTP/2
}

type clientWaiter struct {
	place coro.Waiter
	at    *list.Element
	k     *clientConn // what it got,
	slot  bool        // or leave to open one,
	err   error       // or that there will be none
	told  bool        // it was
}

// A clientConn is a connection to a host.
type clientConn struct {
	c     *Client
	host  *clientHost
	nc    *plexor.Conn
	h1    *http1.ClientConn
	mux   *clientMux // nil: it speaks HTTP/1.1
	tls   *tls.ConnectionState
	trace *httptrace.ClientTrace // of its last request
	at    *list.Element          // in Client.idle while it rests
	since time.Time              // it rests
	used  bool                   // it has served a request
}

// A clientNet is the connection for package http1, which closes it where nobody may have to wait.
type clientNet struct {
	*plexor.Conn
	k *clientConn
}

// Close is of net.Conn. What was written is delivered, and nobody waits for that.
func (n *clientNet) Close() error {
	n.k.c.beside(func() { _ = n.Conn.Close() })
	return nil
}

// errLookAgain is for who waits: a connection of HTTP/2 has room.
var errLookAgain = errors.New("web: a connection has room")

// host finds or makes the entry of a key.
func (c *Client) host(key clientKey) *clientHost {
	h := c.hosts[key]
	if h == nil {
		h = &clientHost{key: key, direct: true}
		c.hosts[key] = h
	}
	return h
}

// forget drops the entry of a host of which there is nothing.
func (c *Client) forget(h *clientHost) {
	if h.open == 0 && h.waiting.Len() == 0 && c.hosts[h.key] == h {
		delete(c.hosts, h.key)
	}
}

var gzipHeader = http.Header{"Accept-Encoding": {"gzip"}}

// extra are the fields that the connection adds to a request.
func (h *clientHost) extra(gzips bool) http.Header {
	switch {
	case h.proxy == nil && gzips:
		return gzipHeader
	case gzips:
		both := h.proxy.Clone()
		both["Accept-Encoding"] = gzipHeader["Accept-Encoding"]
		return both
	}
	return h.proxy
}

// netConn is the connection below, for hooks.
func (k *clientConn) netConn() net.Conn {
	if k.mux != nil {
		return k.mux.nc
	}
	return k.nc
}

// get is a connection for x: a fresh one has served nobody before.
func (c *Client) get(x *clientExchange, key clientKey, proxy *clientProxy) (k *clientConn, fresh bool, err error) {
	if x.trace.GetConn != nil {
		x.trace.GetConn(key.addr)
	}
	h := c.host(key)
	h.proxy, h.direct = proxy.fields(), proxy.direct()
	if k, err = c.find(x, h, proxy); err != nil {
		c.forget(h)
		return nil, false, err
	}
	if x.trace.GotConn != nil {
		info := httptrace.GotConnInfo{Conn: k.netConn(), Reused: k.used, WasIdle: !k.since.IsZero()}
		if info.WasIdle {
			info.IdleTime = c.sched.Loop().Now().Sub(k.since)
		}
		x.trace.GotConn(info)
	}
	fresh = !k.used
	k.used, k.since = true, time.Time{}
	return k, fresh, nil
}

// find is get without the hooks.
func (c *Client) find(x *clientExchange, h *clientHost, proxy *clientProxy) (*clientConn, error) {
	for {
		if m := h.reserve(); m != nil {
			k := &clientConn{c: c, host: h, tls: m.tls, mux: m, used: m.used}
			m.used = true
			return k, nil
		}
		k, err := c.place(x.ctx, h)
		if k == nil && err == nil {
			if err := c.h1.Check(x.req); err != nil { // nothing is opened for what can't be sent
				c.leave(h)
				return nil, err
			}
			k, err = c.newConn(x, h, proxy)
		}
		if err != errLookAgain {
			return k, err
		}
	}
}

// newConn has a connection opened by a coroutine of its own: that takes a large stack, and who waits with it would keep
// it. What comes free meanwhile is taken in its place, and the new one serves whoever is next, or rests.
func (c *Client) newConn(x *clientExchange, h *clientHost, proxy *clientProxy) (*clientConn, error) {
	if err := c.dials.Acquire(x.ctx, 1); err != nil {
		c.leave(h)
		return nil, err
	}
	w := &clientWaiter{}
	w.at = h.dialing.PushBack(w)
	task := c.sched.Go(c.sched.Context(), "web: connect to "+h.key.addr, func(ctx context.Context) error {
		defer c.dials.Release(1)
		k, err := c.dial(ctx, x, h, proxy)
		switch {
		case err != nil:
			h.tell(w, clientWaiter{err: err})
			c.leave(h)
		case k.mux != nil && c.o.NoKeepAlive:
			if !h.tell(w, clientWaiter{k: k}) {
				k.mux.cc.Release() // which ends it
			}
		case k.mux != nil:
			h.tell(w, clientWaiter{err: errLookAgain})
			k.mux.changed()
		case !h.tell(w, clientWaiter{k: k}):
			k.trace = noTrace
			_ = c.rest(k)
		}
		return nil
	})
	if err := w.place.Wait(x.ctx, "a connection to", h.key.addr); err != nil {
		h.dialing.Remove(w.at)
		task.Cancel(err)
		return nil, err
	}
	return w.k, w.err
}

// tell gives w, whose connection was being opened, what is in v, if it still waits.
func (h *clientHost) tell(w *clientWaiter, v clientWaiter) bool {
	if w.told {
		return false
	}
	h.dialing.Remove(w.at)
	return w.take(v)
}

// take is what place.Wake reports: w was there to take what is in v.
func (w *clientWaiter) take(v clientWaiter) bool {
	w.k, w.slot, w.err, w.told = v.k, v.slot, v.err, true
	return w.place.Wake()
}

// place is a connection that was free, or, with nil, leave to open one.
func (c *Client) place(ctx context.Context, h *clientHost) (*clientConn, error) {
	if h.waiting.Len() == 0 {
		if k := c.takeIdle(h); k != nil {
			return k, nil
		}
		if h.open < c.o.ConnsPerHost && (c.open < c.o.Conns || c.evict()) {
			h.open++
			c.open++
			return nil, nil
		}
	}
	w := &clientWaiter{}
	w.at = h.waiting.PushBack(w)
	c.wants(h)
	if err := w.place.Wait(ctx, "a connection to", h.key.addr); err != nil {
		h.waiting.Remove(w.at)
		return nil, err
	}
	return w.k, w.err
}

// wants has the host in the queue for room in Conns, if that is all it waits for.
func (c *Client) wants(h *clientHost) {
	if h.hungry == nil && h.waiting.Len() > 0 && h.open < c.o.ConnsPerHost {
		h.hungry = c.hungry.PushBack(h)
	}
}

// leave is for a connection that is gone, or was not opened: its room goes to who waits.
func (c *Client) leave(h *clientHost) {
	h.open--
	c.open--
	c.wants(h)
	for c.hungry.Len() > 0 && (c.open < c.o.Conns || c.evict()) {
		g := c.hungry.Remove(c.hungry.Front()).(*clientHost)
		g.hungry = nil
		if g.open < c.o.ConnsPerHost {
			g.open++
			c.open++
			if !g.give(clientWaiter{slot: true}) {
				g.open--
				c.open--
			}
		}
		c.wants(g)
		c.forget(g)
	}
	c.forget(h)
}

// give gives the first that waits what is in v. Leave to open a connection is of no use to those for whom one is being
// opened, and other news is theirs first.
func (h *clientHost) give(v clientWaiter) bool {
	for _, l := range []*list.List{&h.dialing, &h.waiting} {
		if l == &h.dialing && v.slot {
			continue
		}
		for l.Len() > 0 {
			if l.Remove(l.Front()).(*clientWaiter).take(v) {
				return true
			} // else it was cancelled
		}
	}
	return false
}

// refuseWaiting is for Close.
func (c *Client) refuseWaiting() {
	for _, h := range c.hosts {
		for h.waiting.Len() > 0 {
			h.waiting.Remove(h.waiting.Front()).(*clientWaiter).take(clientWaiter{err: ErrClientClosed})
		}
	}
}

// takeIdle is the connection that has rested for the shortest time, and is as it should be.
func (c *Client) takeIdle(h *clientHost) *clientConn {
	for len(h.idle) > 0 {
		k := h.idle[len(h.idle)-1]
		c.wake(k)
		if n, err := k.nc.Unread(); n == 0 && err == nil {
			return k
		}
		c.drop(k) // what came was not asked for
	}
	return nil
}

// wake takes k out of those that rest.
func (c *Client) wake(k *clientConn) {
	h := k.host
	i := slices.Index(h.idle, k)
	h.idle = slices.Delete(h.idle, i, i+1)
	c.idle.Remove(k.at)
	k.at = nil
	k.nc.OnEnd(nil)
}

// drop closes a connection that serves nobody.
func (c *Client) drop(k *clientConn) {
	_ = k.h1.Close()
	c.leave(k.host)
}

// evict closes the connection that has rested longest, and reports whether there was one. Its room is the caller's.
func (c *Client) evict() bool {
	front := c.idle.Front()
	if front == nil {
		return c.evictMux()
	}
	k := front.Value.(*clientConn)
	c.wake(k)
	_ = k.h1.Close()
	k.host.open--
	c.open--
	c.forget(k.host)
	return true
}

// finished is for the end of an exchange, on a coroutine.
func (c *Client) finished(k *clientConn) {
	err := c.rest(k)
	if f := k.trace.PutIdleConn; f != nil {
		f(err)
	}
	k.trace = noTrace
}

var (
	errNotReusable = errors.New("web: the connection can't be used again")
	errNoRoomIdle  = errors.New("web: enough connections rest (ClientOptions)")
)

// rest gives the connection to who waits, or lets it rest, or closes it.
func (c *Client) rest(k *clientConn) error {
	h := k.host
	if !k.h1.Usable() {
		c.leave(h)
		return errNotReusable
	}
	if n, err := k.nc.Unread(); c.closed || c.o.NoKeepAlive || n > 0 || err != nil {
		c.drop(k)
		return errNotReusable
	}
	if h.give(clientWaiter{k: k}) {
		return nil
	}
	if c.hungry.Len() > 0 || len(h.idle) >= c.o.IdlePerHost {
		c.drop(k)
		return errNoRoomIdle
	}
	if c.idle.Len() >= c.o.Idle {
		c.evict()
	}
	k.since = c.sched.Loop().Now()
	k.at = c.idle.PushBack(k)
	h.idle = append(h.idle, k)
	k.nc.OnEnd(func() { c.beside(func() { c.gone(k) }) })
	c.setSweep()
	return nil
}

// gone is for a server that closes a connection which rests.
func (c *Client) gone(k *clientConn) {
	if k.at != nil {
		c.wake(k)
		c.drop(k)
	}
}

// setSweep has those closed that have rested for IdleTime, when the first has.
func (c *Client) setSweep() {
	if c.sweep != nil || c.idle.Len() == 0 {
		return
	}
	l := c.sched.Loop()
	left := c.o.IdleTime - l.Now().Sub(c.idle.Front().Value.(*clientConn).since)
	c.sweep = l.AfterFunc(max(left, 0), func() {
		c.sweep = nil
		c.beside(func() {
			for front := c.idle.Front(); front != nil; front = c.idle.Front() {
				if k := front.Value.(*clientConn); l.Now().Sub(k.since) >= c.o.IdleTime {
					c.wake(k)
					c.drop(k)
					continue
				}
				break
			}
			c.setSweep()
		})
	})
}

// ClientStats are a Client's connections at a moment.
type ClientStats struct {
	Conns   int // that there are, or are being opened
	Idle    int // of which so many rest; of HTTP/2: have no request under way
	Waiting int // requests that wait for one
}

// Stats tells of the connections. It is for the loop's own.
func (c *Client) Stats() ClientStats {
	s := ClientStats{Conns: c.open, Idle: c.idle.Len()}
	for _, h := range c.hosts {
		s.Waiting += h.waiting.Len()
		for _, m := range h.muxes {
			if m.cc.InFlight() == 0 {
				s.Idle++
			}
		}
	}
	return s
}
