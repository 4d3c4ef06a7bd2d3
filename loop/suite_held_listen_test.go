//go:build linux || darwin || freebsd

package loop_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A safeBuffer is a log's text.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestHeldLoopListening: who ends what a held loop listens on, of a group that goes on, does not wait for the handler.
// Nobody is there then, and when the handler returns, the loop goes on, and knows no failure.
func TestHeldLoopListening(t *testing.T) {
	t.Parallel()
	ends := map[string]func(g *loop.Group, ln *loop.GroupListener, p *loop.PacketConn) error{
		"Close": func(_ *loop.Group, ln *loop.GroupListener, p *loop.PacketConn) error {
			return errors.Join(ln.Close(), p.CloseFrom())
		},
		"LeaveListening": func(g *loop.Group, _ *loop.GroupListener, _ *loop.PacketConn) error { return g.LeaveListening() },
	}
	for name, end := range ends {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(name+"/"+network, func(t *testing.T) {
				t.Parallel()
				together(t, func(t *testing.T, driver string) { endHeldListening(t, driver, network, end) })
			})
		}
	}
}

func endHeldListening(t *testing.T, driver, network string,
	end func(*loop.Group, *loop.GroupListener, *loop.PacketConn) error) {
	log := new(safeBuffer)
	g, err := loop.NewGroup(loop.GroupOptions{Loops: 1, Options: loop.Options{Driver: driver, Stall: -1,
		Log: slog.New(slog.NewTextHandler(log, nil))}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	accept := func(*loop.Conn) loop.Handler { return loop.Base{} }
	ln, err := g.Listen(address(t, network), sock.Options{}, accept)
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.ListenPacket(address(t, "udp"), sock.Options{}, loop.PacketFunc(
		func(*loop.PacketConn, []byte, netip.AddrPort, bool) {}))
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{make(chan struct{}), make(chan struct{})}
	release := sync.OnceFunc(func() { close(h.free) })
	t.Cleanup(release)
	l := g.Loops()[0]
	if err := l.Post(h.hold); err != nil {
		t.Fatal(err)
	}
	recv(t, "the handler", h.holds)
	giveUp(t, func() error { return end(g, ln, p) })
	refuses(t, ln.Addr())
	refuses(t, p.Addr())
	a := address(t, network)
	giveUp(t, func() error { _, err := g.Listen(a, sock.Options{}, accept); return err })
	if _, err := tryDial(a); network == "unix" && !errors.Is(err, syscall.ENOENT) {
		t.Errorf("an address that could not be listened on is there: %v", err)
	}
	release()
	if err := errors.Join(ln.Close(), l.Do(func() {})); err != nil {
		t.Errorf("once the handler has returned: %v", err)
	}
	ln, err = g.Listen(a, sock.Options{}, accept)
	if err != nil {
		t.Fatalf("once the handler has returned: %v", err)
	}
	dial(t, ln.Addr())
	if text := log.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("the end of a listener is a failure in the log:\n%s", text)
	}
}
