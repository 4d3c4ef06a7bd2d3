//go:build !linux

package models

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

type counterMemory struct{}

func noCounter() error {
	return fmt.Errorf("models: a counter that processes share is not there on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// NewCounter makes a counter at 0. On this system there is none.
func NewCounter() (*Counter, error) { return nil, noCounter() }

// OpenCounter is a counter that another process made. On this system there is none.
func OpenCounter(f *os.File) (*Counter, error) { return nil, errors.Join(noCounter(), f.Close()) }

// File is the descriptor, for another process.
func (c *Counter) File() *os.File { return nil }

// Close gives back the memory.
func (c *Counter) Close() error { return nil }
