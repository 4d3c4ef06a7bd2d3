package coro

import "github.com/plexor-go/plexor/internal/stack"

// given panics with a *MisuseError if an argument is nil that must not be: what names the argument, and the text says
// where the call stands. Without it the nil shows later, in a stack that has nothing of the caller.
func given(op, what string, is bool) {
	if !is {
		panic(&MisuseError{Op: op, Why: what + " is nil, at " + stack.Caller()})
	}
}
