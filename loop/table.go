package loop

import "github.com/plexor-go/plexor/sock"

// What a loop has is in its table, for who gives up a loop that is held and ends from outside what is in there (see letGo):
// connections, those that are on their way from another loop, and what listens. All of it is changed under Loop.table, and
// holds descriptors that are open only: each is taken out before it is closed.

// enlist and delist keep the loop's table of connections. They are counted elsewhere: see Listener.accepted and release.
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

// hand has adopt run on the loop, which takes over s, a connection that another loop has accepted. It reports whether it
// will.
func (l *Loop) hand(s sock.Socket, adopt func()) bool {
	l.table.Lock()
	if l.holding.Load() != nil {
		l.table.Unlock()
		return false
	}
	if l.handed == nil {
		l.handed = make(map[sock.Socket]struct{})
	}
	l.handed[s] = struct{}{}
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

func (l *Loop) addEndpoint(e endpoint) {
	l.table.Lock()
	defer l.table.Unlock()
	l.socks[e] = struct{}{}
}

func (l *Loop) removeEndpoint(e endpoint) {
	l.table.Lock()
	defer l.table.Unlock()
	delete(l.socks, e)
}

// breakOff ends from outside what a loop has that is held.
func (l *Loop) breakOff() {
	l.table.Lock()
	defer l.table.Unlock()
	for _, c := range l.conns {
		_ = c.sock.BreakOff() // it is broken already, then
	}
	for s := range l.handed {
		_ = s.BreakOff() // likewise
	}
	for e := range l.socks {
		if ln, ok := e.(*Listener); ok {
			ln.breakOff()
		}
	}
}

// breakOff has the system refuse who connects, and resets who waits to be accepted. One that is shared is others' too.
// Datagram sockets are left alone: they may be shared likewise, and nobody has a connection by them.
func (ln *Listener) breakOff() {
	if ln.shared {
		return
	}
	_ = ln.sock.BreakOff()  // where that is not to be had, who connects waits until the handler returns
	for range mostBacklog { // of a unix socket they stay
		s, err := ln.sock.Accept()
		if err != nil {
			return
		}
		_ = s.Abort()
	}
}
