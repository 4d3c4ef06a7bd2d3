package nats

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// names sees to it that the names of an embedded server's files are as safe as what is in them. The server syncs what
// it writes, and not the folders in which it makes a folder, or a file for every some MiB: by POSIX a disk may have the
// file after a power failure, and not its name (fsync(2)). ext4 and XFS keep both.
type names struct {
	home string // the folder that the server was given

	mu   sync.Mutex
	seen map[string]folder
}

// A folder is one as it was when it was synced last. sure says that it looks different after the next change.
type folder struct {
	info fs.FileInfo
	sure bool
}

func newNames(home string) *names { return &names{home: home, seen: make(map[string]folder)} }

// mostSeen bounds the folders that are known: those of queues that were deleted are never asked for again.
const mostSeen = 10_000

// grain is how exactly a file system may tell when a folder was changed: two changes of one tick look as one.
const grain = 50 * time.Millisecond

// ofStream is called when something was stored in a stream, and before that is told to anybody.
func (n *names) ofStream(stream string) error { return n.of(stream, "msgs") }

// ofConsumer is called when a consumer was made.
func (n *names) ofConsumer(stream, consumer string) error { return n.of(stream, "obs", consumer) }

func (n *names) of(stream string, below ...string) error {
	if n == nil || runtime.GOOS == "windows" { // which syncs no folders
		return nil
	}
	dir := filepath.Join(append([]string{streamFolder(n.home, stream)}, below...)...)
	n.mu.Lock()
	defer n.mu.Unlock()
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("nats: sync the folders of a stream: %w", err)
	}
	was, known := n.seen[dir]
	known = known && os.SameFile(was.info, info)
	if known && was.sure && was.info.ModTime().Equal(info.ModTime()) {
		return nil
	}
	if err := syncFolder(dir); err != nil {
		return err
	}
	for up := dir; !known && up != filepath.Dir(n.home); { // it is new, and so may those be in which it is
		up = filepath.Dir(up)
		if err := syncFolder(up); err != nil {
			return err
		}
	}
	if len(n.seen) >= mostSeen {
		clear(n.seen)
	}
	n.seen[dir] = folder{info, time.Since(info.ModTime()) >= grain}
	return nil
}

// streamFolder is where an embedded server keeps a stream.
func streamFolder(home, stream string) string {
	return filepath.Join(home, "jetstream", "$G", "streams", stream)
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("nats: sync a folder: %w", err)
	}
	return nil
}
