//go:build !unix

package ftp

import (
	"errors"
	"net"
	"testing"
)

func mkfifo(string) error { return errors.ErrUnsupported }

func urgent(t *testing.T, _ *net.TCPConn, _ string) {
	t.Helper()
	t.Skip("how to send urgent data is known for Unix alone")
}
