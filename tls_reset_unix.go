//go:build unix

package plexor

import (
	"errors"
	"syscall"
)

// isReset reports whether a connection broke because the peer reset it or is gone.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
