//go:build !unix

package plexor

import (
	"errors"
	"syscall"
)

// isReset reports whether a connection broke because the peer reset it or is gone.
func isReset(err error) bool {
	const wsaECONNRESET = syscall.Errno(10054) // Winsock's own number
	return errors.Is(err, wsaECONNRESET)
}
