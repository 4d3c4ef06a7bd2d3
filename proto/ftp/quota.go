package ftp

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// A Quota bounds the bytes that one or several users store. What is there already is the caller's to count, by the
// first Add; what others than these users change is not seen. Any goroutine may call its methods.
//
// Who could write a file in two sessions at once, or remove it meanwhile, could have bytes counted as freed that were
// never counted as stored. So while a file is being written under a Quota, that is refused, by 450.
type Quota struct {
	Most int64 // in bytes

	mu      sync.Mutex
	used    int64
	writing []fs.FileInfo
}

// errBusy is a file that is being written.
var errBusy = errors.New("ftp: the file is being written")

// Used is how many bytes are stored, as far as it was told.
func (q *Quota) Used() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used
}

// Add counts n bytes more, or fewer if n is negative; false, and nothing is counted, if more are not allowed.
func (q *Quota) Add(n int64) bool {
	if q == nil {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > 0 && n > q.Most-q.used {
		return false
	}
	q.used += n
	return true
}

// index is where a file is among those that are being written; -1: it is not. The lock is held.
func (q *Quota) index(info fs.FileInfo) int {
	return slices.IndexFunc(q.writing, func(w fs.FileInfo) bool { return os.SameFile(w, info) })
}

// begin notes that a file is being written.
func (q *Quota) begin(info fs.FileInfo) error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.index(info) >= 0 {
		return errBusy
	}
	q.writing = append(q.writing, info)
	return nil
}

// end notes that it is no longer.
func (q *Quota) end(info fs.FileInfo) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := q.index(info); i >= 0 {
		q.writing = slices.Delete(q.writing, i, i+1)
	}
}

// free has f remove a file by name, and counts its bytes as free if it was a regular one. No link is followed, if the
// FileSystem can tell.
func (q *Quota) free(fsys FileSystem, name string, f func() error) error {
	if q == nil {
		return f()
	}
	stat := fsys.Stat
	if l, ok := fsys.(interface {
		Lstat(name string) (fs.FileInfo, error)
	}); ok {
		stat = l.Lstat
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var size int64
	if info, err := stat(name); err == nil && info.Mode().IsRegular() {
		if q.index(info) >= 0 {
			return errBusy
		}
		size = info.Size()
	}
	err := f()
	if err == nil {
		q.used -= size
	}
	return err
}
