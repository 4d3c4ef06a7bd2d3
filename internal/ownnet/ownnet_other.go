//go:build !linux

package ownnet

import (
	"errors"
	"testing"
)

func add(string) error { return errors.ErrUnsupported }

func enter(t *testing.T) bool {
	t.Skip("only Linux has network namespaces")
	return false
}
