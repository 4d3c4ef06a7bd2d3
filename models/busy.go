package models

import (
	"context"
	"slices"

	"github.com/plexor-go/plexor/sock"
)

var busy = Model{
	Name:  "busy",
	Short: "calls that never wait, asked again and again: a core burns",
	Doc: "One thread asks every socket in turn, again and again, whether there is something: the calls never wait, and " +
		"nobody tells. With few clients that all talk it answers fastest of all, since it is never asleep when bytes come; " +
		"but each round costs a system call a connection, most of them for nothing, and it burns a whole core also when " +
		"nobody says a word. It shows what a multiplexer is for. One chooses it, without the kernel in between, where a " +
		"core is given away for microseconds: packet processing and trading.",
	Quadrant: Quadrant{NonBlocking: true},
	serve:    serveBusy,
}

func serveBusy(ctx context.Context, j Job) error {
	ln, err := sock.Listen(j.Addr, sock.Options{})
	if err != nil {
		return err
	}
	defer ln.Close()
	addr, err := ln.LocalAddr()
	if err != nil {
		return err
	}
	j.ready(addr)
	var conns []*busyConn
	defer func() {
		for _, c := range conns {
			_ = c.s.Close() // as the peer finds it
		}
	}()
	for buf := newBuffer(); ctx.Err() == nil; {
		s, err := ln.Accept()
		for ; err == nil; s, err = ln.Accept() {
			conns = append(conns, &busyConn{s: s})
		}
		if err != sock.ErrWouldBlock && !sock.Aborted(err) && !sock.Exhausted(err) {
			return &sock.Error{Op: "accept a connection", Err: err}
		}
		conns = slices.DeleteFunc(conns, func(c *busyConn) bool { return c.visit(j.Service, buf) })
	}
	return nil
}

// A busyConn is a connection, and what the kernel has not taken of the latest reply. Nothing is read meanwhile.
type busyConn struct {
	s    sock.Socket
	rest []byte
}

// visit does what can be done without waiting; over says that the connection has ended.
func (c *busyConn) visit(s Service, buf []byte) (over bool) {
	p := c.rest
	if len(p) == 0 {
		n, err := c.s.Recv(buf)
		if err == sock.ErrWouldBlock {
			return false
		}
		if err != nil { // io.EOF among them: all replies have been sent
			_ = c.s.Close()
			return true
		}
		p = s.Reply(buf[:n])
	}
	n, err := c.s.Send(p)
	if err != nil && err != sock.ErrWouldBlock {
		_ = c.s.Close() // the peer is gone
		return true
	}
	if len(c.rest) == 0 {
		c.rest = append(c.rest, p[n:]...) // buf is the next one's
	} else {
		c.rest = c.rest[n:]
	}
	return false
}
