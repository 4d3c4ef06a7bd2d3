package plexor

import (
	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/sock"
)

// nothingMoves reports that what lies in the socket's buffer for output stays there until the peer reads: all that was
// sent is acknowledged, so that what is left had no place in the peer's window (SIOCOUTQ and SIOCOUTQNSD of tcp(7)). A
// unix socket, which has the one buffer, moves nothing by itself.
func nothingMoves(s sock.Socket) bool {
	if a, err := s.LocalAddr(); err != nil || a.Scheme == "unix" {
		return true
	}
	left, err1 := unix.IoctlGetInt(int(s), unix.SIOCOUTQ)
	unsent, err2 := unix.IoctlGetInt(int(s), unix.SIOCOUTQNSD)
	return err1 == nil && err2 == nil && left > 0 && left == unsent
}
