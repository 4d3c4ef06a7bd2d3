package models

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/plexor-go/plexor/sock"
)

var goroutines = Model{
	Name:  "goroutines",
	Short: "Go's net package: a goroutine for each client",
	Doc: "Go's own net package, a goroutine for each connection. The code reads as that of threads, but a call that " +
		"would wait parks the goroutine, and its thread runs another one: beneath is one epoll instance for the whole " +
		"process, and a scheduler that spreads goroutines over all cores. A switch takes a fraction of a microsecond; an " +
		"idle connection holds a stack of 2 KiB or more and its buffer. One chooses it by default: it is simple, parallel " +
		"and fast, until there are so many connections that their stacks and the scheduling of each message weigh.",
	Quadrant: Quadrant{Async: true, Parallel: true},
	serve:    serveGoroutines,
}

func serveGoroutines(ctx context.Context, j Job) error {
	ln, err := net.Listen("tcp", net.JoinHostPort(j.Addr.Host, strconv.Itoa(j.Addr.Port)))
	if err != nil {
		return err
	}
	ap, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil {
		_ = ln.Close()
		return fmt.Errorf("listen: %w", err)
	}
	open := openConns{conns: make(map[net.Conn]struct{})}
	var all sync.WaitGroup
	defer all.Wait()
	defer open.end()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	j.ready(sock.FromAddrPort("tcp", ap))
	for {
		c, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case sock.Exhausted(err):
			time.Sleep(10 * time.Millisecond) // the connection waits in the backlog meanwhile
		case err != nil:
			return err
		case open.add(c):
			all.Go(func() {
				defer open.close(c)
				serveConn(c, j.Service)
			})
		}
	}
}

// serveConn is all that there is to it.
func serveConn(c net.Conn, s Service) {
	for buf := newBuffer(); ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(s.Reply(buf[:n])); err != nil {
			return
		}
	}
}

// openConns are the connections, so that they can be closed at the end.
type openConns struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended bool
}

// add takes c in, or closes it if it came too late.
func (o *openConns) add(c net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		_ = c.Close()
		return false
	}
	o.conns[c] = struct{}{}
	return true
}

func (o *openConns) close(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.conns, c)
	_ = c.Close() // as the peer finds it
}

func (o *openConns) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	for c := range o.conns {
		_ = c.Close() // which ends its Read
	}
}
