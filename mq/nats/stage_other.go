//go:build !linux

package nats

import (
	"errors"
	"os"
)

// memory is a folder in memory.
func memory() (string, error) { return "", errors.ErrUnsupported }

func freeMemory(string) (int64, error)   { return 0, errors.ErrUnsupported }
func lockStage(string) (*os.File, error) { return nil, errors.ErrUnsupported }
