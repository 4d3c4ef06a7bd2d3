package plexor_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor"
)

// TestRefusedDriver: connections whose descriptors the driver can't hold are refused and counted; those that it holds
// go on. Select holds none beyond FD_SETSIZE.
func TestRefusedDriver(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*unix.FD_SETSIZE {
		t.Skipf("this process may have %d open files (%v): too few", limit.Cur, err)
	}
	b := place{"select", "tcp://127.0.0.1:0"}.serve(t, &plexor.Server{Loops: 1}, echo)
	held := b.dial()
	send(t, held, "hello")
	want(t, held, "hello")
	for range unix.FD_SETSIZE { // so that the descriptors below it are taken
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	refusedDial(t, b)
	b.await("the refusal", func(s plexor.Stats) bool {
		return s.RefusedDriver > 0 && s.RefusedConns+s.RefusedPeer+s.RefusedAccepts == 0 && s.Conns == 1
	})
	send(t, held, "still")
	want(t, held, "still")
}
