//go:build linux || darwin || freebsd

package loop_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/internal/stage"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// census counts the connections of each loop; its handlers echo.
type census struct {
	loop.Base
	mu sync.Mutex
	n  map[*loop.Loop]int
}

func newCensus() *census { return &census{n: map[*loop.Loop]int{}} }

func (c *census) accept(conn *loop.Conn) loop.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[conn.Loop()]++
	return c
}

func (c *census) Data(conn *loop.Conn, p []byte) { conn.Write(p) }

// spread is how many connections each loop of the group has had.
func (c *census) spread(g *loop.Group) (ns []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range g.Loops() {
		ns = append(ns, c.n[l])
	}
	return ns
}

// ping is a message there and back, which shows that the connection was taken in.
func (p *peer) ping() {
	p.t.Helper()
	p.send([]byte("ping"))
	p.expect([]byte("ping"))
}

// By hand-over each loop gets the same number of connections, to the last one, also when others have gone.
func TestHandOverIsEven(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			const loops, clients = 4, 100
			g := group(t, loop.GroupOptions{Loops: loops, Options: loop.Options{Driver: driver}})
			who := newCensus()
			ln, err := g.Listen(address(t, network), sock.Options{}, who.accept)
			if err != nil {
				t.Fatal(err)
			}
			var peers []*peer
			for range clients {
				peers = append(peers, dial(t, ln.Addr()))
			}
			for _, p := range peers {
				p.ping()
			}
			for i, n := range who.spread(g) {
				if n != clients/loops {
					t.Errorf("loop %d has %d of %d connections: want %d; all: %v", i, n, clients, clients/loops, who.spread(g))
				}
			}
			if s := g.Stats(); s.Accepted != clients || s.Conns != clients {
				t.Errorf("%d accepted, %d open: want %d", s.Accepted, s.Conns, clients)
			}
			for _, p := range peers[:clients/2] {
				p.Close()
			}
			eventually(t, "half of them are gone", func() bool { return g.Stats().Conns == clients/2 })
			for range clients / 2 {
				dial(t, ln.Addr()).ping()
			}
			for i, l := range g.Loops() {
				if n := l.Stats().Conns; n != clients/loops {
					t.Errorf("after half of them changed, loop %d has %d: want %d", i, n, clients/loops)
				}
			}
		})
	})
}

// With SO_REUSEPORT the kernel spreads; a port that another group has is refused all the same.
func TestReusePort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems spread otherwise")
	}
	each(t, func(t *testing.T, driver string) {
		const loops, clients = 2, 200
		o := loop.GroupOptions{Loops: loops, Spread: loop.SpreadReusePort, Options: loop.Options{Driver: driver}}
		g, other := group(t, o), group(t, o)
		who := newCensus()
		ln, err := g.Listen(address(t, "tcp"), sock.Options{}, who.accept)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Listen(ln.Addr(), sock.Options{}, who.accept); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("another group on the same port: %v; want EADDRINUSE", err)
		}
		for range clients {
			dial(t, ln.Addr()).ping()
		}
		ns := who.spread(g)
		if ns[0]+ns[1] != clients || ns[0] == 0 || ns[1] == 0 {
			t.Errorf("the loops have %v connections of %d: want some each", ns, clients)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		// On io_uring a descriptor is closed when the kernel is done with the accept that is under way.
		eventually(t, "nobody answers after Close", func() bool {
			c, err := tryDial(ln.Addr())
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		// A Unix socket has one listener all the same.
		unix, err := g.Listen(address(t, "unix"), sock.Options{}, who.accept)
		if err != nil {
			t.Fatal(err)
		}
		dial(t, unix.Addr()).ping()
	})
}

// Shutdown drains: what had arrived is answered, whether it was read, waited in the kernel, or its connection in the
// backlog; then the connections end in good order, and the loops.
func TestShutdownDrains(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			// With small budgets, so that much of it is still to be read and accepted when Shutdown comes.
			g := group(t, loop.GroupOptions{Loops: 2, Options: loop.Options{Driver: driver, ReadBudget: 1000, AcceptBudget: 1}})
			ended := make(chan error, 100)
			ln, err := g.Listen(address(t, network), sock.Options{}, func(*loop.Conn) loop.Handler {
				var request []byte // is answered once it is whole
				return &watcher{t: t,
					data: func(c *loop.Conn, p []byte) {
						if request = append(request, p...); len(request) == 50_000 {
							write(t, c, request)
						}
					},
					opened: func(c *loop.Conn) { write(t, c, []byte("welcome")) },
					closed: func(_ *loop.Conn, err error) { ended <- err },
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			var peers []*peer
			for range 20 {
				p := dial(t, ln.Addr())
				p.expect([]byte("welcome"))
				peers = append(peers, p)
			}
			// Each loop is held up, while half of the connections and as many new ones send.
			hold := make(chan struct{})
			var held sync.WaitGroup
			for _, l := range g.Loops() {
				held.Add(1)
				l.Post(func() { held.Done(); <-hold })
			}
			held.Wait()
			for range 10 {
				peers = append(peers, dial(t, ln.Addr()))
			}
			for _, p := range peers[10:] {
				p.send(pattern(50_000))
			}
			down := make(chan error)
			go func() { down <- g.Shutdown(context.Background()) }()
			close(hold)
			for i, p := range peers {
				if i >= 20 {
					p.expect([]byte("welcome"))
				}
				if i >= 10 {
					p.expect(pattern(50_000))
				}
				p.expectEOF()
				p.Close()
			}
			if err := recv(t, "Shutdown", down); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if err := g.Wait(); err != nil {
				t.Errorf("Wait: %v", err)
			}
			for range peers {
				if err := recv(t, "Closed", ended); err != nil {
					t.Errorf("Closed got %v: want nil", err)
				}
			}
			if s := g.Stats(); s.Conns != 0 || s.Accepted != 30 {
				t.Errorf("%d open, %d accepted: want 0, 30", s.Conns, s.Accepted)
			}
			if c, err := tryDial(ln.Addr()); err == nil {
				c.Close()
				t.Error("it still answers")
			}
			if network == "unix" {
				if _, err := os.Lstat(ln.Addr().Path); !os.IsNotExist(err) {
					t.Errorf("the listener's file is left: %v", err)
				}
			}
		})
	})
}

// What is not quiet when the context ends is cut, and counted.
func TestShutdownLimit(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		g := group(t, loop.GroupOptions{Loops: 2, Options: loop.Options{Driver: driver}})
		ended := make(chan error, 10)
		var accepted atomic.Int64
		ln, err := g.Listen(address(t, "tcp"), sock.Options{SendBuffer: 64 << 10}, func(*loop.Conn) loop.Handler {
			if accepted.Add(1) > 3 {
				return nil
			}
			return &watcher{t: t,
				opened: func(c *loop.Conn) { fill(t, c, 1<<20) }, // nobody reads it
				closed: func(_ *loop.Conn, err error) { ended <- err },
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var peers []*peer
		for range 3 {
			peers = append(peers, dialer{window: 64 << 10}.peer(t, ln.Addr()))
		}
		eventually(t, "they are there", func() bool { return accepted.Load() == 3 && g.Stats().Conns == 3 })
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		down := make(chan error)
		go func() { down <- g.Shutdown(ctx) }()
		eventually(t, "nobody listens", func() bool {
			c, err := tryDial(ln.Addr())
			if err == nil {
				c.Close()
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		})
		defer func() {
			if t.Failed() {
				t.Logf("accepted %d, stats %+v", accepted.Load(), g.Stats())
			}
		}()
		eventually(t, "the others are gone", func() bool { return g.Stats().Conns == 3 })
		select {
		case err := <-down:
			t.Fatalf("Shutdown: %v, although 3 connections are not quiet", err)
		case <-time.After(20 * time.Millisecond):
		}
		cancel(why)
		err = recv(t, "Shutdown", down)
		if !errors.Is(err, why) || !strings.Contains(err.Error(), "3 connections") {
			t.Errorf("Shutdown: %v; want the cause, and that 3 connections were cut", err)
		}
		for _, p := range peers {
			if err := recv(t, "Closed", ended); err != loop.ErrLoopClosed {
				t.Errorf("Closed got %v: want ErrLoopClosed", err)
			}
			if _, err := io.Copy(io.Discard, p); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the peer got %v: want ECONNRESET", err)
			}
		}
	})
}

// A group's Close resets, and whatever it is asked afterwards it refuses.
func TestGroupClose(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		g := group(t, loop.GroupOptions{Loops: 3, Options: loop.Options{Driver: driver}})
		who := newCensus()
		ln, err := g.Listen(address(t, "tcp"), sock.Options{}, who.accept)
		if err != nil {
			t.Fatal(err)
		}
		k := &post{got: make(chan packet, 10), closed: make(chan error, 1)}
		if _, err := g.ListenPacket(address(t, "udp"), sock.Options{}, k); err != nil {
			t.Fatal(err)
		}
		p := dial(t, ln.Addr())
		p.ping()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if err := g.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		all.Wait()
		if _, err := p.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the peer got %v: want ECONNRESET", err)
		}
		if err := recv(t, "the packet socket's Closed", k.closed); err != loop.ErrLoopClosed {
			t.Errorf("the packet socket's Closed got %v: want ErrLoopClosed", err)
		}
		_, lerr := g.Listen(address(t, "tcp"), sock.Options{}, who.accept)
		_, perr := g.ListenPacket(address(t, "udp"), sock.Options{}, k)
		for call, err := range map[string]error{"Listen": lerr, "ListenPacket": perr} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v; want net.ErrClosed", call, err)
			}
		}
		if err := g.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown after Close: %v", err)
		}
		if err := g.Wait(); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}

// Connections that come while the group closes are refused or reset, and none is forgotten.
func TestGroupCloseWhileConnecting(t *testing.T) {
	eachBeside(t, func(t *testing.T, driver string) { // a client's system tries again a second later
		clients := 4
		if driver == stage.Driver {
			clients = 2 // a world has one lock, for which loops that many connect to wait long on a busy machine
		}
		for range portion.Fewer(5, 3) {
			g, err := loop.NewGroup(loop.GroupOptions{Loops: 3,
				Options: placed(t, loop.Options{Driver: driver, Stall: -1, Log: quiet})})
			if err != nil {
				t.Fatal(err)
			}
			var opened, closed atomic.Int64
			ln, err := g.Listen(address(t, "tcp"), sock.Options{}, func(*loop.Conn) loop.Handler {
				return &watcher{t: t,
					opened: func(*loop.Conn) { opened.Add(1) },
					closed: func(*loop.Conn, error) { closed.Add(1) },
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					for {
						c, err := tryDial(ln.Addr())
						if err != nil {
							return
						}
						defer c.Close()
					}
				})
			}
			eventually(t, "some are there", func() bool { return opened.Load() > 20 })
			if err := g.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			all.Wait()
			if opened.Load() != closed.Load() || g.Stats().Conns != 0 {
				t.Errorf("%d opened, %d closed, %d counted as open", opened.Load(), closed.Load(), g.Stats().Conns)
			}
		}
	})
}

// A connection that is handed over is counted all the way: the group's count never falls while they come.
func TestHandedOverIsCounted(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		const clients = 300
		g := group(t, loop.GroupOptions{Loops: 3, Options: loop.Options{Driver: driver}})
		who := newCensus()
		ln, err := g.Listen(address(t, "unix"), sock.Options{}, who.accept)
		if err != nil {
			t.Fatal(err)
		}
		dialed := make(chan struct{})
		go func() {
			defer close(dialed)
			for range clients {
				dial(t, ln.Addr())
			}
		}()
		last, least := 0, -1
		for last < clients {
			n := g.Stats().Conns
			if n < last {
				least = n
				break
			}
			last = n
		}
		<-dialed
		if least >= 0 {
			t.Errorf("the count fell from %d to %d, and no connection ended", last, least)
		}
	})
}
