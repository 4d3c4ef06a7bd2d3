package brokers

import (
	"errors"
	"testing"
)

// Need is Start for a test, with data in a folder of the test's, which ends the broker. It is skipped where the broker
// is not installed.
func Need(t testing.TB, k Kind, args ...string) *Broker {
	t.Helper()
	b, err := Start(t.Context(), k, t.TempDir(), args...)
	if errors.Is(err, ErrAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
