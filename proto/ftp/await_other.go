//go:build !unix

package ftp

import "net"

// awaitBytes does nothing here: buffers are held.
func awaitBytes(net.Conn) {}
