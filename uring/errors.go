package uring

import (
	"errors"
	"io/fs"
	"net"
)

var (
	// ErrUnavailable: io_uring cannot be used here. The error that wraps it says why. It is also an
	// [errors.ErrUnsupported].
	ErrUnavailable error = &alias{"io_uring is unavailable", []error{errors.ErrUnsupported}}
	// ErrNotSupported: the running kernel lacks this part of io_uring. It is also an [errors.ErrUnsupported].
	ErrNotSupported error = &alias{"this kernel does not have it", []error{errors.ErrUnsupported}}
	// ErrClosed: the ring is closed. It is also a [net.ErrClosed] and an os.ErrClosed.
	ErrClosed error = &alias{"the ring is closed", []error{net.ErrClosed, fs.ErrClosed}}
)

// alias is an error that is also others, without their words.
type alias struct {
	text string
	is   []error
}

func (a *alias) Error() string   { return a.text }
func (a *alias) Unwrap() []error { return a.is }

// An Error says what failed, in which system call, and what to do. errors.Is finds the [syscall.Errno] underneath.
type Error struct {
	Op   string // what was to be done, such as "set up a ring"
	Call string // the system call; "" if it did not come to one
	Err  error
	Hint string // what it means here and what to do; "" if Err says it all
}

func (e *Error) Error() string {
	s := "uring: " + e.Op + ": "
	if e.Call != "" {
		s += e.Call + ": "
	}
	s += e.Err.Error()
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }
