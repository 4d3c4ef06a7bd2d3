package tcp_test

import (
	"flag"
	"os"
	"testing"

	"github.com/plexor-go/plexor/internal/leak"
)

// TestMain has the kernel's scripts run at once: nearly all that they do is wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("64")
	}
	os.Exit(leak.Main(m))
}
