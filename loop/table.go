package loop

import (
	"slices"

	"github.com/plexor-go/plexor/sock"
)

// What a loop has is in its table, for who gives up a loop that is held and ends from outside what is in there (see
// letGo): connections, those that are on their way from another loop or were accepted before their turn, what listens,
// and what has ended but for what an io_uring has under way on it. All of it is changed under Loop.table, and holds
// descriptors that are open only: each is taken out before it is closed. One that is lent is not in it.

// enlist and delist keep the loop's table of connections. They are counted elsewhere: see
// Listener.accepted and release.
func (l *Loop) enlist(c *Conn) {
	l.table.Lock()
	defer l.table.Unlock()
	c.at = int32(len(l.conns))
	l.conns = append(l.conns, c)
}

func (l *Loop) delist(c *Conn) {
	l.table.Lock()
	defer l.table.Unlock()
	last := len(l.conns) - 1
	moved := l.conns[last]
	l.conns[c.at], moved.at = moved, c.at
	l.conns[last] = nil
	l.conns = l.conns[:last]
}

// expect keeps a connection that is on its way, until arrived is called.
func (l *Loop) expect(s sock.Socket) {
	l.table.Lock()
	defer l.table.Unlock()
	l.expectLocked(s)
}

func (l *Loop) expectLocked(s sock.Socket) {
	if l.handed == nil {
		l.handed = make(map[sock.Socket]struct{})
	}
	l.handed[s] = struct{}{}
}

// hand has adopt run on the loop, which takes over s, a connection that another loop has
// accepted. It reports whether it will.
func (l *Loop) hand(s sock.Socket, adopt func()) bool {
	l.table.Lock()
	if l.holding.Load() != nil {
		l.table.Unlock()
		return false
	}
	l.expectLocked(s)
	l.table.Unlock()
	err := l.postAlways(func() {
		l.arrived(s)
		adopt()
	})
	if err != nil {
		l.arrived(s)
	}
	return err == nil
}

func (l *Loop) arrived(s sock.Socket) {
	l.table.Lock()
	defer l.table.Unlock()
	delete(l.handed, s)
}

// part keeps what has ended and of which the kernel still has the descriptor, until parted is called: an endpoint, or
// nil for a connection that is to be reset.
func (l *Loop) part(s sock.Socket, e endpoint) {
	l.table.Lock()
	defer l.table.Unlock()
	if l.parting == nil {
		l.parting = make(map[sock.Socket]endpoint)
	}
	l.parting[s] = e
}

func (l *Loop) parted(s sock.Socket) {
	l.table.Lock()
	defer l.table.Unlock()
	delete(l.parting, s)
}

func (l *Loop) addEndpoint(e endpoint) {
	l.table.Lock()
	defer l.table.Unlock()
	l.socks = append(l.socks, e)
}

func (l *Loop) removeEndpoint(e endpoint) {
	l.table.Lock()
	defer l.table.Unlock()
	l.socks = slices.DeleteFunc(l.socks, func(o endpoint) bool { return o == e })
}

// breakOff ends from outside what a loop has that is held.
func (l *Loop) breakOff() {
	l.table.Lock()
	defer l.table.Unlock()
	for _, c := range l.conns {
		if c.sock != sock.None { // else it is lent
			_ = l.sys.breakOff(c.sock) // it is broken already, then
		}
		if b, ok := c.handler.(Borrower); ok {
			b.Revoke(ErrLoopClosed)
		}
	}
	for s := range l.handed {
		_ = l.sys.breakOff(s) // likewise
	}
	for s, e := range l.parting {
		if e == nil {
			_ = l.sys.breakOff(s) // likewise
		}
	}
	for _, e := range l.endpoints() {
		e.breakOff()
	}
}

// breakOffListening does so with what the loop listens on.
func (l *Loop) breakOffListening() {
	l.table.Lock()
	defer l.table.Unlock()
	for _, e := range l.endpoints() {
		e.breakOff()
	}
}

// endpoints are those whose descriptors are open. The caller has the table.
func (l *Loop) endpoints() []endpoint {
	all := slices.Clone(l.socks)
	for _, e := range l.parting {
		if e != nil {
			all = append(all, e)
		}
	}
	return all
}

// breakOff has the system refuse who connects, and resets who waits to be accepted. One
// that is shared is others' too, and they have it alone then.
//
// The handler may return at any time, so no descriptor is closed whose number the loop still
// uses: see Detach. On io_uring an accept is under way, for which the kernel keeps the socket
// until the loop ends; if it is shared, and the others end before, who connects waits.
func (ln *Listener) breakOff() {
	ln.broken.Store(true) // first: see refused
	sys := ln.loop.sys
	if !ln.shared {
		_ = sys.breakOff(ln.sock) // where that is not to be had, Detach is all
		for range mostBacklog {   // of a unix socket they stay until Detach
			s, err := sys.accept(ln.sock)
			if err != nil {
				break
			}
			_ = sys.abort(s)
		}
	}
	_ = sys.detach(ln.sock) // it fails for want of a descriptor, and then what BreakOff did is all
}

// breakOff likewise. Datagrams that have arrived are dropped.
func (s *PacketConn) breakOff() {
	if !s.shared {
		_ = s.loop.sys.breakOff(s.sock)
	}
	_ = s.loop.sys.detach(s.sock)
}
