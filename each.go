package plexor

import (
	"errors"
	"net"
	"slices"
	"time"

	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/internal/stack"
	"github.com/plexor-go/plexor/loop"
)

// ConnInfo is what is known of a connection, at the moment when [Server.Each] looked.
type ConnInfo struct {
	Listener net.Addr // the address that accepted it, as Open returned it
	Local    net.Addr // this end: a *net.TCPAddr or *net.UnixAddr, likewise the peer's
	Remote   net.Addr
	TLS      bool

	Age       time.Duration // since it was accepted, to 0.1 s
	ReadIdle  time.Duration // since a byte came, or since it was accepted
	WriteIdle time.Duration // since a byte was written, or since it was accepted

	Pending  int  // bytes that were written, and that the system has not taken yet
	Unread   int  // bytes that have come, and that no handler has read yet
	Handling bool // a handler of its runs; with Messages, Turns and Sessions only while something is handled
	Shared   bool // it is in the hands of goroutines, by Conn.Shared or Listen
}

// Each calls f for each connection that the server has accepted, of all its listeners, those in a TLS handshake and
// those given to goroutines too, until f returns false. Each loop is looked at in one moment, and each of its
// connections described somewhat later, in batches between which the loop goes on, so that 100,000 of them hold
// nobody up. One that ends meanwhile is left out, and one that begins meanwhile too.
//
// The times are by the loops' clock; how long a connection was idle is known to a second, or to an eighth of the
// shortest of Limits.IdleTimeout, ReadIdle and WriteIdle if that is less.
//
// Any goroutine may call Each, and a handler on one of the server's loops, which waits meanwhile as it does in other
// calls; not so what can't wait there, as a timer or a posted function, which gets a *coro.MisuseError. f runs where
// Each was called, and holds no lock. A loop that a handler holds keeps nobody: it is left out after a second, and
// the error is a *[loop.HeldError], or several joined. There are no connections, and it is no error, before the
// server has started and after its end.
func (s *Server) Each(f func(ConnInfo) bool) error {
	s.mu.Lock()
	g := s.group
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	call := func(w *worker, do func()) error { return w.loop.TryDo(do) }
	if own := s.ownWorker(); own != nil {
		t, err := own.sched.Self("Server.Each")
		if err != nil {
			if own.misuse() {
				own.log.Error("wrong use of a plexor.Server; no more is said of these", "op", "Server.Each",
					"at", stack.Caller(), "err", err)
			}
			return err
		}
		call = func(w *worker, do func()) error {
			if w == own {
				do()
				return coro.Yield(t.Context()) // the others of the loop have their turn between two batches
			}
			_, err := coro.AwaitIn(t.Context(), own.visits, func() (struct{}, error) {
				return struct{}{}, w.loop.TryDo(do)
			})
			return err
		}
	}
	var errs []error
	for _, l := range g.Loops() {
		more, err := s.workers[l].each(call, f)
		if err != nil && !errors.Is(err, loop.ErrClosed) {
			errs = append(errs, err)
		}
		if !more {
			break
		}
	}
	return errors.Join(errs...)
}

// eachBatch is how many connections are described at once: some 0.2 ms.
const eachBatch = 256

// each calls f for the connections of a loop, which call gets to.
func (w *worker) each(call func(w *worker, do func()) error, f func(ConnInfo) bool) (more bool, err error) {
	var all []*Conn
	for first := true; first || len(all) > 0; first = false {
		var left []*Conn // of this call alone: one that is given up may run later
		var infos []ConnInfo
		err := call(w, func() {
			left = all
			if first {
				left = slices.Concat(w.conns, w.silence.conns)
			}
			n := min(eachBatch, len(left))
			for _, c := range left[:n] {
				if c.listed() {
					infos = append(infos, c.info())
				}
			}
			left = left[n:]
		})
		if err != nil {
			return true, err
		}
		all = left
		for _, info := range infos {
			if !f(info) {
				return false, nil
			}
		}
	}
	return true, nil
}

// listed reports whether c is in its worker's tables still.
func (c *Conn) listed() bool {
	table := *c.raw.w.table(c)
	return int(c.raw.at) < len(table) && table[c.raw.at] == c
}

// info describes c. It is for its loop.
func (c *Conn) info() ConnInfo {
	s, w := &c.raw, c.raw.w
	if s.is(givenAway) {
		c.stirred()
	}
	read, write := s.quietFor(w.tick)
	info := ConnInfo{
		Listener: c.ep.local, Local: s.localAddr(), Remote: s.remoteAddr(), TLS: c.ep.secure() || c.tls != nil,
		Age:       time.Duration(w.stamp()-s.since) << stampUnit,
		ReadIdle:  time.Duration(read) * w.beat.unit,
		WriteIdle: time.Duration(write) * w.beat.unit,
		Pending:   s.lc.Pending(), Shared: s.is(givenAway),
	}
	if s.is(awaited) { // its tick is another's
		info.ReadIdle = info.Age
	}
	c.role().describe(&info)
	return info
}

// describe is of role, for all but shared.
func (c *Conn) describe(info *ConnInfo) {
	info.Unread, info.Handling = len(c.raw.peek()), c.raw.above&(started|returned) == started
}

// ListenerStats are the counts of an address that a server listens on. Over TLS a connection counts before its
// handshake.
type ListenerStats struct {
	Addr     net.Addr
	TLS      bool
	Conns    int   // open now
	Accepted int64 // all that came
	Refused  int64 // of them, by Limits.Conns, ConnsPerPeer and Accepts
}

// enroll has Stats list ep from now on.
func (s *Server) enroll(ep *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetEnded()
	s.eps = append(s.eps, ep)
}

// forgetEnded takes those off the list that nobody comes to any more. The caller holds mu.
func (s *Server) forgetEnded() {
	s.eps = slices.DeleteFunc(s.eps, func(ep *endpoint) bool { return ep.ended.Load() && ep.open.Load() == 0 })
}

// listeners are the counts of each. The caller holds mu.
func (s *Server) listeners() (all []ListenerStats) {
	s.forgetEnded()
	for _, ep := range s.eps {
		all = append(all, ListenerStats{Addr: ep.local, TLS: ep.secure(), Conns: int(ep.open.Load()),
			Accepted: ep.came.Load(), Refused: ep.no.Load()})
	}
	return all
}
