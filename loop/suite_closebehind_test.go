//go:build linux || darwin || freebsd

package loop_test

import (
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// CloseBehind takes its bytes when Write would refuse them, and the peer gets all, and the end.
func TestCloseBehind(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			for name, before := range map[string]int{"nothing waits": 0, "little waits": 100, "it is full": large} {
				t.Run(name, func(t *testing.T) {
					r := run(t, loop.Options{Driver: driver})
					k := r.connect(network, sock.Options{}, &watcher{})
					all := pattern(before + 100_000)
					k.do(func() {
						if before > 0 {
							write(t, k.c, all[:before])
						}
						if _, err := k.c.Write(nil); (err == loop.ErrFull) != (before == large) {
							t.Errorf("an empty Write behind %d bytes: %v", before, err)
						}
						if err := k.c.CloseBehind(all[before:]); err != nil {
							t.Errorf("CloseBehind: %v", err)
						}
						if err := k.c.CloseBehind([]byte("x")); err != loop.ErrClosed {
							t.Errorf("a second one: %v, want ErrClosed", err)
						}
					})
					readSlowly(t, k.peer, all)
					k.peer.Close()
					k.end(nil)
				})
			}
		})
	})
}

// Behind CloseWrite, and over a broken connection, it is Close.
func TestCloseBehindTheEnd(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver})
		k := r.connect("tcp", sock.Options{}, &watcher{})
		k.do(func() {
			write(t, k.c, []byte("all"))
			if err := k.c.CloseWrite(); err != nil {
				t.Error(err)
			}
			if err := k.c.CloseBehind([]byte("more")); err != nil {
				t.Errorf("CloseBehind: %v", err)
			}
		})
		readSlowly(t, k.peer, []byte("all"))
		k.peer.Close()
		k.end(nil)
	})
}
