package main

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// limits are for how long a server may take nothing, of one connection after the other. With buffers that are full at
// both ends each may drop what the other sends again, and the acknowledgement in it (see segment): of a hundred
// connections on a busy machine two stood still so, with a backoff of 6 at both ends, until the system ended them after
// 45 s and more. A server that does not read on has that happen each time.
var limits = []time.Duration{5 * time.Second, 20 * time.Second, 2 * time.Minute}

// TestKeyUpdates: nothing is read while what reading caused finds no room, and once the answers are taken the server
// reads on, on either shape of driver, by any face: each face on one, and in CI on both. Package net with crypto/tls is
// no row of this: the kernel's backed-off retransmission has held it up for longer than the limit.
func TestKeyUpdates(t *testing.T) {
	const updates, more = 60_000, 5_000
	const wait = time.Second
	for _, d := range loop.Drivers() {
		if d.Err != nil || d.Name != "io_uring" && d.Name != "epoll" {
			continue // TLS lies above the drivers: one of each shape
		}
		for i, f := range faces {
			if (i%2 == 0) != (d.Name == "io_uring") && !portion.All() {
				continue
			}
			t.Run(d.Name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				at, longest, err := goOn(d.Name, f, updates, more, wait, limits[0])
				for _, limit := range limits[1:] {
					// With -race a full buffer of updates may take a busy machine longer than Close waits.
					held := errors.As(err, new(*loop.HeldError))
					if !held && !errors.Is(err, errStill) && !errors.Is(err, syscall.ETIMEDOUT) {
						break
					}
					t.Log(err)
					at, longest, err = goOn(d.Name, f, updates, more, wait, limit)
				}
				if err != nil || at >= updates {
					t.Errorf("%d updates were taken at first, %v; want fewer than %d, and %d more", at, err, updates, more)
				}
				t.Logf("it stopped at %d updates, and then stood still for %v at most", at, longest)
			})
		}
	}
}

// TestAttack: what the command counts.
func TestAttack(t *testing.T) {
	t.Parallel()
	const updates = 60_000
	if sent, _, err := attack("auto", faces[0], updates, time.Second); err != nil || sent >= updates {
		t.Errorf("%d updates were taken, %v; want fewer than %d", sent, err, updates)
	}
}
