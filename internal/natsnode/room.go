package natsnode

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

const (
	roomLook = time.Second
	room     = 1 << 20 // bytes that there must be
	roomFile = "room"  // one name, so that what a process left behind that was killed meanwhile is one file
)

// AwaitRoom tries every second to write 1 MiB to dir, the Dir of a node that is broken, and to sync it, until it can:
// then a node can be started there again. Nothing of it stays. false: over was closed first. It is for the owner of the
// node alone, one call at a time.
func AwaitRoom(dir string, over <-chan struct{}) bool {
	t := time.NewTicker(roomLook)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-over:
			return false
		}
		if tryRoom(dir) == nil {
			return true
		}
	}
}

func tryRoom(dir string) error {
	name := filepath.Join(dir, roomFile)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, room))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}
