package nats

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// A stage is where an embedded server holds batches until they are whole: a folder in memory, so that it costs nothing
// that the server syncs it. Who runs the server makes it, with a link in the home's folder; the server comes to it by a
// link in the folder of each stream, in place of the folder that it would make on the disk. At its start it removes
// these links, so they are looked after before each batch.
//
// The price: of a batch during which the process or the power fails, a part may be stored. None of it was acknowledged,
// so each of its publishers knows that its job is perhaps stored.
type stage struct {
	home string
	log  *slog.Logger
	gone sync.Once // it was told that there is none
}

// Names of the links and files.
const (
	stageLink   = "stage"   // in the home's folder
	batchesLink = "batches" // in a stream's, and of the folder to which it leads
	stagePrefix = "plexor-mq-"
	stageLock   = "lock"
)

// So much memory has to be free for a batch, which the server stores more than once: for of one that finds no room it
// takes nothing away again.
const (
	timesStage = 4
	spareStage = 1 << 20
)

// stageFromStream is where a stream's link leads.
var stageFromStream = filepath.Join("..", "..", "..", "..", stageLink)

// ready reports whether the server will hold a batch of so many bytes for this stream in memory. It makes the stream's
// link if that is not there.
func (s *stage) ready(stream string, bytes int) bool {
	link := filepath.Join(streamFolder(s.home, stream), batchesLink)
	if to, err := os.Readlink(link); err != nil || to != stageFromStream {
		_ = os.Remove(link) // a folder that the server made before there was a link; not one that it uses
		if os.Symlink(stageFromStream, link) != nil {
			return false
		}
	}
	free, err := freeMemory(link)
	if err != nil {
		s.gone.Do(func() {
			s.log.Info("nats: each job is synced by itself: the memory to hold batches in is gone", "dir", s.home, "err", err)
		})
		return false
	}
	return free >= int64(timesStage*bytes+spareStage)
}

// A heldStage is the folder of a stage, in a folder with a lock that its process has. The zero value is none.
type heldStage struct {
	folder string
	lock   *os.File
}

// dropStage takes away the link of a process that was killed, before the server comes to it, and the folders of all
// such processes. The caller has the home to itself. (The link may also be of a home from which this one was copied,
// whose process lives.)
func dropStage(home string) error {
	err := os.Remove(filepath.Join(home, stageLink))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	root, noMemory := memory()
	if noMemory != nil {
		return err
	}
	folders, _ := filepath.Glob(filepath.Join(root, stagePrefix+"*")) // the pattern is right
	for _, folder := range folders {
		if lock, err := lockStage(filepath.Join(folder, stageLock)); err == nil {
			_ = os.RemoveAll(folder)
			_ = lock.Close()
		}
	}
	return err
}

// openStage makes the folder and the link.
func openStage(home string) (s heldStage, err error) {
	root, err := memory()
	if err != nil {
		return s, err
	}
	if s.folder, err = os.MkdirTemp(root, stagePrefix); err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			s.close("")
			s = heldStage{}
		}
	}()
	// Nobody takes it for that of a dead process before it has its lock: the lock's file gets its name last.
	made, named := filepath.Join(s.folder, "new"), filepath.Join(s.folder, stageLock)
	f, err := os.OpenFile(made, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return s, err
	}
	_ = f.Close() // nothing is written to it
	if s.lock, err = lockStage(made); err != nil {
		return s, err
	}
	if err = os.Rename(made, named); err != nil {
		return s, err
	}
	batches := filepath.Join(s.folder, batchesLink)
	if err = os.Mkdir(batches, 0o700); err != nil {
		return s, err
	}
	return s, os.Symlink(batches, filepath.Join(home, stageLink))
}

// close removes the folder, and the link if it is the home's.
func (s heldStage) close(home string) {
	if s.folder == "" {
		return
	}
	if home != "" {
		_ = os.Remove(filepath.Join(home, stageLink))
	}
	_ = os.RemoveAll(s.folder)
	if s.lock != nil {
		_ = s.lock.Close()
	}
}
