//go:build linux || darwin || freebsd || netbsd || openbsd

package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// A pidFile is a file with our process id, locked as long as we live. The lock, not the number in it, tells whether
// its writer lives: numbers are used again.
type pidFile struct {
	path string
	file *os.File
}

// oldSuffix is added to the name of a master's file once it has started another to take its place.
const oldSuffix = ".oldbin"

// writePIDFile makes or takes over the file. nil for an empty path.
func writePIDFile(path string) (*pidFile, error) {
	if path == "" {
		return nil, nil
	}
	for {
		// Not through a symlink, which somebody may have put there to have another file cut off and written to; nor
		// waiting for whoever opens the other end of a FIFO.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
		if err != nil {
			if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // the latter on FreeBSD
				err = fmt.Errorf("%w: it is a symlink, and is not followed", err)
			}
			return nil, fmt.Errorf("proc: pid file: %w", err)
		}
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			_ = f.Close()
			return nil, firstOf(err, fmt.Errorf("proc: pid file %s: it is there and is no regular file", path))
		}
		if err := lockFile(f); err != nil {
			text, _ := io.ReadAll(io.LimitReader(f, 32)) // for the message alone
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("proc: pid file %s: it is held by process %s, which runs: stop that one first, or take "+
					"another file", path, strings.TrimSpace(string(text)))
			}
			return nil, fmt.Errorf("proc: pid file %s: flock: %w", path, err)
		}
		p := &pidFile{path, f}
		if !p.ours() { // removed between the open and the lock, by one that ended
			_ = f.Close()
			continue
		}
		if err = f.Truncate(0); err == nil {
			_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		}
		if err != nil {
			p.remove()
			return nil, fmt.Errorf("proc: pid file: %w", err)
		}
		return p, nil
	}
}

func lockFile(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	ctlErr := raw.Control(func(fd uintptr) { err = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	return firstOf(ctlErr, err)
}

// ours reports whether the file at the path is still the one that is locked.
func (p *pidFile) ours() bool {
	have, err := p.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(p.path)
	return err == nil && os.SameFile(have, there)
}

// rename moves the file, with its lock.
func (p *pidFile) rename(path string) error {
	if p == nil {
		return nil
	}
	if err := os.Rename(p.path, path); err != nil {
		return fmt.Errorf("proc: pid file: %w", err)
	}
	p.path = path
	return nil
}

// remove gives the file up. One that somebody else has put there stays.
func (p *pidFile) remove() {
	if p == nil {
		return
	}
	if p.ours() {
		_ = os.Remove(p.path) // the lock goes, and the next one takes the file over
	}
	_ = p.file.Close()
}
