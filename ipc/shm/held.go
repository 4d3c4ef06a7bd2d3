package shm

import (
	"errors"
	"fmt"
	"time"
)

const (
	// TryLimit is how long TryPut, TryGet and Stats wait for the ring's lock when one party does not let go of it. The
	// lock is held for a microsecond, or a few milliseconds after a death; but its holder may be waiting for a processor.
	TryLimit = 100 * time.Millisecond
	// HeldLimit is how long the others that have no context wait for it (Done, Return, End, Close, and what opens a ring),
	// and after how long one that waits longer says so in a log. Both limits count from when some party first saw it held,
	// so a holder that was stopped long ago costs each call a fraction of that.
	HeldLimit = 2 * time.Second
)

// ErrHeld: another party holds the ring's lock and does not let go of it. What was asked for was not done, and can be
// asked for again. A [HeldError] says who it is.
var ErrHeld = errors.New("another party holds the ring's lock")

// A HeldError tells who holds the ring's lock, while others wait for it: a process that is stopped, by SIGSTOP or a
// debugger. The ring goes on when it does, or when it is killed. errors.Is finds ErrHeld, and what ended the wait.
type HeldError struct {
	Pid   int           // the process, as it is numbered where it runs (pid_namespaces(7)); 0: not known
	Party int           // which of the MaxParties it is
	For   time.Duration // how long it has held the lock since somebody noticed, at least
	Err   error         // what ended the wait: the context's cause, or ErrHeld
}

func (e *HeldError) Error() string {
	text := fmt.Sprintf("process %d (party %d) has held the ring's lock for %v; if it is stopped, let it go on, or "+
		"kill it, and "+
		"the ring goes on as well", e.Pid, e.Party, e.For.Round(time.Millisecond))
	if e.Err == ErrHeld {
		return text
	}
	return fmt.Sprintf("%v: %s", e.Err, text)
}

// Unwrap gives both.
func (e *HeldError) Unwrap() []error { return []error{ErrHeld, e.Err} }
