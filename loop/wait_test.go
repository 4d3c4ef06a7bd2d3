package loop_test

import (
	"runtime"
	"testing"
	"time"
)

// patience is how long a test waits for what must come; nothing waits that long when all is well.
const patience = 2 * time.Minute

// recv waits for a value.
func recv[T any](t testing.TB, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("waited %v for %s\n%s", patience, what, buf[:runtime.Stack(buf, true)])
		return v
	}
}
