package sock

import (
	"os"
	"testing"

	"github.com/plexor-go/plexor/internal/leak"
)

// TestMain runs the tests and then looks for goroutines and descriptors that they left behind. With childKey
// in the environment the test binary plays a part in another test instead (see children).
func TestMain(m *testing.M) {
	if child := children[os.Getenv(childKey)]; child != nil {
		child()
		return
	}
	os.Exit(leak.Main(m))
}

const childKey = "SOCK_TEST_CHILD"

// children are what the test binary can be asked to be: a process with limits of its own.
var children = map[string]func(){}
