//go:build linux

package ipc

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/ipc/shm"
)

// queueHold has another party of the ring hold its lock, as one that is stopped does, until release is called.
func queueHold(t *testing.T, r *shm.Ring) (release func()) {
	t.Helper()
	queueOther(t, r) // party 1
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // mapped
	mem, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize()*2, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) }) // the test is over
	const lockAt, partiesAt, partySize = 64, 4096, 64
	gen := binary.NativeEndian.Uint32(mem[partiesAt+partySize:])
	word := (*atomic.Uint32)(unsafe.Pointer(&mem[lockAt]))
	for !word.CompareAndSwap(0, gen<<8|1) {
	}
	return func() { word.Store(0) }
}

// TestQueueHeld: while a party is stopped with the ring's lock, Put and Get end with their context, with who that is,
// and go on when it does. A coroutine's loop goes on meanwhile.
func TestQueueHeld(t *testing.T) {
	t.Parallel()
	queueCallers(t, func(ctx context.Context, t *testing.T, run func(func(context.Context) error) func() error) {
		r := queueRing(t, shm.Options{Slots: 4})
		q := NewQueue[string](r, nil)
		release := queueHold(t, r)
		for what, call := range map[string]func(ctx context.Context) error{
			"put": func(ctx context.Context) error { return q.Put(ctx, "late") },
			"get": func(ctx context.Context) error { _, err := q.Get(ctx); return err },
		} {
			late := run(func(ctx context.Context) error {
				ctx, stop := context.WithTimeout(ctx, 100*time.Millisecond)
				defer stop()
				return call(ctx)
			})()
			queueWant(t, what, late, context.DeadlineExceeded, shm.ErrHeld)
			var held *shm.HeldError
			if !errors.As(late, &held) || held.Pid != os.Getpid() || held.Party != 1 {
				t.Errorf("%s: %v, want it to name party 1, process %d", what, late, os.Getpid())
			}
		}
		put := run(func(ctx context.Context) error { return q.Put(ctx, "in time") })
		got := run(func(ctx context.Context) error {
			time.AfterFunc(10*time.Millisecond, release)
			item, err := q.Get(ctx)
			if err != nil {
				return err
			}
			if item.Value != "in time" {
				t.Errorf("got %q", item.Value)
			}
			return item.Done()
		})
		for _, f := range []func() error{put, got} {
			if err := f(); err != nil {
				t.Error(err)
			}
		}
	})
}
