//go:build linux || darwin || freebsd

package loop_test

import (
	"io"
	"testing"

	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// Mistakes that were made here once, each with the test that found it.

// Output that was full and left within the turn opens the connection again.
func TestFullClearedByFlush(t *testing.T) {
	each(t, func(t *testing.T, driver string) {
		r := run(t, loop.Options{Driver: driver, HighWater: 1000})
		writable := make(chan struct{}, 10)
		data := make(chan int, 10)
		k := r.connect("unix", sock.Options{}, &watcher{
			writable: func(*loop.Conn) { writable <- struct{}{} },
			data:     func(_ *loop.Conn, p []byte) { data <- len(p) },
		})
		k.do(func() {
			write(t, k.c, pattern(100)) // corked: so the turn's end sends
			taken := fill(t, k.c, 17_000)
			// The peer takes what the kernel holds, so that the rest fits in at the end of the turn.
			k.peer.readAll(100 + taken - k.c.Pending())
		})
		go io.Copy(io.Discard, k.peer)
		recv(t, "Writable", writable)
		k.peer.send([]byte("hello"))
		recv(t, "Data", data)
		k.do(func() { write(t, k.c, []byte("x")); k.c.Abort() })
	})
}
