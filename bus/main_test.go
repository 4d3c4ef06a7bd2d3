package bus

import (
	"os"
	"testing"

	"github.com/plexor-go/plexor/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }
