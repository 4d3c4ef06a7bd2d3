package loop

import (
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/stack"
)

// TestHoldIdle: a hold whose process had a processor for less than half of it is no stall, if what is said to hold the
// loop needs one.
func TestHoldIdle(t *testing.T) {
	const lasted = time.Second
	for _, row := range []struct {
		name string
		held stack.Holder
		ran  time.Duration
		want bool
	}{
		{"had none", stack.Holder{}, 0, true},
		{"had less than half", stack.Holder{}, lasted/2 - 1, true},
		{"had half", stack.Holder{}, lasted / 2, false},
		{"had more than one", stack.Holder{}, 2 * lasted, false},
		{"not known", stack.Holder{}, -1, false},
		{"waits for a goroutine", stack.Holder{Blocked: true}, 0, false},
		{"is in the kernel", stack.Holder{InKernel: true}, 0, false},
		{"is a coroutine", stack.Holder{Coroutine: true}, 0, true},
	} {
		h := &hold{limit: lasted / 4, lasted: lasted}
		if got := h.idle(row.held, row.ran); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}
