package lab_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// optioned is what a Conn and what its Shared returns have.
type optioned interface {
	SetNoDelay(bool) error
	SetKeepAlive(bool) error
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
	SetUserTimeout(time.Duration) error
	SetLinger(int) error
	SetTrafficClass(int) error
	SetQuickAck(bool) error
}

func checkOptions(t *testing.T, of string, c optioned) {
	t.Helper()
	if err := errors.Join(c.SetNoDelay(false), c.SetReadBuffer(32<<10), c.SetWriteBuffer(32<<10),
		c.SetUserTimeout(time.Second), c.SetLinger(-1), c.SetTrafficClass(255)); err != nil {
		t.Errorf("%s: %v", of, err)
	}
	for name, err := range map[string]error{"SetKeepAlive": c.SetKeepAlive(true), "SetQuickAck": c.SetQuickAck(true),
		"SetLinger": c.SetLinger(1)} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %s: %v, want one that is ErrUnsupported", of, name, err)
		}
	}
	for name, err := range map[string]error{"a class of 256": c.SetTrafficClass(256),
		"a class of -1": c.SetTrafficClass(-1), "a user timeout of -1 s": c.SetUserTimeout(-time.Second),
		"a read buffer of -1": c.SetReadBuffer(-1), "a write buffer of -1": c.SetWriteBuffer(-1)} {
		var bad *sock.OptionError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %s: %v, want a *sock.OptionError", of, name, err)
		}
	}
}

// TestOptions: connections on a host have the options that the stack has, of the others they say that they have them
// not, and values that the kernel's refuse are refused here.
func TestOptions(t *testing.T) {
	client, server := liveWorld(t, link.Options{})
	shares := make(chan net.Conn, 1)
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) {
		checkOptions(t, "Conn", c)
		shares <- c.Shared()
	})}
	if _, err := srv.Open("tcp://:9000", nil); err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, err := client.DialContext(context.Background(), "tcp", "server:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil { // a handler is called for the first byte
		t.Fatal(err)
	}
	sh := <-shares
	checkOptions(t, "Shared", sh.(optioned))
	if err := sh.Close(); err != nil {
		t.Error(err)
	}
	if err := sh.(optioned).SetNoDelay(true); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetNoDelay of a closed one: %v", err)
	}
}

// TestNoDescriptor: what is about descriptors is refused by loops on a host.
func TestNoDescriptor(t *testing.T) {
	_, server := liveWorld(t, link.Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(*plexor.Conn) {})}
	defer srv.Close()
	if err := srv.Serve(ln); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Serve of a listener of the kernel's: %v", err)
	}
	l, err := loop.New(loop.Options{Network: server})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := sock.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Watch(s, watchesNothing{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Watch: %v", err)
	}
	if _, err := s.LocalAddr(); err == nil {
		t.Error("a socket that Watch has refused is open")
	}
}

type watchesNothing struct{ loop.WatchHandler }
