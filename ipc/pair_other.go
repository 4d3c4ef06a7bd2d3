//go:build !unix

package ipc

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// pair needs a socket that a child can inherit as a file.
func pair() (net.Conn, *os.File, error) {
	return nil, nil, fmt.Errorf("a child can't inherit a socket as a file on this system: use ListenPipe: %w",
		errors.ErrUnsupported)
}
