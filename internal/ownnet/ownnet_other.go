//go:build !linux

package ownnet

import "testing"

func enter(t *testing.T) bool {
	t.Skip("only Linux has network namespaces")
	return false
}
