package queue

import (
	"os"
	"testing"

	"github.com/plexor-go/plexor/internal/leak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childFolder) != "" {
		child()
		return
	}
	os.Exit(leak.Main(m))
}
