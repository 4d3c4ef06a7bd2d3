package models

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
)

// TestMain looks for goroutines, descriptors and processes that the tests left behind. As the program of the workers of
// the model processes it is a worker, and with masterKey a master in a process of its own.
func TestMain(m *testing.M) {
	RunWorker()
	if os.Getenv(masterKey) != "" {
		os.Exit(beMaster())
	}
	os.Exit(leak.Main(m))
}

// patience is how long a test waits for what must come; nothing takes that long when all is well.
const patience = 30 * time.Second

// eventually waits until what returns nothing, and returns what it still returned when patience was over.
func eventually(what func() []string) []string {
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		left := what()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// children are the processes that this one started and that have not been waited for.
func children(pid int) (pids []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // elsewhere nobody tells
	for _, t := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name())) // the task may have ended
		for _, f := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(f, &child); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
