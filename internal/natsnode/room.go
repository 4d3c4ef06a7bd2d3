package natsnode

import (
	"errors"
	"os"
	"path/filepath"
)

const (
	room     = 1 << 20 // bytes that there must be
	roomFile = "room"  // one name, so that what a process left behind that was killed meanwhile is one file
)

// Room tries to write 1 MiB to dir, the Dir of a node that is broken, and to sync it. nil: a node can be started there
// again. Nothing of it stays. It is for the owner of the node alone, one call at a time.
func Room(dir string) error {
	name := filepath.Join(dir, roomFile)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, room))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}
