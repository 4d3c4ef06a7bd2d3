package plexor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/sock"
)

// TestDialAbstract: a unix socket by an abstract name, on both ends, without a file.
func TestDialAbstract(t *testing.T) {
	name := fmt.Sprintf("@plexor-%d/%s", os.Getpid(), t.Name())
	eachLoop(t, func(t *testing.T, ctx context.Context) {
		_, err := coro.Await(ctx, func() (struct{}, error) {
			ln, err := net.Listen("unix", name)
			if err != nil {
				return struct{}{}, err
			}
			go func() {
				defer ln.Close()
				c, err := ln.Accept()
				if err == nil {
					defer c.Close()
					_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
				}
			}()
			return struct{}{}, nil
		})
		if err != nil {
			t.Error(err)
			return
		}
		c, err := plexor.Dial(ctx, "unix:"+name)
		if err != nil {
			t.Error(err)
			return
		}
		sayHello(t, c)
		_, err = plexor.Dial(ctx, "unix://@nobody-"+name[1:])
		if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "nobody listens there") ||
			strings.Contains(err.Error(), "file") {
			t.Errorf("nobody there: %v", err)
		}
	})
	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) { c.Write([]byte("hello")) })}
	defer srv.Close()
	a, err := srv.Open("unix://"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := dial(t, a)
	send(t, client, "?") // a handler starts with the first byte
	want(t, client, "hello")
	if _, err := srv.Open("unix://"+name, nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a name that is in use: %v", err)
	}
}

// TestDialBacklog: a unix socket whose backlog is full is tried again until there is room, or the context ends.
func TestDialBacklog(t *testing.T) {
	eachLoop(t, func(t *testing.T, ctx context.Context) {
		a, err := sock.ParseAddr("unix://" + t.TempDir() + "/s")
		if err != nil {
			t.Error(err)
			return
		}
		s, err := sock.Listen(a, sock.Options{Backlog: 1})
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		var held []sock.Socket
		for err == nil && len(held) < 20 {
			var h sock.Socket
			if h, _, err = sock.Connect(a, sock.Options{}); err == nil {
				held = append(held, h)
				defer h.Close()
			}
		}
		if !errors.Is(err, sock.ErrWouldBlock) {
			t.Errorf("after %d connections: %v, want EAGAIN", len(held), err)
			return
		}
		short, cancel := coro.WithTimeout(ctx, 20*time.Millisecond)
		_, err = plexor.Dial(short, a.String())
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "backlog is full") {
			t.Errorf("nobody accepts: %v", err)
		}
		err = coro.Group(ctx, func(g *coro.Tasks) error {
			g.Go(func(ctx context.Context) error {
				c, err := plexor.Dial(ctx, a.String())
				if err == nil {
					err = c.Abort()
				}
				return err
			})
			g.Go(func(ctx context.Context) error {
				if err := coro.Sleep(ctx, 10*time.Millisecond); err != nil {
					return err
				}
				in, err := s.Accept()
				if err != nil {
					return err
				}
				return in.Close()
			})
			return nil
		})
		if err != nil {
			t.Errorf("with room at last: %v", err)
		}
	})
}

// TestDialTold: errors say what to do, and in words of the address that was given.
func TestDialTold(t *testing.T) {
	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(*plexor.Conn) {})}
	defer srv.Close()
	a, err := srv.Open("tls://127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := echoOn(t, "tcp", "127.0.0.1:0")
	err = plexor.Run(t.Context(), func(ctx context.Context) error {
		for address, want := range map[string]string{
			"tls://" + a.String():     "?fingerprint=",
			"tls://" + plain.String(): "handshake",
			"tcp://[fe80::1]:80":      "[fe80::1%25eth0]",
		} {
			_, err := plexor.Dial(ctx, address)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "starttls") {
				t.Errorf("Dial(%s) says %v; want %q in it, and no starttls", address, err, want)
			}
			if want == "?fingerprint=" && err != nil {
				_, rest, _ := strings.Cut(err.Error(), want)
				pin, _, _ := strings.Cut(rest, " ")
				c, err := plexor.Dial(ctx, address+want+pin)
				if err != nil {
					t.Errorf("by the fingerprint that the error names: %v", err)
					continue
				}
				if err := c.Abort(); err != nil {
					t.Error(err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
