package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
)

// What errors.Is finds in the errors of this package, besides the cause of a context that ended, io.EOF from Get after
// End, fs.ErrExist and fs.ErrNotExist about names, and the errnos of the system calls.
var (
	// ErrUnavailable: there is no shared memory of this kind here. It is also an [errors.ErrUnsupported].
	ErrUnavailable error = &alias{"shared memory is unavailable", []error{errors.ErrUnsupported}}
	// ErrClosed: this Ring is closed. It is also a [net.ErrClosed] and an os.ErrClosed.
	ErrClosed error = &alias{"the ring is closed", []error{net.ErrClosed, fs.ErrClosed}}
	// ErrEnded: some party called End, and nothing more can be put.
	ErrEnded = errors.New("the ring has ended: nothing more can be put")
	// ErrFull: there is no room now. Only TryPut says so.
	ErrFull = errors.New("the ring is full")
	// ErrEmpty: there is nothing to take now. Only TryGet says so.
	ErrEmpty = errors.New("the ring is empty")
	// ErrTooLong: an item is longer than the ring's MaxItem.
	ErrTooLong = errors.New("the item is too long")
	// ErrNotTaken: the item is not one that this Ring has taken, or it was done or returned before.
	ErrNotTaken = errors.New("the item is not taken, or was done before")
	// ErrTooMany: there are MaxParties parties already.
	ErrTooMany = errors.New("too many parties")
	// ErrCorrupt: what lies in the memory is no ring, or somebody has written over it. Remove it and make a new one.
	ErrCorrupt = errors.New("the memory is no ring, or was written over")
)

// alias is an error that is also others, without their words.
type alias struct {
	text string
	is   []error
}

func (a *alias) Error() string   { return a.text }
func (a *alias) Unwrap() []error { return a.is }

// An Error says what failed, in which system call, and what to do. errors.Is finds the syscall.Errno underneath.
type Error struct {
	Op   string // what was to be done, such as "open jobs"
	Call string // the system call; "" if it did not come to one
	Err  error
	Hint string // what it means here and what to do; "" if Err says it all
}

func (e *Error) Error() string {
	s := "shm: " + e.Op + ": "
	if e.Call != "" {
		s += e.Call + ": "
	}
	s += e.Err.Error()
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// corrupt says what made no sense.
func corrupt(format string, args ...any) error {
	return &Error{Op: "read the shared memory", Err: ErrCorrupt, Hint: fmt.Sprintf(format, args...)}
}
