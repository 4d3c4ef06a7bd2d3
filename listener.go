package plexor

import (
	"net"
	"net/netip"
	"sync"

	"github.com/plexor-go/plexor/internal/wait"
	"github.com/plexor-go/plexor/loop"
)

// A Listener is what [Server.Listen] returns: a [net.Listener] whose connections are for any goroutine, as those of
// [Conn.Shared] are.
type Listener struct {
	ep *endpoint

	mu     sync.Mutex
	some   wait.Cond
	queue  []*shared
	err    error // why nothing more comes
	closed bool  // by Close: what still comes is refused
}

// Listen listens on a tcp, tls or unix address and returns a [net.Listener]: net/http's server, and any other that
// takes one, runs on it unchanged, with a goroutine a connection as ever. The loops accept, make the handshakes of a
// tls address, hold the server's limits, and see to what was written when a connection is closed; its input and output
// is that of [Conn.Shared]. No Handler is needed for it.
func (s *Server) Listen(addr string) (*Listener, error) {
	if err := s.misused("Listen"); err != nil {
		return nil, err
	}
	ep, err := parseEndpoint(addr)
	if err != nil {
		return nil, err
	}
	if ep.addr.Scheme == "udp" {
		return nil, &net.OpError{Op: "listen", Net: "udp",
			Err: net.UnknownNetworkError("udp has no connections: OpenPackets serves datagrams")}
	}
	if err := ep.secureWith(s); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	ep.srv = s
	ln := &Listener{ep: ep}
	ep.shared = ln
	if ep.secure() {
		ep.handler = listenerTLS{ln}
	}
	sockets, err := ep.bind()
	if err == nil {
		err = ep.listen(sockets)
	}
	if err != nil {
		return nil, s.closedOr(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lns = append(s.lns, ln)
	return ln, nil
}

// accepted takes a connection in, on its loop; nil refuses it.
func (ln *Listener) accepted(w *worker, lc *loop.Conn, peer netip.AddrPort) loop.Handler {
	c := newConn(ln.ep)
	c.raw = w.newStream(lc, peer, accepted|givenAway)
	lc.ReadOn() // the two directions of a net.Conn do not hold each other up
	sh := newShared(c)
	sh.borrows = borrows && !keepOnLoop && ln.ep.srv.Network == nil
	if !ln.offer(sh) {
		w.srv.stats.refusedAccepts.Add(1)
		w.srv.leave(peer)
		ln.ep.open.Add(-1)
		ln.ep.no.Add(1)
		return nil
	}
	w.enlist(c)
	return sh
}

// offer gives a connection to Accept, unless as many wait for it as may, or nobody will call it any more.
func (ln *Listener) offer(sh *shared) bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.closed || len(ln.queue) >= ln.ep.srv.limits.Accepts {
		return false
	}
	ln.queue = append(ln.queue, sh)
	ln.some.Broadcast()
	return true
}

// Accept waits for the next connection. After Close it returns net.ErrClosed, and after Shutdown or Close of the server
// ErrServerClosed, once those that came before are taken. On one of the server's loops, as in a handler, it would wait
// for its own caller: there it fails with a *coro.MisuseError if no connection waits.
func (ln *Listener) Accept() (net.Conn, error) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	for {
		switch {
		case len(ln.queue) > 0:
			sh := ln.queue[0]
			ln.queue[0] = nil
			if ln.queue = ln.queue[1:]; len(ln.queue) == 0 {
				ln.queue = nil
			}
			return sh.face(), nil
		case ln.err != nil:
			return nil, &net.OpError{Op: "accept", Net: ln.ep.addr.Scheme, Addr: ln.ep.local, Err: ln.err}
		}
		if err := ln.ep.srv.refuseOnLoop("Listener.Accept"); err != nil {
			return nil, &net.OpError{Op: "accept", Net: ln.ep.addr.Scheme, Addr: ln.ep.local, Err: err}
		}
		ln.some.Wait(&ln.mu)
	}
}

// Close stops listening. Connections that nobody has accepted are reset; others go on. When it returns, who connects is
// refused, as with package net, whose users expect Close not to take long: if a handler has held a loop of the server
// for a tenth of a second, its part is broken off from outside, and the error has a *[loop.HeldError], which names the
// line. With io_uring, and on Windows, the port stays taken then until that handler returns.
func (ln *Listener) Close() error {
	ln.end(net.ErrClosed)
	ln.mu.Lock()
	ln.closed = true
	unaccepted := ln.queue
	ln.queue = nil
	ln.mu.Unlock()
	err := ln.ep.close()
	for _, sh := range unaccepted {
		_ = sh.c.raw.lc.Loop().Post(func() { sh.c.raw.lc.Abort() }) // a loop that has ended has reset it
	}
	if err != nil {
		return &net.OpError{Op: "close", Net: ln.ep.addr.Scheme, Addr: ln.ep.local, Err: err}
	}
	return nil
}

// end makes Accept fail with err, once what came before is taken. The first err stays.
func (ln *Listener) end(err error) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.err == nil {
		ln.err = err
	}
	ln.some.Broadcast()
}

// Addr is the address that the listener got: a *net.TCPAddr or *net.UnixAddr.
func (ln *Listener) Addr() net.Addr { return ln.ep.local }

// closeListeners makes Accept say that the server is closed.
func (s *Server) closeListeners() {
	s.mu.Lock()
	lns := s.lns
	s.lns = nil
	s.mu.Unlock()
	for _, ln := range lns {
		ln.end(ErrServerClosed)
	}
}
