package mailcatch

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// folders are tmp and new, held open. os.Root walks to each file from the top, with six system calls more a mail;
// these names are this package's own and have no slash, so that nothing is left to walk. Where a folder was replaced
// meanwhile the way by os.Root finds the new one.
type folders struct {
	root     *os.Root
	mu       sync.RWMutex // held while a descriptor is used, so that it is not closed, and another's by then
	tmp, new *os.File     // nil: closed
}

func (f *folders) open(root *os.Root) (err error) {
	f.root = root
	if f.tmp, err = root.Open(tmpDir); err != nil {
		return err
	}
	if f.new, err = root.Open(newDir); err != nil {
		_ = f.tmp.Close() // it was read alone
	}
	return err
}

// create makes a file in tmp.
func (f *folders) create(name string) (*os.File, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.tmp == nil {
		return nil, os.ErrClosed
	}
	fd, err := unix.Openat(int(f.tmp.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return f.root.OpenFile(tmpDir+"/"+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// publish moves a file from tmp to new.
func (f *folders) publish(name string) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.tmp == nil {
		return os.ErrClosed
	}
	if unix.Renameat(int(f.tmp.Fd()), name, int(f.new.Fd()), name) == nil {
		return nil
	}
	return f.root.Rename(tmpDir+"/"+name, newDir+"/"+name)
}

func (f *folders) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := errors.Join(f.tmp.Close(), f.new.Close())
	f.tmp, f.new = nil, nil
	return err
}
