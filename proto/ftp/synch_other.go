//go:build !unix

package ftp

import (
	"errors"
	"net"
)

// sendUrgent does nothing here.
func sendUrgent(*net.TCPConn, byte) error { return errors.ErrUnsupported }
