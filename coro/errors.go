package coro

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"

	"github.com/plexor-go/plexor/loop"
)

var (
	// ErrLoopClosed is why waits fail once the loop ends; errors.Is finds loop.ErrLoopClosed and net.ErrClosed in it.
	ErrLoopClosed error = loopClosed{}
	// ErrEnded is the cause of a task's context once the task has ended.
	ErrEnded = errors.New("coro: the task that this context was given to has ended")
	// ErrQueueClosed: the queue was closed, and, for Get, is empty.
	ErrQueueClosed = errors.New("coro: the queue is closed")
	// ErrQueueFull: the queue has no room now. Only TryPut says so.
	ErrQueueFull = errors.New("coro: the queue is full")
	// ErrShieldExpired is why waits inside Shield fail once its bound has passed; errors.Is finds
	// context.DeadlineExceeded in it.
	ErrShieldExpired = fmt.Errorf("coro: the bound of the Shield has passed: %w", context.DeadlineExceeded)
	// ErrLost is the cause of the cancellation of those that lost a Race.
	ErrLost = errors.New("coro: another one won the race")
)

// loopClosed is loop.ErrLoopClosed without that package's words, which stand behind this one's own otherwise.
type loopClosed struct{}

func (loopClosed) Error() string { return "coro: the loop ended: " + net.ErrClosed.Error() }
func (loopClosed) Unwrap() error { return loop.ErrLoopClosed }

// A MisuseError is a mistake in the program, found before it could do harm: an operation from a goroutine that is
// not the coroutine, from another loop's, from loop code, which can't wait, or with a context that carries no task.
// Operations panic with it; [Scheduler.Self] returns it.
type MisuseError struct {
	Op  string // what was called
	Why string // what is wrong, and most often what to do
	// Instead is what package coro has for it, where a type that stands on it may have something else.
	Instead string
}

func (e *MisuseError) Error() string {
	text := "coro: " + e.Op + ": " + e.Why
	if e.Instead != "" {
		text += "; " + e.Instead
	}
	return text
}

// A PanicError is a task that panicked, or called runtime.Goexit, which is what testing.T.FailNow does.
type PanicError struct {
	Task   string // which one
	Value  any    // what it panicked with; nil for Goexit
	Stack  []byte // the coroutine's own, from where it panicked, as the runtime prints it
	Goexit bool
}

func (e *PanicError) Error() string {
	if e.Goexit {
		return fmt.Sprintf("coro: %s called runtime.Goexit\n\n%s", e.Task, e.Stack)
	}
	return fmt.Sprintf("coro: %s panicked: %v\n\n%s", e.Task, e.Value, e.Stack)
}

// Unwrap is the value, if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// caught makes the error of a panic, of which value was just recovered, or of Goexit if value is nil. It is called
// by the deferred function, so the stack still stands.
func caught(who string, value any) *PanicError {
	if p, ok := value.(*PanicError); ok {
		return p // passed on by somebody who had it from a task
	}
	return &PanicError{Task: who, Value: value, Stack: debug.Stack(), Goexit: value == nil}
}
