//go:build !linux

package ftp

import (
	"net"
	"os"
)

// sendWaiting does nothing here.
func (t *transfer) sendWaiting(net.Conn, *os.File) (whole bool, err error) { return false, nil }
