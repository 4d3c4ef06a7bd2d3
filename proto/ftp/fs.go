package ftp

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// A FileSystem is what a user sees. Names are as [fs.ValidPath] wants them, without a slash in front; "." is the
// root. It is called from goroutines that may block, several at once. Errors that are [fs.ErrNotExist],
// [fs.ErrPermission], [fs.ErrExist], [ErrNotRegular] or [ErrNoSpace] to errors.Is get a text of their own; the text
// of others is not told to clients.
type FileSystem interface {
	// Stat follows links.
	Stat(name string) (fs.FileInfo, error)
	// ReadDir calls each for what is in a folder, in any order, with the Lstat of it, as it reads, so that a large
	// one takes no memory; it returns each's error.
	ReadDir(name string, each func(fs.FileInfo) error) error
	// Open opens a file to be read, and Create one to be written. Neither may wait for somebody else, as opening a
	// FIFO does, and what is no regular file is ErrNotRegular.
	Open(name string) (File, error)
	Create(name string, how Creation) (File, error)
	Mkdir(name string) error
	// Remove removes what is no folder, and RemoveDir an empty folder.
	Remove(name string) error
	RemoveDir(name string) error
	Rename(from, to string) error
}

// A TimeSetter is a FileSystem that can set when a file was written last. Others have no MFMT.
type TimeSetter interface {
	SetModTime(name string, t time.Time) error
}

// A File is an open file; *[os.File] is one.
type File interface {
	io.Reader
	io.Writer
	io.Seeker
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
}

// A Creation is what Create does if there is such a file, and if there is none.
type Creation uint8

const (
	// Replace empties the file, or makes it.
	Replace Creation = iota
	// Keep leaves its bytes alone, or makes it.
	Keep
	// Exclusive makes it, and fails with fs.ErrExist if there is one.
	Exclusive
)

var (
	// ErrNotRegular is what is no regular file: a folder, a device, a FIFO, a socket.
	ErrNotRegular = errors.New("ftp: not a regular file")
	// ErrNoSpace is a file that may not grow, since a quota or the disk has no room for more.
	ErrNoSpace = errors.New("ftp: no space left")
)

// Dir is the files below root. Symbolic links are followed as far as they stay inside, which [os.Root] sees to,
// whatever is renamed meanwhile. Files are opened without waiting, and only regular ones.
func Dir(root *os.Root) FileSystem { return dir{root} }

type dir struct{ root *os.Root }

func (d dir) Stat(name string) (fs.FileInfo, error) { return d.root.Stat(name) }

// dirBatch is how many entries are read at once.
const dirBatch = 256

func (d dir) ReadDir(name string, each func(fs.FileInfo) error) error {
	sub, err := d.root.OpenRoot(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	f, err := sub.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(dirBatch)
		for _, e := range entries {
			info, err := sub.Lstat(e.Name())
			if err != nil {
				continue // it has gone meanwhile
			}
			if err := each(info); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (d dir) Open(name string) (File, error) { return d.open(name, os.O_RDONLY) }

func (d dir) Create(name string, how Creation) (File, error) {
	flag := os.O_WRONLY | os.O_CREATE
	if how == Exclusive {
		flag |= os.O_EXCL
	}
	f, err := d.open(name, flag)
	if err == nil && how == Replace { // not by O_TRUNC: it would be done before anybody has looked at what this is
		if err = f.Truncate(0); err != nil {
			_ = f.Close() // nothing was written
		}
	}
	return f, err
}

func (d dir) open(name string, flag int) (File, error) {
	// To open a device can do something by itself, so it is looked at before, and again when it is open.
	if info, err := d.root.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	f, err := d.root.OpenFile(name, flag|openNonblock, 0o666)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotRegular
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// Lstat does not follow a link.
func (d dir) Lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }

// SetModTime is of TimeSetter. A file that becomes a link meanwhile has the link's own time set: nothing outside.
func (d dir) SetModTime(name string, t time.Time) error { return d.root.Chtimes(name, time.Time{}, t) }

func (d dir) Mkdir(name string) error { return d.root.Mkdir(name, 0o777) }

func (d dir) Remove(name string) error {
	if info, err := d.root.Lstat(name); err == nil && info.IsDir() {
		return ErrNotRegular
	}
	return d.root.Remove(name)
}

func (d dir) RemoveDir(name string) error {
	info, err := d.root.Lstat(name)
	if err == nil && !info.IsDir() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return err
	}
	return d.root.Remove(name)
}

func (d dir) Rename(from, to string) error { return d.root.Rename(from, to) }

// Measure counts what is in fsys below name, and returns it.
func Measure(fsys FileSystem, name string) (n int64, err error) {
	var folders []string
	err = fsys.ReadDir(name, func(info fs.FileInfo) error {
		switch {
		case info.IsDir():
			folders = append(folders, path.Join(name, info.Name()))
		case info.Mode().IsRegular():
			n += info.Size()
		}
		return nil
	})
	for _, f := range folders {
		if err != nil {
			break
		}
		var m int64
		m, err = Measure(fsys, f)
		n += m
	}
	return n, err
}
