package stack

// A NilError is an argument that is nil and must not be.
type NilError struct {
	Op   string // the package and what was called, such as "ipc: open a map"
	What string // the argument, such as "the context"
	At   string // where the call stands: see Caller
}

func (e *NilError) Error() string { return e.Op + ": " + e.What + " is nil, at " + e.At }

// Given panics with a *NilError if an argument is nil that must not be: is tells whether it was given. Without it the
// nil shows later, in a stack that has nothing of the caller, or holds a lock by then.
func Given(op, what string, is bool) {
	if !is {
		panic(&NilError{op, what, Caller()})
	}
}
