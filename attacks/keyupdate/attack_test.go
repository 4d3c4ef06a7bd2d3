package main

import (
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
)

// TestKeyUpdatesGoOn: once the answers are taken, the server reads on, on either shape of driver, by any face. Package
// net with crypto/tls is no row of this: the kernel's backed-off retransmission has held it up for longer than the
// limit.
func TestKeyUpdatesGoOn(t *testing.T) {
	const updates, more = 60_000, 20_000
	const wait, limit = time.Second, 2 * time.Minute // the kernel may retransmit late
	check := func(t *testing.T, driver string, f face) {
		t.Parallel()
		at, longest, err := goOn(driver, f, updates, more, wait, limit)
		if err != nil || at == updates {
			t.Errorf("%d updates were taken at first, %v; want fewer than %d, and %d more", at, err, updates, more)
		}
		t.Logf("it stopped at %d updates, and then stood still for %v at most", at, longest)
	}
	for _, d := range loop.Drivers() {
		if d.Err != nil || d.Name != "io_uring" && d.Name != "epoll" {
			continue
		}
		for _, f := range faces {
			t.Run(d.Name+"/"+f.name, func(t *testing.T) { check(t, d.Name, f) })
		}
	}
}

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
