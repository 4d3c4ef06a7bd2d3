package ipc

import (
	"context"

	"github.com/plexor-go/plexor/internal/stack"
)

// given panics with the name of an argument that is nil and must not be, and with the line of the call, before anything
// is held.
func given(op, what string, is bool) {
	if !is {
		stack.Given("ipc: "+op, what, false) // a text made of two is made for this alone
	}
}

func givenContext(op string, ctx context.Context) { given(op, "the context", ctx != nil) }
