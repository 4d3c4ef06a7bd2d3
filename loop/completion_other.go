//go:build !linux

package loop

import (
	"fmt"
	"runtime"

	"github.com/plexor-go/plexor/uring"
)

func probeCompletion() DriverInfo {
	return DriverInfo{Name: completionName, Err: fmt.Errorf("it is Linux's, and this is %s", runtime.GOOS)}
}

func newCompletion(*Loop) (driver, error) { return nil, uring.ErrUnavailable }
