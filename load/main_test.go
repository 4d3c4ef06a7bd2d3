package load

import (
	"os"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
)

// patience is how long a test waits for what must come; nothing waits that long when all is well.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }
