package models

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

type counterMemory struct {
	memory []byte
	file   *os.File
}

// NewCounter makes a counter at 0. The caller closes it, when nobody uses it any more.
func NewCounter() (*Counter, error) {
	fd, err := unix.MemfdCreate("counter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("models: make a counter: memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "counter")
	if err := f.Truncate(int64(os.Getpagesize())); err != nil {
		_ = f.Close() // it was not used
		return nil, fmt.Errorf("models: make a counter: %w", err)
	}
	return OpenCounter(f)
}

// OpenCounter is a counter that another process made and handed over as a descriptor, by [Counter.File]. It takes f
// over, also with an error.
func OpenCounter(f *os.File) (*Counter, error) {
	memory, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = f.Close() // it was not used
		return nil, fmt.Errorf("models: open a counter: mmap: %w", err)
	}
	// A page is aligned for anything that stands at its beginning.
	return &Counter{(*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(memory))), counterMemory{memory, f}}, nil
}

// File is the descriptor, for another process; it stays the counter's.
func (c *Counter) File() *os.File { return c.file }

// Close gives back the memory, which nobody here may use any more.
func (c *Counter) Close() error {
	return errors.Join(os.NewSyscallError("munmap", unix.Munmap(c.memory)), c.file.Close())
}
