package nats

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A stage is where an embedded server holds batches until they are whole: a folder in memory, so that it costs nothing
// that the server syncs it. Who runs the server makes it, with a link in the home's folder; the server comes to it by a
// link in the folder of each stream, in place of the folder that it would make on the disk. At its start it removes
// these links, so they are looked after before each batch.
//
// The price: of a batch during which the power fails, a part may be stored. None of it was acknowledged, so each of its
// publishers knows that its job is perhaps stored.
type stage struct{ home string }

// Names of the links.
const (
	stageLink   = "stage"   // in the home's folder
	batchesLink = "batches" // in a stream's
	stagePrefix = "plexor-mq-"
)

// stageFromStream is where a stream's link leads.
var stageFromStream = filepath.Join("..", "..", "..", "..", stageLink)

// of reports whether a stream's batches will be held in memory.
func (s *stage) of(stream string) bool {
	link := filepath.Join(streamFolder(s.home, stream), batchesLink)
	if to, err := os.Readlink(link); err != nil || to != stageFromStream {
		_ = os.Remove(link) // a folder that the server made before there was a link; not one that it uses
		if os.Symlink(stageFromStream, link) != nil {
			return false
		}
	}
	_, err := os.Stat(link)
	return err == nil // else there is no memory for it
}

// openStage makes the folder and its link. The caller has the home to itself, so a link that is there is that of a
// process that was killed.
func openStage(home string) (folder string, err error) {
	root, err := memory()
	if err != nil {
		return "", err
	}
	link := filepath.Join(home, stageLink)
	if old, err := os.Readlink(link); err == nil {
		if filepath.Dir(old) == root && strings.HasPrefix(filepath.Base(old), stagePrefix) {
			_ = os.RemoveAll(old)
		}
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if folder, err = os.MkdirTemp(root, stagePrefix); err != nil {
		return "", err
	}
	if err := os.Symlink(folder, link); err != nil {
		return "", errors.Join(err, os.Remove(folder))
	}
	return folder, nil
}

// closeStage removes the folder, and the link if it is the home's.
func closeStage(home, folder string) {
	if folder == "" {
		return
	}
	if home != "" {
		_ = os.Remove(filepath.Join(home, stageLink))
	}
	_ = os.RemoveAll(folder)
}
