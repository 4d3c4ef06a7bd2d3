package sock

import (
	"fmt"
	"io/fs"
	"os"
)

// File is the file of a unix socket that listens: its path, and what tells it from another file that took
// that path later. The zero value is no file.
type File struct {
	path string
	info fs.FileInfo
}

// FileOf is the file of a unix socket, to be asked for right after Listen; for any other socket it is the
// zero File.
//
// Closing a unix socket leaves its file behind (unix(7)), and Socket is a number that remembers nothing. So
// whoever listens keeps the File too, and removes it when it stops listening:
//
//	file, err := sock.FileOf(s)
//	...
//	file.Remove()
//	s.Close()
//
// in this order: as long as the socket answers, nobody else takes its path. A listener that was handed to
// another process must not be removed.
func FileOf(s Socket) (File, error) {
	n, err := sysName(s, false)
	if err != nil {
		return File{}, &Error{Op: "find the socket's file", Call: "getsockname", Err: err}
	}
	if !n.unix || n.path == "" || n.path[0] == '@' {
		return File{}, nil
	}
	path := osPath(n.path)
	info, err := os.Lstat(path)
	if err != nil {
		return File{}, &Error{Op: "find the socket's file", Call: "lstat", Err: err}
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return File{}, &Error{Op: "find the socket's file", Err: fmt.Errorf("%s is no socket: somebody replaced it", path)}
	}
	return File{path, info}, nil
}

// Path is where the file is, empty for the zero File.
func (f File) Path() string { return f.path }

// Remove removes the file if it is still the same one: same device and inode, and (since inodes are used
// again) the same time of its making. If it is gone or replaced, Remove does nothing, and that is no error.
func (f File) Remove() error {
	if f.info == nil {
		return nil
	}
	now, err := os.Lstat(f.path)
	if os.IsNotExist(err) || err == nil && !sameFile(f.info, now) {
		return nil
	}
	if err == nil {
		err = os.Remove(f.path)
	}
	if err != nil && !os.IsNotExist(err) {
		return &Error{Op: "remove the socket's file", Err: err}
	}
	return nil
}

func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Mode().Type() == b.Mode().Type() && a.ModTime().Equal(b.ModTime())
}
