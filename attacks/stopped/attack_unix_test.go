//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import (
	"os"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proc"
)

func TestMain(m *testing.M) {
	register()
	proc.Main()
	if beMaster() {
		return
	}
	os.Exit(leak.Main(m))
}

// TestStopped: nobody waits for a worker that is stopped while another one idles, on any driver.
func TestStopped(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			longest, err := attack(d.Name, 20, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("the longest wait: %v", longest)
		})
	}
}
