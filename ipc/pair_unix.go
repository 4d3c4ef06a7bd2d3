//go:build unix

package ipc

import (
	"net"
	"os"

	"github.com/plexor-go/plexor/sock"
)

// pair makes two connected unix sockets: one to use, and one to give away.
func pair() (net.Conn, *os.File, error) {
	ends, err := sock.Pair()
	if err != nil {
		return nil, nil, err
	}
	mine, theirs := os.NewFile(uintptr(ends[0]), "pipe"), os.NewFile(uintptr(ends[1]), "pipe")
	nc, err := net.FileConn(mine)
	_ = mine.Close() // nc has a duplicate
	if err != nil {
		_ = theirs.Close() // nobody has used it
		return nil, nil, err
	}
	return nc, theirs, nil
}
