package websocket

import (
	"io"
	"net/http"
)

// A Socket that has a goroutine: under net/http, and wherever connections belong to no loop.

// A waiting is the http1.Protocol of a Socket whose connection is no engine's: its only turn lasts to its end.
type waiting struct {
	k    *Socket
	c    *Conn
	open func() error
}

func (w *waiting) Turn() error {
	w.k.wait(w.c, nil, w.open)
	return io.EOF
}

func (w *waiting) Closed(error) {}

// wait serves a connection to its end.
func (s *Socket) wait(c *Conn, srv *http.Server, open func() error) {
	s.conn = c
	s.e.enter(srv, s)
	defer s.e.leave(srv, s)
	err := s.call(open)
	if err == nil {
		s.set(opened)
		err = s.waitMessages()
	}
	s.because(err)
	s.set(over)
	s.stopPosts()
	s.tellEnd()
}

// waitMessages calls Message until there are none. The connection is closed then.
func (s *Socket) waitMessages() error {
	for {
		op, b, err := s.conn.ReadMessage()
		if err != nil {
			return err
		}
		if s.closing() {
			continue
		}
		if err := s.call(func() error { return s.up.message(Message{op, b}) }); err != nil {
			s.closeFor(err)
			return err
		}
	}
}

// closeFor closes the connection for an error of the user's, and waits for the client's answer.
func (s *Socket) closeFor(err error) {
	_ = s.Close(s.codeOf(err))
	_ = s.conn.awaitClose() // the handler's error is what ended it
}

// enter notes a socket of a server, which is told of by Shutdown.
func (e *endpoint) enter(srv *http.Server, s *Socket) {
	if srv == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	all, known := e.waiting[srv]
	if !known {
		if e.waiting == nil {
			e.waiting = make(map[*http.Server]map[*Socket]struct{})
		}
		all = make(map[*Socket]struct{})
		e.waiting[srv] = all
		srv.RegisterOnShutdown(func() { e.goAway(srv) })
	}
	all[s] = struct{}{}
}

func (e *endpoint) leave(srv *http.Server, s *Socket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.waiting[srv], s)
}

func (e *endpoint) goAway(srv *http.Server) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.waiting[srv] {
		_ = s.Close(GoingAway, "")
	}
}
