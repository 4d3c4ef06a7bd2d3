//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConnectRefused(t *testing.T) {
	l, at := listen(t, "tcp://127.0.0.1:0")
	l.Close()
	c, connected, err := Connect(at, Options{})
	if err != nil {
		wantErr(t, "Connect to a closed port", err, syscall.ECONNREFUSED)
		return
	}
	defer c.Close()
	if connected {
		t.Fatal("connected to a port on which nobody listens")
	}
	awaitWritable(t, c)
	err = c.ConnectError()
	wantErr(t, "ConnectError", err, syscall.ECONNREFUSED)
	if err == nil || err.Error() != "connect: connection refused" {
		t.Errorf("got %q, want operation and reason, and no address", err)
	}
}

func TestConnectErrorTooEarly(t *testing.T) {
	s, err := newSocket(unix.AF_INET, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantErr(t, "ConnectError of a socket that is not connected", s.ConnectError(), syscall.EINPROGRESS)
}

// A socket that connected to itself is refused: it is made here by hand, since chance would take 28000 tries.
func TestConnectToSelf(t *testing.T) {
	s, err := newSocket(unix.AF_INET, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := endpoint{ip: netip.MustParseAddrPort("127.0.0.1:0")}
	if err := sysBind(s, e); err != nil {
		t.Fatal(err)
	}
	own, err := s.LocalAddrPort()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sysConnect(s, endpoint{ip: own}); err != nil {
		t.Skipf("this system does not connect a socket to itself: %v", err)
	}
	awaitWritable(t, s)
	wantErr(t, "ConnectError of a socket connected to itself", s.ConnectError(), syscall.ECONNREFUSED)
}

func TestConnectErrors(t *testing.T) {
	for _, row := range []struct {
		name string
		a    Addr
		o    Options
		want string
	}{
		{"port 0", Addr{Scheme: "tcp", Host: "127.0.0.1"}, Options{}, "port 0 is none to connect to"},
		{"no such path", Addr{Scheme: "unix", Path: "/no/such/dir/s"}, Options{},
			"connect unix:///no/such/dir/s: no such file or directory (there is no such file: is the server up?)"},
		{"bad address", Addr{Scheme: "tcp", Host: "a/b", Port: 1}, Options{}, "a tcp address has no path"},
		{"no address", Addr{}, Options{}, "the scheme is missing"},
		{"listener's option", Addr{Scheme: "tcp", Host: "127.0.0.1", Port: 1}, Options{Backlog: 1},
			"option backlog: only a socket that listens has it"},
		{"option of others", Addr{Scheme: "udp", Host: "127.0.0.1", Port: 1}, Options{Delay: true},
			"option nodelay: a udp socket does not have it"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, connected, err := Connect(row.a, row.o)
			if err == nil || s != None || connected || !strings.Contains(err.Error(), row.want) ||
				!strings.HasPrefix(err.Error(), "connect "+row.a.String()) {
				t.Errorf("got %d, %v, %v\nwant None and %q", s, connected, err, row.want)
			}
		})
	}
}
