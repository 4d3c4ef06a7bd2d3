package coro

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/loop"
)

// TestLoopClosedText: the error that the loop has ended is this package's own by its text, and both others' by
// errors.Is.
func TestLoopClosedText(t *testing.T) {
	if got := ErrLoopClosed.Error(); !strings.HasPrefix(got, "coro: ") || strings.Contains(got, "loop: ") {
		t.Errorf("its text is %q, want one that begins with coro: and names no layer below", got)
	}
	if !errors.Is(ErrLoopClosed, loop.ErrLoopClosed) || !errors.Is(ErrLoopClosed, net.ErrClosed) {
		t.Error("errors.Is does not find loop.ErrLoopClosed and net.ErrClosed")
	}
}
