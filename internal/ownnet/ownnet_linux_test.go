package ownnet

import "testing"

// TestSkipped: a test of which a part was skipped was not.
func TestSkipped(t *testing.T) {
	for out, want := range map[string]bool{
		"=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n":                                                    false,
		"=== RUN   TestA\n    a_test.go:1: no\n--- SKIP: TestA (0.00s)\nPASS\n":                               true,
		"--- PASS: TestA (0.00s)\n    --- SKIP: TestA/part (0.00s)\n        a_test.go:1: no\nPASS\n":          false,
		"--- PASS: TestA (0.00s)\n    --- PASS: TestA/x (0.00s)\n        --- SKIP: TestA/x/y (0.00s)\nPASS\n": false,
	} {
		if got := skipped(out, "TestA"); got != want {
			t.Errorf("%q: %v", out, got)
		}
	}
}
