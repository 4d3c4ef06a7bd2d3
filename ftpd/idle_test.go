package ftpd_test

import (
	"runtime"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/ftp"
)

const (
	// idle is how many sessions wait in TestIdle. Each takes two descriptors here, of which select has 1024.
	idle = 300
	// mostIdle is what such a session may take of the heap, in bytes. What the test has of it is in that.
	mostIdle = 4 << 10
)

// TestIdle: sessions that have logged in and wait hold no goroutine, and little memory.
func TestIdle(t *testing.T) {
	for _, d := range loop.Drivers() { // one after the other, for they are measured
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			addr, _ := serve(t, new(ftp.Server), &plexor.Server{Driver: d.Name, Loops: 1})
			login := func() {
				c := dial(t, addr)
				c.want("220")
				c.do("USER joe", "331")
				c.do("PASS secret", "230")
				c.r = nil
			}
			login()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			goroutines := runtime.NumGoroutine()
			for range idle {
				login()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / idle; each > mostIdle {
				t.Errorf("a session takes %d bytes", each)
			}
			if n := runtime.NumGoroutine() - goroutines; n > idle/10 {
				t.Errorf("%d goroutines for %d sessions", n, idle)
			}
		})
	}
}
