// Package testenv stands in the place of internal/testenv when Go's own tests are run.
package testenv

import "testing"

// Builder is the name of the machine of Go's dashboard: this is none.
func Builder() string { return "" }

// SkipFlaky skips.
func SkipFlaky(t testing.TB, issue int) { t.Skipf("flaky: golang.org/issue/%d", issue) }
