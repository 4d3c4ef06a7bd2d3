package lab_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
)

// TestBubble: a world may be in a synctest bubble, whose time a live one then goes by.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := liveWorld(t, link.Options{Delay: time.Second})
		srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
		if _, err := srv.Open("tcp://:9000", nil); err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		began := time.Now()
		c, err := client.DialContext(context.Background(), "tcp", "server:9000")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 4*time.Second || took > 10*time.Second {
			t.Errorf("two round trips of 2 s took %v", took)
		}
	})
}

// TestBubbleVirtual: virtual time is the world's own there too.
func TestBubbleVirtual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := lab.New(lab.Options{})
		defer w.Close()
		began := time.Now()
		client, server := w.Host("client"), w.Host("server")
		w.Connect(client, server, link.Options{Delay: time.Second})
		srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
		if _, err := srv.Open("tcp://:9000", nil); err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		client.Go(func(ctx context.Context) error {
			c, err := plexor.Dial(ctx, "tcp://server:9000")
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := io.WriteString(c, "hello"); err != nil {
				return err
			}
			_, err = io.ReadFull(c, make([]byte, 5))
			return err
		})
		if err := w.Run(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the bubble's time went on by %v", took)
		}
	})
}

// TestForeignBubble: who uses a world in a bubble in which it was not made is told so, before the runtime ends the
// process. Closing works.
func TestForeignBubble(t *testing.T) {
	client, server := liveWorld(t, link.Options{})
	ln, err := server.Listener("tcp", ":9000")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	c, err := client.DialContext(t.Context(), "tcp", "server:9000")
	if err != nil {
		t.Fatal(err)
	}
	other := <-accepted
	pc, err := server.ListenPacket("udp", ":9000")
	if err != nil {
		t.Fatal(err)
	}
	virtual := lab.New(lab.Options{})
	defer virtual.Close()
	waits := lab.New(lab.Options{Live: true})
	defer waits.Close()
	running := make(chan struct{})
	waits.Host("a").Go(func(context.Context) error { <-running; return nil })
	uses := map[string]func() error{
		"Read":       func() error { _, err := c.Read(make([]byte, 1)); return err },
		"Write":      func() error { _, err := io.WriteString(c, "x"); return err },
		"deadline":   func() error { return c.SetDeadline(time.Now().Add(time.Hour)) },
		"Accept":     func() error { _, err := ln.Accept(); return err },
		"Dial":       func() error { _, err := client.DialContext(t.Context(), "tcp", "server:9000"); return err },
		"Listener":   func() error { _, err := server.Listener("tcp", ":9001"); return err },
		"PacketConn": func() error { _, err := server.ListenPacket("udp", ":9001"); return err },
		"ReadFrom":   func() error { _, _, err := pc.ReadFrom(make([]byte, 1)); return err },
		"WriteTo":    func() error { _, err := pc.WriteTo([]byte("x"), pc.LocalAddr()); return err },
		"Wait":       waits.Wait,
		"Run":        virtual.Run,
	}
	synctest.Test(t, func(t *testing.T) {
		for name, use := range uses {
			if err := use(); err == nil || !strings.Contains(err.Error(), "bubble") {
				t.Errorf("%s: %v, want an error that says where the world belongs", name, err)
			}
		}
		for _, x := range []io.Closer{c, ln, pc} {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if n, err := other.Read(make([]byte, 1)); err != io.EOF { // and the world's time has gone on
		t.Errorf("the other end read %d bytes, %v", n, err)
	}
	_ = other.Close() // it has ended
	close(running)
	if err := waits.Wait(); err != nil {
		t.Error(err)
	}
}
