//go:build linux || darwin || freebsd

package loop_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"errors"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// The options that a listener was given hold on the connections that it accepts.
func TestOptionsAreInherited(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		want := sock.Options{
			Delay:      true,
			KeepAlive:  sock.KeepAlive{Idle: 77 * time.Second, Interval: 11 * time.Second, Count: 5},
			SendBuffer: 40_000, RecvBuffer: 50_000,
		}
		r := run(t, loop.Options{Driver: driver})
		k := r.connect("tcp", want, &watcher{})
		k.do(func() {
			s := k.c.Socket()
			noDelay, err1 := s.NoDelay()
			keep, err2 := s.KeepAlive()
			send, err3 := s.SendBuffer()
			receive, err4 := s.RecvBuffer()
			if noDelay || keep != want.KeepAlive || send < 40_000 || send > 80_000 || receive < 50_000 || receive > 100_000 {
				t.Errorf("no-delay %v, keep-alive %+v, buffers %d and %d: want those of the listener, %+v", noDelay, keep, send,
					receive, want)
			}
			if err := errors.Join(err1, err2, err3, err4); err != nil {
				t.Error(err)
			}
			local, err1 := k.c.LocalAddr()
			remote, err2 := k.c.RemoteAddr()
			if err := errors.Join(err1, err2); err != nil {
				t.Error(err)
			}
			lp, _ := local.AddrPort()
			rp, _ := remote.AddrPort()
			if lp.String() != k.peer.RemoteAddr().String() || rp.String() != k.peer.LocalAddr().String() {
				t.Errorf("addresses %v and %v: want %v and %v", lp, rp, k.peer.RemoteAddr(), k.peer.LocalAddr())
			}
			k.c.Abort()
		})
	})
}

// Closing a listener stops it, removes its file, and leaves its connections alone; also from the function that accepts.
func TestListenerClose(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			for name, inside := range map[string]bool{"outside": false, "while it accepts": true} {
				t.Run(name, func(t *testing.T) {
					r := run(t, loop.Options{Driver: driver})
					var ln *loop.Listener
					r.do(func() {
						var err error
						ln, err = r.Listen(address(t, network), sock.Options{}, func(*loop.Conn) loop.Handler {
							if inside {
								ln.Close()
							}
							return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) })
						})
						if err != nil {
							t.Fatal(err)
						}
					})
					a := ln.Addr()
					if network == "unix" {
						if _, err := os.Lstat(a.Path); err != nil {
							t.Errorf("the listener's file: %v", err)
						}
					}
					p := dial(t, a)
					p.send([]byte("1"))
					p.expect([]byte("1"))
					r.do(func() {
						err := ln.Close()
						if inside != errors.Is(err, net.ErrClosed) {
							t.Errorf("Close: %v", err)
						}
						if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
							t.Errorf("a second Close: %v; want net.ErrClosed", err)
						}
					})
					r.turns(2)
					if c, err := tryDial(a); err == nil {
						c.Close()
						t.Error("it still answers")
					} else if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOENT) {
						t.Errorf("dial: %v", err)
					}
					if network == "unix" {
						if _, err := os.Lstat(a.Path); !os.IsNotExist(err) {
							t.Errorf("the listener's file is left: %v", err)
						}
					}
					p.send([]byte("2"))
					p.expect([]byte("2"))
					p.closeWrite()
					p.expectEOF()
				})
			}
		})
	})
}

// A port or a path that is in use is refused, and what is there goes on.
func TestListenInUse(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver})
			a := r.serve(network, func() loop.Handler { return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) }) })
			r.do(func() {
				if _, err := r.Listen(a, sock.Options{}, func(*loop.Conn) loop.Handler { return nil }); !errors.Is(err,
					syscall.EADDRINUSE) {
					t.Errorf("Listen on %s again: %v; want EADDRINUSE", a, err)
				}
			})
			p := dial(t, a)
			p.send([]byte("1"))
			p.expect([]byte("1"))
		})
	})
}
