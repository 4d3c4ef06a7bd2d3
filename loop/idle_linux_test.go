package loop_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
)

// A loop that has connections, a listener and a datagram socket, and nothing to do, uses no processor.
func TestIdleLoopUsesNoCPU(t *testing.T) {
	watched, most := time.Second/4, 5*time.Millisecond
	if portion.All() {
		watched = time.Second
	}
	eachBeside(t, func(t *testing.T, driver string) {
		r := unstarted(t, loop.Options{Driver: driver})
		ended := make(chan error, 1)
		go func() { // on one thread, whose time is the loop's
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ended <- r.Run()
		}()
		defer func() {
			r.Close()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		a := r.serve("tcp", func() loop.Handler { return loop.HandlerFunc(func(c *loop.Conn, p []byte) { c.Write(p) }) })
		for range 10 {
			dial(t, a).ping()
		}
		k := r.packets("127.0.0.1", sock.Options{})
		k.do(func() { // a refusal that was told is over
			k.s.WriteTo([]byte("anybody?"), netip.MustParseAddrPort("127.0.0.1:1"))
		})
		used := func() (d time.Duration) {
			r.do(func() {
				var u unix.Rusage
				if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
					t.Error(err)
				}
				d = time.Duration(u.Utime.Nano() + u.Stime.Nano())
			})
			return d
		}
		before := used()
		<-time.After(watched) // nothing is to happen
		if spent := used() - before; spent > most {
			t.Errorf("%v of processor time in %v: want at most %v", spent, watched, most)
		} else {
			t.Logf("%v of processor time in %v", spent, watched)
		}
	})
}
