package brokers_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/brokers"
)

// TestProxy: bytes come through, not while they are held, and then after all; a cut ends connections, old and new ones.
func TestProxy(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // sends back what comes
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until the connection ends
			}()
		}
	}()
	p, err := brokers.NewProxy(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(c net.Conn, s string) {
		t.Helper()
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(c net.Conn, want string) {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	old := dial()
	say(old, "a")
	hear(old, "a")
	p.Hold()
	late := dial()
	for _, c := range []net.Conn{old, late} {
		say(c, "b")
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("while it is held %d bytes came, %v", n, err)
		}
	}
	p.Heal()
	hear(old, "b")
	hear(late, "b")
	p.Cut()
	all := []net.Conn{old, late}
	if c, err := net.Dial("tcp", p.Addr); err == nil { // else its end was seen by the dial
		defer c.Close()
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the cut: %d bytes, %v", n, err)
		}
	}
	p.Heal()
	again := dial()
	say(again, "c")
	hear(again, "c")
}
