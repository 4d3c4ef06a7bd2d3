package plexor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// eachBorrower runs f where goroutines have the descriptor and where the loop reads and writes for them.
func eachBorrower(t *testing.T, f func(t *testing.T)) {
	t.Run("direct", f)
	t.Run("on the loop", func(t *testing.T) {
		keepOnLoop(t)
		f(t)
	})
}

// leased is a connection that a handler gave away, and goes on to wait for the end of its context, whose cause comes by
// ended; and its client, which has not read all that came.
func leased(t *testing.T, p place) (b *bench, sh, client net.Conn, ended chan error) {
	t.Helper()
	shares, ended := make(chan net.Conn, 1), make(chan error, 1)
	b = p.serve(t, &plexor.Server{}, plexor.HandlerFunc(func(c *plexor.Conn) {
		ctx := c.Context()
		_, _ = c.Read(make([]byte, 1))
		shares <- c.Shared()
		_ = coro.Sleep(ctx, time.Hour) // the cause tells more
		ended <- context.Cause(ctx)
	}))
	client = b.dial()
	send(t, client, "!")
	sh = receive(t, shares, "the handler")
	t.Cleanup(func() { sh.Close() })
	if err := sh.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	send(t, sh, "12")
	want(t, client, "1")
	return b, sh, client, ended
}

// TestSharedContextOfDeadPeer: a peer that dies ends the connection and its context though no goroutine reads or
// writes; what it had sent is read all the same, and behind that the error.
func TestSharedContextOfDeadPeer(t *testing.T) {
	eachBorrower(t, func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			beside(t)
			for name, half := range map[string]bool{"at once": false, "behind its end": true} {
				t.Run(name, func(t *testing.T) {
					b, sh, client, ended := leased(t, p)
					send(t, client, "before")
					if half {
						closeWrite(t, client)
					}
					reset(t, client)
					if err := receive(t, ended, "the context's end"); !peerGone(err) {
						t.Errorf("the context's cause is %v; want the error of a peer that is gone", err)
					}
					b.await("the connection's end", func(s plexor.Stats) bool { return s.Conns == 0 })
					want(t, sh, "before")
					n, err := sh.Read(make([]byte, 1))
					if n != 0 || err != io.EOF && !peerGone(err) || err != io.EOF && half && p.addr == "tcp://127.0.0.1:0" {
						t.Errorf("Read behind that: %d, %v", n, err)
					}
					if n, err := sh.Write([]byte("more")); n != 0 || !peerGone(err) {
						t.Errorf("Write: %d, %v; want the error of a peer that is gone", n, err)
					}
					if err := sh.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				})
			}
		})
	})
}

// TestSharedUnreadOfDeadPeer: of more than the loop takes in nothing is lost, and the death is found behind it.
func TestSharedUnreadOfDeadPeer(t *testing.T) {
	eachBorrower(t, func(t *testing.T) {
		eachPlace(t, func(t *testing.T, p place) {
			beside(t)
			for name, half := range map[string]bool{"at once": false, "behind its end": true} {
				t.Run(name, func(t *testing.T) {
					b, sh, client, _ := leased(t, p)
					if err := sh.(interface{ SetReadBuffer(int) error }).SetReadBuffer(200 << 10); err != nil {
						t.Fatal(err)
					}
					all := strings.Repeat("x", 80<<10)
					send(t, client, all)
					awaitAcked(t, client)
					if half {
						closeWrite(t, client)
					}
					reset(t, client)
					want(t, sh, all)
					if n, err := sh.Read(make([]byte, 1)); n != 0 || err != io.EOF && !peerGone(err) {
						t.Errorf("Read behind that: %d, %v", n, err)
					}
					b.await("the connection's end", func(s plexor.Stats) bool { return s.Conns == 0 })
				})
			}
		})
	})
}

// TestSharedOfHeldLoop: a connection that goroutines have ends with its server though a handler holds the loop, whether
// they have its descriptor or wait for the loop: over TLS, or as the loop was held before it could lend it.
func TestSharedOfHeldLoop(t *testing.T) {
	beside(t)
	for name, itself := range map[string]bool{"by another": false, "by itself": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachMessagePlace(t, func(t *testing.T, p place) {
				t.Parallel() // it waits for a second
				endShared(t, p, itself)
			})
		})
	}
}

func endShared(t *testing.T, p place, itself bool) {
	released, holds := make(chan struct{}), make(chan struct{})
	shares := make(chan net.Conn, 1)
	hold := func() {
		close(holds)
		holdUntil(released)
	}
	srv := &plexor.Server{Driver: p.driver, Network: p.network(t), Loops: 1, Stall: -1}
	addr, err := srv.Open(p.addr, plexor.HandlerFunc(func(c *plexor.Conn) {
		buf := make([]byte, 1)
		if _, err := c.Read(buf); err == nil && buf[0] == '!' {
			hold()
		} else if err == nil {
			if shares <- c.Shared(); itself {
				hold()
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, Server: srv, addr: addr, tls: strings.HasPrefix(p.addr, "tls:")}
	client, holder := b.dialMessages(), b.dialMessages()
	send(t, client, "x")
	sh := receive(t, shares, "the handler")
	defer sh.Close()
	if !itself {
		send(t, sh, "lent")
		want(t, client, "lent")
	}
	read := make(chan error, 1)
	go func() {
		_, err := sh.Read(make([]byte, 1))
		read <- err
	}()
	if !itself {
		send(t, holder, "!")
	}
	<-holds
	if err, ok := errors.AsType[*loop.HeldError](srv.Close()); !ok {
		t.Errorf("Close: %v, want a *loop.HeldError", err)
	}
	if err := recvError(t, read); !errors.Is(err, plexor.ErrServerClosed) {
		t.Errorf("the Read that waited: %v, want ErrServerClosed", err)
	}
	if _, err := sh.Write([]byte("more")); !errors.Is(err, plexor.ErrServerClosed) {
		t.Errorf("Write: %v, want ErrServerClosed", err)
	}
	_ = client.SetReadDeadline(time.Now().Add(patience))
	if _, err := client.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the client's Read: %v, want its end", err)
	}
	close(released)
	for deadline := time.Now().Add(patience); srv.Stats().Conns+srv.Stats().Handlers > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("after the handler has returned: %+v", srv.Stats())
		}
	}
}

// awaitAcked waits until the peer's system has all that was sent. A unix socket hands it over at once.
func awaitAcked(t *testing.T, c net.Conn) {
	t.Helper()
	if peer, ok := c.(interface{ Unacked() int }); ok { // of a lab's host
		for deadline := time.Now().Add(patience); peer.Unacked() > 0 && time.Now().Before(deadline); runtime.Gosched() {
		}
		return
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		left, known := 0, false
		if err := raw.Control(func(fd uintptr) { left, known = sock.Socket(fd).Unacked() }); err != nil {
			t.Fatal(err)
		}
		if !known || left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are not acknowledged", left)
		}
	}
}
