//go:build !linux

package compare

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// A usage is what a server's processes have used up to a moment.
type usage struct {
	pids                   []int
	cpu                    time.Duration
	switches               int64
	threads, files         int
	resident, own, mainOwn int64
}

var errNoProc = fmt.Errorf("it is read from /proc, which %s does not have as Linux has it: %w", runtime.GOOS,
	errors.ErrUnsupported)

func family(int) ([]int, error)     { return nil, errNoProc }
func look([]int) (usage, error)     { return usage{}, errNoProc }
func countFiles([]int) (int, error) { return 0, errNoProc }

func (m *Machine) look() {}
