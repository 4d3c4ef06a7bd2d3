package plexor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/internal/portion"
)

// listen is a server as a net.Listener.
func (p place) listen(t *testing.T, srv *plexor.Server) (*bench, *plexor.Listener) {
	t.Helper()
	b := p.serve(t, srv, nil)
	ln, err := b.Listen(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	b.addr = ln.Addr()
	return b, ln
}

// accepted is a connection of Listen, and its client.
func accepted(t *testing.T, p place, srv *plexor.Server) (b *bench, server, client net.Conn) {
	t.Helper()
	b, ln := p.listen(t, srv)
	client = b.dial()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := server.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return b, server, client
}

// given is a connection of Shared, whose handler has read a byte of the two that came, and returned.
func given(t *testing.T, p place, srv *plexor.Server) (b *bench, server, client net.Conn) {
	t.Helper()
	conns := make(chan net.Conn, 1)
	b = p.serve(t, srv, plexor.HandlerFunc(func(c *plexor.Conn) {
		c.Read(make([]byte, 1))
		c.SetDeadline(time.Unix(1, 0)) // which ends with it
		conns <- c.Shared()
	}))
	client = b.dial()
	send(t, client, "!?")
	server = receive(t, conns, "the handler")
	t.Cleanup(func() { server.Close() })
	want(t, server, "?")
	b.await("the handler's end", func(s plexor.Stats) bool { return s.Handlers == 0 && s.Conns == 1 })
	return b, server, client
}

// A makePair makes a shared connection of srv's and the client at its other end.
type makePair func(t *testing.T, srv *plexor.Server) (b *bench, server, client net.Conn)

// eachShared runs f with each kind of shared connection, where goroutines have the descriptor and where the loop reads
// and writes for them.
func eachShared(t *testing.T, f func(t *testing.T, pair makePair)) {
	for _, onLoop := range []string{"", " on the loop"} {
		for name, pair := range map[string]func(*testing.T, place, *plexor.Server) (*bench, net.Conn, net.Conn){
			"Listen": accepted, "Shared": given} {
			t.Run(name+onLoop, func(t *testing.T) {
				if onLoop != "" {
					keepOnLoop(t)
				}
				eachPlace(t, func(t *testing.T, p place) {
					f(t, func(t *testing.T, srv *plexor.Server) (*bench, net.Conn, net.Conn) { return pair(t, p, srv) })
				})
			})
		}
	}
}

// keepOnLoop has the loops read and write for goroutines until the test and all that are part of it have ended. It
// holds for the process, so such a test is beside no others; what is part of it may be.
func keepOnLoop(t *testing.T) {
	t.Helper()
	if isBeside(t) {
		t.Fatal("this test is beside others, which would be kept on the loop too")
	}
	t.Cleanup(plexor.KeepOnLoop())
}

// TestSharedEcho: all bytes, and half-close.
func TestSharedEcho(t *testing.T) {
	eachShared(t, func(t *testing.T, pair makePair) {
		beside(t)
		_, server, client := pair(t, &plexor.Server{Limits: plexor.Limits{HighWater: 16 << 10}})
		sent := random(portion.Fewer(3<<20, 1<<20), 2)
		var g sync.WaitGroup
		g.Go(func() {
			if n, err := io.Copy(server, server); n != int64(len(sent)) || err != nil {
				t.Errorf("Copy: %d, %v", n, err)
			}
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
		g.Go(func() {
			if _, err := client.Write(sent); err != nil {
				t.Error(err)
			}
			closeWrite(t, client)
		})
		got, err := io.ReadAll(client)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came back of %d, equal=%v, %v", len(got), len(sent), bytes.Equal(got, sent), err)
		}
		g.Wait()
	})
}

// TestSharedBounds: who writes to a peer that does not read is held up, with a bound on what is kept; and so is a peer
// that writes to who does not read.
func TestSharedBounds(t *testing.T) {
	eachShared(t, func(t *testing.T, pair makePair) {
		beside(t)
		_, server, client := pair(t, &plexor.Server{Limits: plexor.Limits{HighWater: 64 << 10}})
		const total = 12 << 20 // more than the system buffers
		for name, ends := range map[string][2]net.Conn{"out": {server, client}, "in": {client, server}} {
			wrote := make(chan error, 1)
			go func() {
				_, err := ends[0].Write(make([]byte, total))
				wrote <- err
			}()
			in, out := plexor.Kept(server)
			for same := 0; same < 20; time.Sleep(5 * time.Millisecond) { // until nothing moves
				in2, out2 := plexor.Kept(server)
				if same++; in2 != in || out2 != out {
					same = 0
				}
				in, out = in2, out2
			}
			if in > 128<<10 || out > 64<<10 {
				t.Errorf("%s: %d bytes are kept of what came, %d of what was written", name, in, out)
			}
			select {
			case err := <-wrote:
				t.Fatalf("%s: all was written, and nobody read: %v", name, err)
			default:
			}
			if n, err := io.CopyN(io.Discard, ends[1], total); err != nil {
				t.Errorf("%s: read %d bytes, %v", name, n, err)
			}
			if err := receive(t, wrote, "the writer"); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestSharedEnds: what is told by Read and Write after each kind of end.
func TestSharedEnds(t *testing.T) {
	eachShared(t, func(t *testing.T, pair makePair) {
		beside(t)
		p := make([]byte, 10)
		t.Run("close", func(t *testing.T) {
			_, server, client := pair(t, &plexor.Server{})
			waits := make(chan error, 1)
			go func() { _, err := server.Read(make([]byte, 1)); waits <- err }()
			send(t, server, "bye")
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			want(t, client, "bye")
			wantEnd(t, client)
			if err := receive(t, waits, "Read"); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a Read that waits: %v", err)
			}
			for name, f := range map[string]func() error{
				"Read":        func() error { _, err := server.Read(p); return err },
				"Write":       func() error { _, err := server.Write(p); return err },
				"Close":       server.Close,
				"CloseWrite":  server.(interface{ CloseWrite() error }).CloseWrite,
				"SetDeadline": func() error { return server.SetDeadline(time.Now()) },
			} {
				if err := f(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s after Close: %v, want net.ErrClosed", name, err)
				}
			}
		})
		t.Run("peer's end", func(t *testing.T) {
			_, server, client := pair(t, &plexor.Server{})
			send(t, client, "bye")
			closeWrite(t, client)
			want(t, server, "bye")
			wantEnd(t, server)
			wantEnd(t, server)
			send(t, server, "you too")
			closeWrite(t, server)
			if _, err := server.Write(p); err == nil {
				t.Error("Write after CloseWrite succeeded")
			}
			want(t, client, "you too")
			wantEnd(t, client)
		})
		t.Run("reset", func(t *testing.T) {
			_, server, client := pair(t, &plexor.Server{})
			if client.LocalAddr().Network() == "unix" {
				t.Skip("unix sockets are closed, not reset")
			}
			reset(t, client)
			if _, err := server.Read(p); err == nil || err == io.EOF {
				t.Errorf("Read: %v, want the reset", err)
			}
			if _, err := server.Write(p); err == nil {
				t.Error("Write succeeded")
			}
		})
		t.Run("server's end", func(t *testing.T) {
			b, server, _ := pair(t, &plexor.Server{})
			waits := make(chan error, 1)
			go func() { _, err := server.Read(make([]byte, 1)); waits <- err }()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if err := receive(t, waits, "Read"); !errors.Is(err, plexor.ErrServerClosed) {
				t.Errorf("a Read that waits: %v, want ErrServerClosed", err)
			}
			if _, err := server.Write(p); !errors.Is(err, plexor.ErrServerClosed) {
				t.Errorf("Write: %v, want ErrServerClosed", err)
			}
			if err := server.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		t.Run("deadlines", func(t *testing.T) {
			_, server, client := pair(t, &plexor.Server{})
			server.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if _, err := server.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read: %v", err)
			}
			server.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			var all, n int
			var err error
			for err == nil {
				n, err = server.Write(make([]byte, 1<<20))
				all += n
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write: %v", err)
			}
			server.SetDeadline(time.Time{})
			go io.CopyN(io.Discard, client, int64(all))
			send(t, server, "!")
		})
	})
}

// TestAcceptLimit: connections that nobody accepts have a bound.
func TestAcceptLimit(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b, ln := p.listen(t, &plexor.Server{Limits: plexor.Limits{Accepts: 2}})
		held := []net.Conn{b.dial(), b.dial()}
		b.await("the two", func(s plexor.Stats) bool { return s.Conns == 2 })
		refusedDial(t, b)
		b.await("the refusal", func(s plexor.Stats) bool { return s.RefusedAccepts == 1 && s.Conns == 2 })
		for _, client := range held {
			c, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			send(t, c, "hello")
			want(t, client, "hello")
		}
		left := b.dial()
		b.await("one more", func(s plexor.Stats) bool { return s.Conns == 3 })
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		if n, err := left.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("one that was not accepted reads %d bytes, %v", n, err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
	})
}

// TestHTTP: net/http's server and client over Server as a listener, and over Shared.
func TestHTTP(t *testing.T) {
	beside(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			p, err := io.ReadAll(r.Body) // to answer before the end would end the connection, half a second late
			if err != nil {
				t.Error(err)
			}
			w.Write(p)
		case "/stream":
			for i := range 100 {
				fmt.Fprintln(w, i)
				w.(http.Flusher).Flush()
			}
		case "/peer":
			fmt.Fprint(w, r.RemoteAddr)
		}
	})
	run := func(t *testing.T, b *bench) {
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialPeer(b.addr)
		}, MaxIdleConnsPerHost: 10}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: patience}
		body := random(300_000, 3)
		var g sync.WaitGroup
		for range 6 {
			g.Go(func() {
				for range 3 {
					resp, err := client.Post("http://x/echo", "", bytes.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("echo: %d bytes, %v", len(got), err)
					}
				}
			})
		}
		g.Wait()
		for path, want := range map[string]string{"/stream": "99\n", "/peer": ":"} {
			resp, err := client.Get("http://x" + path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !strings.Contains(string(got), want) && b.addr.Network() == "tcp" {
				t.Errorf("%s: %q, %v", path, got, err)
			}
		}
	}
	eachPlace(t, func(t *testing.T, p place) {
		t.Run("Listen", func(t *testing.T) {
			b, ln := p.listen(t, &plexor.Server{})
			srv := &http.Server{Handler: handler}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(ln) }()
			run(t, b)
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if err := receive(t, served, "Serve"); err != http.ErrServerClosed {
				t.Errorf("Serve: %v", err)
			}
		})
		t.Run("Shared", func(t *testing.T) {
			conns := newChanListener()
			b := p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
				sh := c.Shared()
				go conns.give(sh)
			}))
			srv := &http.Server{Handler: handler}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(conns) }()
			run(t, b)
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			receive(t, served, "Serve")
		})
	})
}

// A chanListener accepts what it is given, and closes what comes behind its end: http.Transport dials more than it
// uses.
type chanListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newChanListener() chanListener {
	return chanListener{make(chan net.Conn), make(chan struct{})}
}

func (l chanListener) give(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		c.Close()
	}
}

func (l chanListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l chanListener) Close() error   { close(l.closed); return nil }
func (l chanListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestListenShutdown: a server that ends tells Accept, and leaves connections to who has them, until the limit.
func TestListenShutdown(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		b, ln := p.listen(t, &plexor.Server{})
		client := b.dial()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- b.Shutdown(context.Background()) }()
		if _, err := ln.Accept(); !errors.Is(err, plexor.ErrServerClosed) {
			t.Errorf("Accept: %v, want ErrServerClosed", err)
		}
		send(t, client, "still")
		want(t, server, "still")
		select {
		case err := <-ended:
			t.Errorf("Shutdown returned %v with a connection open", err)
		case <-time.After(20 * time.Millisecond):
		}
		server.Close()
		wantEnd(t, client)
		client.Close()
		if err := receive(t, ended, "Shutdown"); err != nil {
			t.Error(err)
		}
	})
}
