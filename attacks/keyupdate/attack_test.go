package main

import (
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// TestKeyUpdates: nothing is read while what reading caused finds no room, on either shape of driver, by any face.
func TestKeyUpdates(t *testing.T) {
	for _, d := range loop.Drivers() {
		if d.Err != nil || d.Name != "io_uring" && d.Name != "epoll" {
			continue // TLS lies above the drivers: one of each shape
		}
		for _, f := range faces {
			t.Run(d.Name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				const updates = 60_000
				sent, _, err := attack(d.Name, f, updates, time.Second) // the heap is everybody's here
				if err != nil || sent == updates {
					t.Errorf("%d updates were taken, %v; want fewer than %d", sent, err, updates)
				}
			})
		}
	}
}
