package plexor

import (
	"context"
	"fmt"

	"github.com/plexor-go/plexor/loop"
)

// Shutdown ends the server gracefully. Listening stops, after what waits in the backlog was taken in. A connection on
// which no handler runs is closed as soon as nothing that its peer sent is unread. Handlers that run may go on; a Read
// that finds nothing that the peer sent fails with ErrServerClosed, now and each time, while Write still works, for a
// farewell. A handler that is a [Drainer] is told. When the last connection has ended and the last handler returned, so
// do the loops, and Shutdown returns nil. If ctx is done before, the connections that are left are reset, and the error
// says how many there were and why. A handler that holds its loop, as by a call that blocks, can't be told: Shutdown
// then gives it a second more, breaks off the loop's connections from outside, and returns an error in which errors.As
// finds a *[loop.HeldError], which names the line.
//
// Datagrams that have come are handled first; a handler that waits meanwhile finds its socket closed when it replies.
//
// Connections of Shared and [Server.Listen] are their users' to close: a net/http server
// on it has a Shutdown of its own.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.misused("Shutdown"); err != nil {
		return err
	}
	if ctx == nil {
		return errNoContext("Server.Shutdown")
	}
	s.mu.Lock()
	s.closing = true
	g := s.group
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	s.closeListeners()
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		g.StopListening()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closeFiles() // else they would take in connections that nobody accepts
	}()
	for _, d := range s.drainers() {
		d.Drain()
	}
	err := g.DrainBy(ctx, func(l *loop.Loop) { s.workers[l].drain() }, func() (int, string) {
		conns, handlers := g.Stats().Conns, int(s.stats.handlers.Load())
		return conns + handlers, "plexor: shutdown: " + remnant(conns, handlers) + " were cut"
	})
	<-listening
	<-s.ended
	return err
}

// drainers are the handlers that are told of a Shutdown.
func (s *Server) drainers() (all []Drainer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ep := range s.eps {
		if d, ok := ep.handler.(Drainer); ok {
			all = append(all, d)
		}
	}
	return all
}

// StopListening ends the listeners, and leaves what waits in their backlogs to the processes that share them (see
// Bind): it is how one of several leaves without a connection being refused. Connections go on; Shutdown then ends
// those. When it returns, nothing more is accepted. A server that shares its sockets with nobody calls Shutdown alone,
// which takes in what waits. From a handler it begins, and does not wait.
//
// If a handler has held a loop for a second, what that loop listens on is broken off from outside, and the error is a
// *[loop.HeldError], which names the line, or several joined. There is no other.
func (s *Server) StopListening() error {
	s.mu.Lock()
	g := s.group
	s.mu.Unlock()
	s.closeListeners()
	if g == nil {
		return nil
	}
	return g.LeaveListening()
}

// remnant says what there is still when a shutdown ends early. Handlers are of interest where no connection is.
func remnant(conns, handlers int) string {
	if conns > 0 {
		return fmt.Sprintf("%d connections", conns)
	}
	return fmt.Sprintf("%d handlers", handlers)
}

// Close ends the server at once: connections are reset, what handlers wait for fails, and Close returns when they have
// returned. Its error is that of a loop that had ended by itself, or a *[loop.HeldError] as with Shutdown, if a handler
// has held its loop for a second. From a handler it begins the end, does not wait, and returns nil.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closing = true
	g := s.group
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	s.closeListeners()
	own := s.ownWorker() != nil
	err := g.Close()
	if !own {
		<-s.ended
	}
	return err
}

// closeFiles closes what was given to Serve; whether a unix socket's file goes with it is
// package net's to know. The caller holds mu.
func (s *Server) closeFiles() {
	for _, f := range s.files {
		_ = f.Close() // its duplicate, from which the loops accepted, is closed already
	}
	s.files = nil
}

// drain closes what is quiet, and tells those that wait to read.
func (w *worker) drain() {
	w.draining = true
	for _, table := range []*[]*Conn{&w.conns, &w.silence.conns} {
		for i := len(*table) - 1; i >= 0; i-- {
			if i < len(*table) { // closing one may end others
				(*table)[i].role().drain()
			}
		}
	}
}

// drain is of role, for all but shared: quiet says that the handler has nothing left of
// what the peer sent. It reports whether it has closed the connection.
func (c *Conn) drain(quiet bool) bool {
	s := &c.raw
	switch {
	case s.is(closed | over):
	case s.is(moved):
		s.flags &^= moved // look again
	case c.is(started):
		if s.in == nil && !s.readers.empty() && s.quiet() {
			s.readers.wakeAll()
		}
	case !quiet, c.tls != nil && c.tls.inside(), s.boxWaits():
	case c.tls == nil && s.box() == nil:
		return s.lc.Drain()
	case c.tls == nil && s.quiet():
		s.shut() // so that the Outbox takes no more from now on
		return true
	case c.tls != nil && s.quiet():
		c.tls.shut() // behind a close_notify
		return true
	}
	return false
}
