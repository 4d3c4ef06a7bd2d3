//go:build unix

package ftp

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }

// urgent sends s; its last byte is urgent data.
func urgent(t *testing.T, nc *net.TCPConn, s string) {
	t.Helper()
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), []byte(s), unix.MSG_OOB, nil)
		return true
	}); e != nil || err != nil {
		t.Fatal(e, err)
	}
}
