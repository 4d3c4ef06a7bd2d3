//go:build !linux

package shm

import (
	"context"
	"os"
	"runtime"
)

// A Ring exists on Linux only.
type Ring struct{ _ int }

func unavailable(op string) error {
	return &Error{Op: op, Err: ErrUnavailable, Hint: "it needs Linux's futexes and locks, and this is " + runtime.GOOS}
}

// Available is why there are no rings here: they are Linux's. The error is an [ErrUnavailable].
func Available() error { return unavailable("try a ring") }

// New fails: rings are Linux's.
func New(Options) (*Ring, error) { return nil, unavailable("make a ring") }

// Create fails: rings are Linux's.
func Create(name string, _ Options) (*Ring, error) { return nil, unavailable("create " + name) }

// Open fails: rings are Linux's.
func Open(name string) (*Ring, error) { return nil, unavailable("open " + name) }

// OpenFile fails: rings are Linux's.
func OpenFile(*os.File) (*Ring, error) { return nil, unavailable("open a descriptor") }

// Remove fails: rings are Linux's.
func Remove(name string) error { return unavailable("remove " + name) }

// File fails: there is no ring.
func (*Ring) File() (*os.File, error) { return nil, unavailable("File") }

// MaxItem is 0: there is no ring.
func (*Ring) MaxItem() int { return 0 }

// TryPut fails: there is no ring.
func (*Ring) TryPut(...[]byte) (int, error) { return 0, unavailable("put") }

// Put fails: there is no ring.
func (*Ring) Put(context.Context, ...[]byte) (int, error) { return 0, unavailable("put") }

// TryGet fails: there is no ring.
func (*Ring) TryGet([]Item, []byte) (int, error) { return 0, unavailable("get") }

// Get fails: there is no ring.
func (*Ring) Get(context.Context, []Item, []byte) (int, error) { return 0, unavailable("get") }

// Done fails: there is no ring.
func (*Ring) Done(...Item) error { return unavailable("done") }

// Return fails: there is no ring.
func (*Ring) Return(...Item) error { return unavailable("return") }

// WaitRoom fails: there is no ring.
func (*Ring) WaitRoom(context.Context, int) error { return unavailable("wait for room") }

// WaitItem fails: there is no ring.
func (*Ring) WaitItem(context.Context) error { return unavailable("wait for an item") }

// WaitLock fails: there is no ring.
func (*Ring) WaitLock(context.Context) error { return unavailable("wait for the lock") }

// Join fails: there is no ring.
func (*Ring) Join(context.Context) error { return unavailable("join") }

// End fails: there is no ring.
func (*Ring) End() error { return unavailable("end") }

// Stats fails: there is no ring.
func (*Ring) Stats() (Stats, error) { return Stats{}, unavailable("count") }

// Close does nothing: there is no ring.
func (*Ring) Close() error { return nil }
