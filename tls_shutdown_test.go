package plexor_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
)

// TestTLSShutdown: a drain ends a handshake that hangs, and a connection over TLS like any other.
func TestTLSShutdown(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		said := make(chan error, 1)
		b := serveTLS(t, driver, &plexor.Server{}, nil, plexor.HandlerFunc(func(c *plexor.Conn) {
			_, err := io.Copy(c, c)
			fmt.Fprint(c, "farewell")
			said <- err
		}))
		half, silent, c := b.dial(), b.dial(), b.connect(nil)
		send(t, half, "\x16\x03\x01\x02\x00\x01")
		send(t, c, "x")
		want(t, c, "x")
		b.await("all", func(s plexor.Stats) bool { return s.Conns == 3 && s.Handshaking == 1 })
		done := make(chan struct{})
		go func() { defer close(done); b.shutdown() }()
		if err := receive(t, said, "the handler"); !errors.Is(err, plexor.ErrServerClosed) {
			t.Errorf("the handler read %v, want ErrServerClosed", err)
		}
		want(t, c, "farewell")
		wantEnd(t, c)
		for _, c := range []net.Conn{half, silent} {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a client read a byte")
			}
		}
		for _, c := range []net.Conn{half, silent, c} {
			c.Close()
		}
		receive(t, done, "the end of Shutdown")
	})
}

// A cutConn keeps the second half of what is written while it is told to.
type cutConn struct {
	net.Conn
	cut  bool
	rest []byte
}

func (c *cutConn) Write(p []byte) (int, error) {
	n := len(p)
	if c.cut {
		n /= 2
		c.rest = append(c.rest, p[n:]...)
	}
	if m, err := c.Conn.Write(p[:n]); err != nil {
		return m, err
	}
	return len(p), nil
}

// TestShutdownHalf: what has come in part when Shutdown begins is waited for, and answered.
func TestShutdownHalf(t *testing.T) {
	beside(t)
	plain := func(b *tlsBench) (net.Conn, *cutConn) {
		var err error
		if b.addr, err = b.Open("tcp://127.0.0.1:0", plexor.HandlerFunc(upper.ServeConn)); err != nil {
			t.Fatal(err)
		}
		c := b.dial()
		return c, nil
	}
	secure := func(b *tlsBench) (net.Conn, *cutConn) {
		under := &cutConn{Conn: b.dial()}
		return tls.Client(under, b.client()), under
	}
	for _, row := range []struct {
		name     string
		connect  func(b *tlsBench) (net.Conn, *cutConn)
		h        plexor.Handler
		begin    string // whole records
		cut, end string // a record of which half is sent before, and what is sent behind it
		want     string
	}{
		{"a message", secure, upper, "hal", "", "f\n", "HALF\n"},
		{"the record of a message", secure, upper, "", "half\n", "", "HALF\n"},
		{"the second record of a message", secure, upper, "hal", "f\n", "", "HALF\n"},
		{"the first record of a message", secure, upper, "", "hal", "f\n", "HALF\n"},
		{"the second message", secure, upper, "one\n", "two\n", "", "ONE\nTWO\n"},
		{"the record of a stream", secure, echoTLS, "", "half", "", "half"},
		{"a message, ServeConn on a plain stream", plain, upper, "hal", "", "f\n", "HALF\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil, row.h)
				quiet := b.connect(nil)
				c, under := row.connect(b)
				if tc, ok := c.(*tls.Conn); ok {
					if err := tc.Handshake(); err != nil {
						t.Fatal(err)
					}
				}
				if row.begin != "" {
					send(t, c, row.begin)
				}
				if row.cut != "" {
					under.cut = true
					send(t, c, row.cut)
					under.cut = false
				}
				b.await("the connections", func(s plexor.Stats) bool { return s.Conns == 2 && (under == nil || s.Handshakes == 2) })
				ended := make(chan struct{})
				go func() { defer close(ended); b.shutdown() }()
				wantEnd(t, quiet)
				quiet.Close()
				select {
				case <-ended:
					t.Fatal("Shutdown did not wait")
				case <-time.After(30 * time.Millisecond):
				}
				if row.cut != "" {
					send(t, under.Conn, string(under.rest))
				}
				if row.end != "" {
					send(t, c, row.end)
				}
				want(t, c, row.want)
				wantEnd(t, c)
				c.Close()
				receive(t, ended, "the end of Shutdown")
			})
		})
	}
}
