//go:build !linux

package uring

import "runtime"

// A Ring exists on Linux only.
type Ring struct{ _ int }

func unavailable(op string) error {
	return &Error{Op: op, Err: ErrUnavailable, Hint: "io_uring is Linux's, and this is " + runtime.GOOS}
}

// New fails: io_uring is Linux's. The error is an [ErrUnavailable].
func New(Options) (*Ring, error) { return nil, unavailable("set up a ring") }

// Close does nothing: there is no ring.
func (*Ring) Close() error { return nil }

// Available is why io_uring cannot be used here: it is Linux's.
func Available() error { return unavailable("try a ring") }

// Probe fails: io_uring is Linux's. The error is an [ErrUnavailable].
func Probe() (*Support, error) { return nil, unavailable("probe") }
