package loop

import (
	"strings"
	"testing"

	"github.com/plexor-go/plexor/sock"
	"golang.org/x/sys/unix"
)

// A connect that failed says so once.
func TestConnectErrorSaysItOnce(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := sock.Socket(fd)
	defer s.Close()
	if err := connectError(&Conn{sock: s}); err == nil || strings.Count(err.Error(), "connect:") != 1 {
		t.Errorf("of a socket that is not connected: %v", err)
	}
}
