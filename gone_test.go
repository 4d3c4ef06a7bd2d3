package plexor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/frame"
)

// peerGone reports whether err is how the system tells of a peer that died behind its end.
func peerGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// below is the transport under a client's TLS, if it has one.
func below(client net.Conn) net.Conn {
	if tc, ok := client.(*tls.Conn); ok {
		return tc.NetConn()
	}
	return client
}

// halfClosed closes the client's half, and waits until the server has seen it: of its only loop another client is
// answered then. The server's handler echoes a message that is "ping".
func (b *bench) halfClosed(client net.Conn) {
	b.t.Helper()
	if client != below(client) {
		closeWrite(b.t, client)
	}
	closeWrite(b.t, below(client))
	for range 2 {
		other := b.dialMessages()
		send(b.t, other, "\x04ping")
		want(b.t, other, "\x04ping")
		other.Close()
	}
}

// pings answers if it is a ping that has come.
func pings(c *plexor.Conn, first []byte) bool {
	if string(first) != "\x04ping" {
		return false
	}
	_, _ = c.Write(first)
	return true
}

// eachWork runs f with a handler that works, by a stream and by messages: for one message, the first, work is called.
func eachWork(t *testing.T, f func(t *testing.T, handler func(work func(c *plexor.Conn)) plexor.Handler)) {
	t.Run("stream", func(t *testing.T) {
		f(t, func(work func(c *plexor.Conn)) plexor.Handler {
			return plexor.HandlerFunc(func(c *plexor.Conn) {
				first := make([]byte, 5)
				if _, err := io.ReadFull(c, first); err == nil && !pings(c, first) {
					work(c)
				}
			})
		})
	})
	t.Run("messages", func(t *testing.T) {
		f(t, func(work func(c *plexor.Conn)) plexor.Handler {
			return plexor.Messages(frame.Length{Bytes: 1}, func(c *plexor.Conn, msg []byte) error {
				if !pings(c, append([]byte{4}, msg...)) {
					work(c)
				}
				return nil
			})
		})
	})
}

// TestContextOfDeadPeer: a client that closed its half and then dies ends the context of the handler that works for it,
// though nothing is written; and what is written then fails.
func TestContextOfDeadPeer(t *testing.T) {
	beside(t)
	eachWork(t, func(t *testing.T, handler func(func(*plexor.Conn)) plexor.Handler) {
		eachMessagePlace(t, func(t *testing.T, p place) {
			beside(t)
			began, ended := make(chan bool, 1), make(chan error, 1)
			b := p.serve(t, &plexor.Server{Loops: 1}, handler(func(c *plexor.Conn) {
				ctx := c.Context()
				began <- true
				_ = coro.Sleep(ctx, time.Hour) // the cause tells more
				if _, err := c.Write([]byte("more")); !peerGone(err) {
					t.Errorf("Write afterwards: %v; want the error of a peer that is gone", err)
				}
				ended <- context.Cause(ctx)
			}))
			client := b.dialMessages()
			send(t, client, "\x04work")
			receive(t, began, "the handler")
			b.halfClosed(client)
			reset(t, below(client))
			if err := receive(t, ended, "the context's end"); !peerGone(err) {
				t.Errorf("the context's cause is %v; want the error of a peer that is gone", err)
			}
			b.await("the connection's end", func(s plexor.Stats) bool { return s.Conns == 0 })
		})
	})
}

// TestSharedWriteToDeadPeer: such a death ends the connection, on what Shared returns too, though nobody reads or
// writes there; and the first Write afterwards fails.
func TestSharedWriteToDeadPeer(t *testing.T) {
	eachBorrower(t, testSharedWriteToDeadPeer)
}

func testSharedWriteToDeadPeer(t *testing.T) {
	eachWork(t, func(t *testing.T, handler func(func(*plexor.Conn)) plexor.Handler) {
		eachMessagePlace(t, func(t *testing.T, p place) {
			beside(t)
			shares := make(chan net.Conn, 1)
			b := p.serve(t, &plexor.Server{Loops: 1}, handler(func(c *plexor.Conn) { shares <- c.Shared() }))
			client := b.dialMessages()
			send(t, client, "\x04work")
			sh := receive(t, shares, "the handler")
			defer sh.Close()
			b.halfClosed(client)
			reset(t, below(client))
			b.await("the connection's end", func(s plexor.Stats) bool { return s.Conns == 0 })
			if n, err := sh.Write([]byte("more")); n != 0 || !peerGone(err) {
				t.Errorf("the first Write: %d, %v; want the error of a peer that is gone", n, err)
			}
			if p.addr != tlsAddr {
				wantEnd(t, sh) // which came before
			}
		})
	})
}
