//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCheckServes: only what a server can serve is taken for it, whatever somebody handed over.
func TestCheckServes(t *testing.T) {
	open := func(family, typ int, name unix.Sockaddr, listen bool) Socket {
		fd, err := unix.Socket(family, typ, 0)
		if err == nil {
			t.Cleanup(func() { unix.Close(fd) })
			if name != nil {
				err = unix.Bind(fd, name)
			}
		}
		if err == nil && listen {
			err = unix.Listen(fd, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		return Socket(fd)
	}
	dir := t.TempDir()
	four, six := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
	path := func(name string) unix.Sockaddr { return &unix.SockaddrUnix{Name: dir + "/" + name} }
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, row := range []struct {
		name   string
		s      Socket
		scheme string
		want   string // in the error; "": none
	}{
		{"tcp", open(unix.AF_INET, unix.SOCK_STREAM, four, true), "tcp", ""},
		{"tcp over IPv6", open(unix.AF_INET6, unix.SOCK_STREAM, six, true), "tcp", ""},
		{"unix", open(unix.AF_UNIX, unix.SOCK_STREAM, path("a"), true), "unix", ""},
		{"udp", open(unix.AF_INET, unix.SOCK_DGRAM, four, false), "udp", ""},
		{"seqpacket", open(unix.AF_UNIX, unix.SOCK_SEQPACKET, path("b"), true), "unix",
			"type seqpacket that listens: a server of unix needs a unix socket of type stream"},
		{"bound, not listening", open(unix.AF_INET, unix.SOCK_STREAM, four, false), "tcp", "does not listen"},
		{"datagrams for a stream", open(unix.AF_INET, unix.SOCK_DGRAM, four, false), "tcp", "type datagram"},
		{"a stream for datagrams", open(unix.AF_INET, unix.SOCK_STREAM, four, true), "udp", "type stream"},
		{"unix for tcp", open(unix.AF_UNIX, unix.SOCK_STREAM, path("c"), true), "tcp", "a unix socket"},
		{"unix datagrams", open(unix.AF_UNIX, unix.SOCK_DGRAM, path("d"), false), "unix", "type datagram"},
		{"a file", Socket(file.Fd()), "tcp", "getsockopt"},
		{"nothing", Socket(1 << 20), "tcp", "getsockopt"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := CheckServes(row.s, row.scheme)
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("CheckServes for %s: got %v, want an error with %q", row.scheme, err, row.want)
			}
		})
	}
}
