package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/leak"
)

var echo = plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })

var upper = plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error { return c.Send(bytes.ToUpper(msg)) })

// cut is what a context's end says.
var errCut = errors.New("the test's patience")

// TestListenAndServe: it serves all of its addresses, and returns ErrServerClosed when all has ended.
func TestListenAndServe(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		if strings.HasPrefix(p.addr, "tcp") {
			t.Skip("its port could not be learnt")
		}
		b := p.serve(t, &plexor.Server{Handler: echo, Packets: plexor.PacketFunc(func(*plexor.Packet) {})}, nil)
		served := make(chan error, 1)
		go func() { served <- b.ListenAndServe(p.addr, p.addr+"2", "udp://127.0.0.1:0") }()
		for _, a := range []string{p.addr, p.addr + "2"} {
			b.addr = &net.UnixAddr{Name: strings.TrimPrefix(a, "unix://"), Net: "unix"}
			for ; ; time.Sleep(time.Millisecond) { // until it listens
				c, err := net.Dial("unix", b.addr.String())
				if err != nil {
					continue
				}
				send(t, c, "hello")
				want(t, c, "hello")
				c.Close()
				break
			}
		}
		b.shutdown()
		if err := receive(t, served, "ListenAndServe"); err != plexor.ErrServerClosed || !errors.Is(err, net.ErrClosed) {
			t.Errorf("ListenAndServe returned %v, want ErrServerClosed", err)
		}
		if err := b.ListenAndServe(p.addr); err != plexor.ErrServerClosed {
			t.Errorf("ListenAndServe after Shutdown: %v, want ErrServerClosed", err)
		}
		if err := b.Wait(); err != plexor.ErrServerClosed {
			t.Errorf("Wait after Shutdown: %v, want ErrServerClosed", err)
		}
	})
}

// TestServe: the server takes over listeners of package net, and closes them.
func TestServe(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b := p.serve(t, &plexor.Server{Handler: echo}, nil)
		network, address, _ := strings.Cut(p.addr, "://")
		ln, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- b.Serve(ln) }()
		for range 3 {
			c := dial(t, ln.Addr())
			send(t, c, "hello")
			want(t, c, "hello")
			c.Close()
		}
		b.shutdown()
		if err := receive(t, served, "Serve"); err != plexor.ErrServerClosed {
			t.Errorf("Serve returned %v, want ErrServerClosed", err)
		}
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener was not closed: closing it says %v", err)
		}
		if c, err := dialPeer(ln.Addr()); err == nil {
			c.Close()
			t.Error("somebody still listens")
		}
	})
}

// TestServeInherited: the file of a unix socket goes with a listener that has made it, as with package net, and stays
// with one that somebody else has made, who then goes on.
func TestServeInherited(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("unix sockets are untested on windows")
	}
	eachDriver(t, func(t *testing.T, driver string) {
		for _, row := range []struct {
			name string
			of   func(t *testing.T, made *net.UnixListener) net.Listener
			goes bool // the file
		}{
			{"its own", func(t *testing.T, made *net.UnixListener) net.Listener { return made }, true},
			{"its own, which is to stay", func(t *testing.T, made *net.UnixListener) net.Listener {
				made.SetUnlinkOnClose(false)
				return made
			}, false},
			{"inherited", func(t *testing.T, made *net.UnixListener) net.Listener {
				f, err := made.File()
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				ln, err := net.FileListener(f)
				if err != nil {
					t.Fatal(err)
				}
				return ln
			}, false},
		} {
			t.Run(row.name, func(t *testing.T) {
				dir, err := os.MkdirTemp("", "plexor") // shorter than t.TempDir, for a socket's path is bounded
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				path := filepath.Join(dir, "s")
				made, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { made.Close() })
				ln := row.of(t, made)
				b := place{driver, ""}.serve(t, &plexor.Server{Handler: echo}, nil)
				served := make(chan error, 1)
				go func() { served <- b.Serve(ln) }()
				c := dial(t, made.Addr())
				send(t, c, "hello")
				want(t, c, "hello")
				c.Close()
				b.shutdown()
				if err := receive(t, served, "Serve"); err != plexor.ErrServerClosed {
					t.Errorf("Serve returned %v, want ErrServerClosed", err)
				}
				if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) != row.goes {
					t.Errorf("the socket's file afterwards: %v, want gone=%v", err, row.goes)
				}
				if row.name == "inherited" {
					c := dial(t, made.Addr()) // whose maker listens on
					s, err := made.Accept()
					if err != nil {
						t.Fatal(err)
					}
					send(t, s, "hello")
					want(t, c, "hello")
					s.Close()
				}
			})
		}
	})
}

type noFile struct{ net.Listener }

// TestRefusedStarts: what can't be served is refused before anything listens, and says what is wrong.
func TestRefusedStarts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	packets := plexor.PacketFunc(func(*plexor.Packet) {})
	for _, row := range []struct {
		name  string
		srv   *plexor.Server
		addrs []string
		want  string
	}{
		{"no address", &plexor.Server{Handler: echo}, nil, "without an address"},
		{"no scheme", &plexor.Server{Handler: echo}, []string{"127.0.0.1:0"}, "did you mean tcp://127.0.0.1:0?"},
		{"unknown option", &plexor.Server{Handler: echo}, []string{"tcp://127.0.0.1:0?frame=len4"}, `unknown option "frame"`},
		{"option of another socket", &plexor.Server{Handler: echo}, []string{"tcp://127.0.0.1:0?mode=0600"},
			"does not have it"},
		{"no handler", &plexor.Server{}, []string{"tcp://127.0.0.1:0"}, "no handler (Server.Handler)"},
		{"no handler for streams", &plexor.Server{Packets: packets}, []string{"tcp://127.0.0.1:0"}, "streams need a Handler"},
		{"no handler for datagrams", &plexor.Server{Handler: echo}, []string{"udp://127.0.0.1:0"},
			"datagrams need a PacketHandler"},
		{"codec", &plexor.Server{Handler: plexor.Messages(frame.Length{Bytes: 5}, nil)}, []string{"tcp://127.0.0.1:0"},
			"Messages: the handler is nil"},
		{"bad codec", &plexor.Server{Handler: plexor.Messages(frame.Length{Bytes: 5}, func(*plexor.Conn, []byte) error {
			return nil
		})},
			[]string{"tcp://127.0.0.1:0"}, "Messages: frame: "},
		{"nil codec", &plexor.Server{Handler: plexor.Messages(nil, func(*plexor.Conn, []byte) error { return nil })},
			[]string{"tcp://127.0.0.1:0"}, "the codec is nil"},
		{"limit", &plexor.Server{Handler: echo, Limits: plexor.Limits{HighWater: -1}}, []string{"tcp://127.0.0.1:0"},
			"Limits.HighWater is -1"},
		{"time limit", &plexor.Server{Handler: echo, Limits: plexor.Limits{Linger: -1}}, []string{"tcp://127.0.0.1:0"},
			"Limits.Linger is -1ns"},
		{"driver", &plexor.Server{Handler: echo, Driver: "quantum"}, []string{"tcp://127.0.0.1:0"}, "quantum"},
		{"the second is taken", &plexor.Server{Handler: echo},
			[]string{"tcp://127.0.0.1:0", "tcp://" + taken.Addr().String()}, "address already in use"},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := leak.Take()
			if err := row.srv.ListenAndServe(row.addrs...); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
			if err := row.srv.Close(); err != nil {
				t.Error(err)
			}
			if left := before.Left(); left != "" {
				t.Error(left)
			}
		})
	}
	srv := &plexor.Server{Handler: echo}
	if err := srv.Serve(noFile{taken}); err == nil || !strings.Contains(err.Error(), "no descriptor") {
		t.Errorf("Serve of a listener without a descriptor: %v", err)
	}
	if _, err := srv.Listen("udp://127.0.0.1:0"); err == nil {
		t.Error("Listen on udp succeeded")
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown of what never ran: %v", err)
	}
	if _, err := srv.Open("tcp://127.0.0.1:0", nil); err != plexor.ErrServerClosed {
		t.Errorf("Open after Shutdown: %v", err)
	}
}

// TestShutdown: idle connections close, handlers that wait to read are told, each time, and may say farewell; those
// that work go on; what was received is handled first.
func TestShutdown(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		goOn := make(chan struct{})
		b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
			buf := make([]byte, 5)
			for {
				if _, err := io.ReadFull(c, buf); err != nil {
					_, again := c.Read(buf)
					fmt.Fprintf(c, "bye %v %v", errors.Is(err, plexor.ErrServerClosed), errors.Is(again, plexor.ErrServerClosed))
					return
				}
				if string(buf) == "work!" {
					if _, err := coro.Await(c.Context(), func() (int, error) { <-goOn; return 0, nil }); err != nil {
						t.Errorf("Await: %v", err)
					}
				}
				if _, err := c.Write(buf); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		}))
		streams := b.addr
		var err error
		if b.addr, err = b.Open(p.addr+map[bool]string{true: "2", false: ""}[strings.HasPrefix(p.addr, "unix")],
			upper); err != nil {
			t.Fatal(err)
		}
		messages, half := b.dial(), b.dial()
		b.addr = streams
		quiet, reads, works := b.dial(), b.dial(), b.dial()
		send(t, messages, "hello\n")
		want(t, messages, "HELLO\n")
		send(t, half, "hal")
		send(t, reads, "hello")
		want(t, reads, "hello")
		send(t, works, "work!hello")
		b.await("the handlers", func(s plexor.Stats) bool { return s.Handlers == 2 && s.Conns == 5 })

		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errCut)
			defer cancel()
			ended <- b.Shutdown(ctx)
		}()
		wantEnd(t, quiet)
		wantEnd(t, messages)
		want(t, reads, "bye true true")
		wantEnd(t, reads)
		if c, err := dialPeer(b.addr); err == nil {
			c.Close()
			t.Error("it still listens")
		}
		send(t, half, "f\n")
		want(t, half, "HALF\n")
		wantEnd(t, half)
		close(goOn)
		want(t, works, "work!hello"+"bye true true")
		wantEnd(t, works)
		for _, c := range []net.Conn{quiet, messages, reads, half, works} {
			c.Close()
		}
		if err := receive(t, ended, "Shutdown"); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// TestShutdownCuts: what has not ended by the limit is cut, and counted.
func TestShutdownCuts(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		errs := make(chan error, 2)
		b := p.serve(t, &plexor.Server{}, onConn(errs, func(c *plexor.Conn) error {
			return coro.Sleep(c.Context(), time.Hour)
		}))
		for range 2 {
			send(t, b.dial(), "x")
		}
		b.await("the handlers", func(s plexor.Stats) bool { return s.Handlers == 2 })
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errCut)
		if err := b.Shutdown(ctx); !errors.Is(err, errCut) || !strings.Contains(err.Error(), "2 connections") {
			t.Errorf("Shutdown: %v, want %v and the number of connections", err, errCut)
		}
		for range 2 {
			if err := receive(t, errs, "a handler"); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the handler's Sleep ended with %v, want net.ErrClosed underneath", err)
			}
		}
	})
}

// TestClose: handlers that wait are told, whatever they wait for, and Close returns after them.
func TestClose(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		errs := make(chan error, 3)
		b := p.serve(t, &plexor.Server{}, onConn(errs, func(c *plexor.Conn) error {
			p := make([]byte, 1)
			if _, err := c.Read(p); err != nil {
				return err
			}
			var err error
			switch p[0] {
			case 'r':
				_, err = c.Read(p)
			case 'w':
				for err == nil {
					_, err = c.Write(make([]byte, 1<<20))
				}
			case 's':
				err = coro.Sleep(c.Context(), time.Hour)
			}
			if !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("%s: %w", p, err)
			}
			return nil
		}))
		for _, what := range []string{"r", "w", "s"} {
			send(t, b.dial(), what)
		}
		b.await("the handlers", func(s plexor.Stats) bool { return s.Handlers == 3 })
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if len(errs) != 3 {
			t.Errorf("Close returned when %d of 3 handlers had", len(errs))
		}
		for range 3 {
			if err := receive(t, errs, "a handler"); err != nil {
				t.Error(err)
			}
		}
	})
}
