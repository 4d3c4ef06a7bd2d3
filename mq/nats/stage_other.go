//go:build !linux

package nats

import "errors"

// memory is a folder in memory.
func memory() (string, error) { return "", errors.ErrUnsupported }
