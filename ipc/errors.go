package ipc

import (
	"errors"
	"fmt"
)

// What errors.Is finds in the errors of this package, besides io.EOF at the end of a stream between two messages,
// io.ErrUnexpectedEOF in the middle of one, net.ErrClosed after Close, frame.ErrTooLong for a message that is longer
// than agreed, the cause of a context that ended, and the errnos of the system calls.
var (
	// ErrBroken is a Send after one that was cancelled when a part of its message had left: the peer would take what
	// comes next for the rest of it. Make a new pipe.
	ErrBroken = errors.New("the pipe can't send any more: a message was cancelled half sent")
	// ErrMalformed is what came and is no message of the protocol.
	ErrMalformed = errors.New("malformed")
	// ErrGone is a call to a manager whose connection ended before it was answered. What it asked for may have been done.
	ErrGone = errors.New("the manager is gone")
	// ErrKind is a name that stands for something else, or for one of another size.
	ErrKind = errors.New("wrong kind")
	// ErrLimit is what would be more than a bound of the manager allows; the text names it.
	ErrLimit = errors.New("limit reached")
	// ErrIndex is a place that a list does not have.
	ErrIndex = errors.New("index out of range")
	// ErrNotHeld is the release of what the client does not hold: given back already, or held by another one.
	ErrNotHeld = errors.New("not held")
	// ErrBarrierBroken is a wait at a barrier one of whose parties is gone.
	ErrBarrierBroken = errors.New("broken barrier")
	// ErrInUse is the removal of what somebody holds, waits for or watches.
	ErrInUse = errors.New("in use")
	// ErrLost is a watch some of whose events were dropped: read the value anew. The watch goes on.
	ErrLost = errors.New("events were lost")
)

// An Error is an operation that failed.
type Error struct {
	Op  string // what was to be done, and with what: "pipe: send"
	Err error  // why
}

// Error says it in one line.
func (e *Error) Error() string { return fmt.Sprintf("ipc: %s: %v", e.Op, e.Err) }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// failed wraps err, if it is one.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{op, err}
}
