package web

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
)

// A Conn speaks TLS once. A tunnel through a proxy that is spoken to over TLS itself needs it twice, for https: then
// the outer connection is given away, and two goroutines bring its bytes to a connection of this machine with itself,
// on which the inner TLS is spoken. It costs two descriptors more, the goroutines, and what they copy.
//
//	inner TLS ── loopback ── two goroutines ── outer TLS ── proxy ══ server

// nest gives outer away, and returns the end of a connection to it that has no TLS yet. ctx is a coroutine's.
func (c *Client) nest(ctx context.Context, outer *plexor.Conn) (*plexor.Conn, error) {
	up := outer.Shared()
	inner, err := func() (*plexor.Conn, error) {
		ln, err := coro.AwaitIn(ctx, c.moments, func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		inner, err := plexor.Dial(ctx, "tcp://"+ln.Addr().String())
		if err != nil {
			return nil, err
		}
		mine := inner.LocalAddr().String()
		down, err := coro.AwaitIn(ctx, c.moments, func() (net.Conn, error) { return acceptFrom(ln, mine) })
		if err != nil {
			_ = inner.Abort() // it leads nowhere
			return nil, err
		}
		go relay(up, down)
		return inner, nil
	}()
	if err != nil {
		_ = up.Close() // nobody is there to use it
	}
	return inner, err
}

// acceptFrom is the connection from an address. Others of this machine may find the port too.
func acceptFrom(ln net.Listener, addr string) (net.Conn, error) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return nil, err
		}
		if nc.RemoteAddr().String() == addr {
			return nc, nil
		}
		_ = nc.Close() // it is a stranger's
	}
}

// relay brings bytes both ways, and ends both when both ways have ended, or one has failed.
func relay(a, b net.Conn) {
	var ways sync.WaitGroup
	way := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		half, ok := to.(interface{ CloseWrite() error })
		if err == nil && ok && half.CloseWrite() == nil {
			return
		}
		_ = a.Close() // who waits for more has the end now
		_ = b.Close()
	}
	ways.Go(func() { way(a, b) })
	way(b, a)
	ways.Wait()
	_ = a.Close()
	_ = b.Close()
}
