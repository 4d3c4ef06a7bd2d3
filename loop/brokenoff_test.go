//go:build linux || darwin || freebsd

package loop

import (
	"testing"

	"github.com/plexor-go/plexor/sock"
)

// countedAccepts counts how often the kernel is asked for a connection.
type countedAccepts struct {
	kernel
	n *int
}

func (c countedAccepts) accept(s sock.Socket) (sock.Socket, error) {
	*c.n++
	return c.kernel.accept(s)
}

// TestFinishOfABrokenOffListener: a loop that was given up, and is to stop listening once its handler has returned,
// asks its listener once who waits there, and not 65,536 times, of which each fails.
func TestFinishOfABrokenOffListener(t *testing.T) {
	for _, d := range Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			l, err := New(Options{Driver: d.Name})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			l.sys = countedAccepts{n: &n}
			ran := make(chan error, 1)
			go func() { ran <- l.Run() }()
			finish := func() {
				ln, err := l.Listen(sock.Addr{Scheme: "tcp", Host: "127.0.0.1"}, sock.Options{},
					func(*Conn) Handler { return Base{} })
				if err != nil {
					t.Error(err)
					return
				}
				l.closing.Store(true)
				if err := l.sys.breakOff(ln.sock); err != nil {
					t.Errorf("breakOff: %v", err)
				}
				ln.finish()
				l.closing.Store(false) // so that Close has it end
			}
			if err := l.Do(finish); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ran; err != nil {
				t.Error(err)
			}
			if n != 1 {
				t.Errorf("accept was called %d times on a listener that was broken off, want 1", n)
			}
		})
	}
}
