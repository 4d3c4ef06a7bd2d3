package sock

import (
	"errors"
	"strings"
	"syscall"
)

// Error is a call that failed on the cold path: listening, connecting, setting an option, and so on. (Recv,
// Send, SendV, Accept and the batches return the bare [syscall.Errno], since they are called often and fail
// often.)
//
// errors.Is finds the errno underneath: errors.Is(err, syscall.EADDRINUSE).
type Error struct {
	Op   string // what was to be done: "listen", "connect", "resolve", "set nodelay", ...
	Addr string // the address, where there is one
	Call string // the system call that failed, where one did
	Err  error  // why
	Hint string // what to do about it, where that is known
}

// Error says it in one line: operation, address, system call, reason, and what to do.
func (e *Error) Error() string {
	parts := []string{strings.TrimSpace(e.Op + " " + e.Addr)}
	if e.Call != "" && e.Call != e.Op {
		parts = append(parts, e.Call)
	}
	parts = append(parts, e.Err.Error())
	text := strings.Join(parts, ": ")
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// Exhausted tells whether an error says that something of this machine ran out: descriptors of the process
// (EMFILE) or of the system (ENFILE), or the kernel's memory (ENOBUFS, ENOMEM). An accept loop should step
// back and try again later: the connection still waits in the backlog.
func Exhausted(err error) bool { return isAny(err, exhausted) }

// Aborted tells whether an error of Accept belongs to the connection that was to be accepted and not to the
// listener (accept(2), "Error handling"): that connection is gone, and the next one may be accepted at once.
func Aborted(err error) bool { return isAny(err, aborted) }

func isAny(err error, list []syscall.Errno) bool {
	errno, ok := err.(syscall.Errno) // what the hot calls return, without the allocation of errors.As
	if !ok {
		var inside syscall.Errno
		if !errors.As(err, &inside) {
			return false
		}
		errno = inside
	}
	for _, e := range list {
		if e == errno {
			return true
		}
	}
	return false
}
