package lab_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// liveWorld is two hosts in the system's time, until the test ends.
func liveWorld(t *testing.T, line link.Options) (client, server *lab.Host) {
	t.Helper()
	w := lab.New(lab.Options{Live: true})
	client, server = w.Host("client"), w.Host("server")
	w.Connect(client, server, line)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return client, server
}

// TestLive: in a live world goroutines that block talk to a server on loops, over a cable with a delay.
func TestLive(t *testing.T) {
	client, server := liveWorld(t, link.Options{Delay: time.Millisecond})
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:9000", nil); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, err := client.DialContext(context.Background(), "tcp", "server:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := bytes.Repeat([]byte("there and back "), 20_000)
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		wrote <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err = errors.Join(err, <-wrote); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(sent), err)
	}
	_ = c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read behind a deadline: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(got); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

// TestGoInLive: a function of Go runs at once, and Wait waits.
func TestGoInLive(t *testing.T) {
	client, server := liveWorld(t, link.Options{})
	ln, err := server.Listener("tcp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	failed := errors.New("it failed")
	client.Go(func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:7")
		if err != nil {
			return err
		}
		return errors.Join(c.Close(), failed)
	})
	if c, err := ln.Accept(); err != nil {
		t.Error(err)
	} else {
		defer c.Close()
	}
	if err := client.World().Wait(); !errors.Is(err, failed) {
		t.Errorf("Wait says %v", err)
	}
}

// A dialledEnd tells how a connection of a loop has ended.
type dialledEnd struct {
	loop.Base
	closed func(err error)
}

func (d dialledEnd) Opened(*loop.Conn)              {}
func (d dialledEnd) Closed(_ *loop.Conn, err error) { d.closed(err) }

// TestDialTimeout: a dial that nobody answers ends at its limit, by virtual time; one that is refused at once.
func TestDialTimeout(t *testing.T) {
	w := lab.New(lab.Options{Seed: 1})
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Delay: time.Millisecond})
	w.Connect(client, w.Host("gone"), link.Options{Loss: 1})
	l, err := loop.New(loop.Options{Network: client})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	type end struct {
		err error
		at  time.Duration
	}
	ends := make(map[string]end)
	begin := w.Now()
	err = l.Do(func() {
		for _, host := range []string{"10.0.0.2", "10.0.1.2"} {
			_, err := l.Dial(sock.Addr{Scheme: "tcp", Host: host, Port: 9}, sock.Options{}, 2*time.Second,
				dialledEnd{closed: func(err error) { ends[host] = end{err, w.Now().Sub(begin)} }})
			if err != nil {
				t.Error(err)
			}
		}
	})
	if err := errors.Join(err, w.RunFor(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), <-ended, w.Close()); err != nil {
		t.Error(err)
	}
	if e := ends["10.0.0.2"]; !errors.Is(e.err, syscall.ECONNREFUSED) || e.at > 10*time.Millisecond {
		t.Errorf("refused: %v after %v", e.err, e.at)
	}
	if e := ends["10.0.1.2"]; !errors.Is(e.err, os.ErrDeadlineExceeded) || e.at != 2*time.Second {
		t.Errorf("no answer: %v after %v", e.err, e.at)
	}
}

// TestStuck: a world in which nothing will happen any more says so.
func TestStuck(t *testing.T) {
	w := lab.New(lab.Options{Patience: time.Millisecond})
	never := coro.NewSemaphore(1)
	w.Host("alone").Go(func(ctx context.Context) error {
		return errors.Join(never.Acquire(ctx, 1), never.Acquire(ctx, 1))
	})
	if err := w.Run(); !errors.Is(err, lab.ErrStuck) {
		t.Errorf("Run says %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
