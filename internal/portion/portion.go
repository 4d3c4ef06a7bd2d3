// Package portion tells tests how much of them to do: go test ./... is to be quick, and CI does all. It is for tests
// alone, and for those that have begun: the command line is parsed by then.
package portion

import (
	"flag"
	"hash/crc32"
	"os"
	"strings"
	"testing"
)

// Env is set to "all" by .ci/tests.
const Env = "PLEXOR_TESTS"

// All reports whether a test does all that it can do: in CI.
func All() bool { return os.Getenv(Env) == "all" && !testing.Short() }

// Everywhere reports whether a test takes place on all drivers, addresses and the like: in CI, and where -run names a
// part of a test, which may be one that its turn would leave out.
func Everywhere() bool {
	return All() || strings.Contains(flag.Lookup("test.run").Value.String(), "/")
}

// Fewer is a number of rounds, bytes or connections: all where a test takes place everywhere, and else those that show
// what it is about.
func Fewer(all, few int) int {
	if Everywhere() {
		return all
	}
	return few
}

// Turn is a number, not negative, by the name of a test, so that tests differ in what they take by turns, and each
// takes the same each time.
func Turn(name string) int { return int(crc32.ChecksumIEEE([]byte(name)) >> 1) }
