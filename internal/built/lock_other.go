//go:build !unix || solaris || aix

package built

import (
	"errors"
	"os"
)

func lock(*os.File) error { return errors.ErrUnsupported }
