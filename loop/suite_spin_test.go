//go:build linux || darwin || freebsd

package loop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A loop that spins before it sleeps misses nothing: what arrives, what is posted and what is due comes to it while it
// spins, and when it has given up to.
func TestSpin(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		streams(t, func(t *testing.T, network string) {
			r := run(t, loop.Options{Driver: driver, Spin: 200 * time.Microsecond})
			k := r.connect(network, sock.Options{}, &watcher{data: func(c *loop.Conn, p []byte) { c.Write(p) }})
			for i := range 300 {
				k.peer.send(pattern(10 + i))
				k.peer.expect(pattern(10 + i))
				r.do(func() {}) // posted
				if i%50 == 0 {  // longer than it spins
					due := make(chan struct{})
					r.do(func() { r.AfterFunc(time.Millisecond, func() { close(due) }) })
					recv(t, "the timer", due)
				}
			}
			k.peer.closeWrite()
			k.end(nil)
		})
	})
}

func TestNegativeSpin(t *testing.T) {
	if l, err := loop.New(loop.Options{Spin: -1}); err == nil {
		l.Close()
		t.Error("New takes a negative Spin")
	} else if !strings.Contains(err.Error(), "Options.Spin is -1ns") {
		t.Errorf("New says %q: want the option and its value", err)
	}
}
