package load

import (
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullUnix is a listener for unix streams with a backlog of one, which nobody accepts from yet.
func fullUnix(t *testing.T) (ln net.Listener, address string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	rc, err := ln.(*net.UnixListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := rc.Control(func(fd uintptr) { err = unix.Listen(int(fd), 1) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return ln, "unix://" + path
}

// TestFullBacklog: a unix socket whose backlog is full is tried again. All connections are made though the server
// accepts none until some have found no room; and if it never does, that is said once the timeout is over.
func TestFullBacklog(t *testing.T) {
	t.Parallel()
	t.Run("late", func(t *testing.T) {
		ln, address := fullUnix(t)
		srv := newServer()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer ln.Close()
		begin := time.NewTimer(50 * time.Millisecond)
		wg.Go(func() {
			<-begin.C
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					defer c.Close()
					echo(srv, c)
				})
			}
		})
		res, err := Run(t.Context(), Options{Address: address, Conns: 100, Loops: 1, Requests: 100, Timeout: patience})
		if err != nil || res.Err() != nil || res.Connected != 100 || res.NotConnected != 0 {
			t.Errorf("result %+v, error %v", res, err)
		}
	})
	t.Run("never", func(t *testing.T) {
		_, address := fullUnix(t)
		begun := time.Now()
		const limit = 200 * time.Millisecond
		res, err := Run(t.Context(), Options{Address: address, Conns: 8, Loops: 1, Requests: 8, Timeout: limit})
		if err != nil {
			t.Fatal(err)
		}
		if res.NotConnected == 0 || !strings.Contains(res.Errors[0].Error, "connect "+address+": ") ||
			!strings.Contains(res.Errors[0].Error, "backlog is full") && !strings.Contains(res.Err().Error(), "backlog") {
			t.Errorf("result %+v: %v", res, res.Err())
		}
		if took := time.Since(begun); took < limit {
			t.Errorf("it gave up after %v, want %v", took, limit)
		}
	})
}
