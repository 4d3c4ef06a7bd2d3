//go:build linux

package shm

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestNil: an argument that is nil is named, and so is the line of the call; and what the call would have held is free.
func TestNil(t *testing.T) {
	r := make1(t, Options{})
	var none context.Context
	for _, row := range []struct {
		name, want string
		f          func()
	}{
		{"OpenFile", "the file", func() { OpenFile(nil) }},
		{"Put", "the context", func() { r.Put(none, []byte("x")) }},
		{"Get", "the context", func() { r.Get(none, make([]Item, 1), nil) }},
		{"Join", "the context", func() { r.Join(none) }},
		{"WaitItem", "the context", func() { r.WaitItem(none) }},
		{"WaitRoom", "the context", func() { r.WaitRoom(none, 1) }},
		{"WaitLock", "the context", func() { r.WaitLock(none) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				if !strings.HasPrefix(got, "shm: ") || !strings.Contains(got, row.want+" is nil, at ") ||
					!strings.Contains(got, "given_test.go:") {
					t.Errorf("it panicked with %q, want shm: …: %s is nil, and the line", got, row.want)
				}
			}()
			row.f()
		})
	}
	if s, err := r.Stats(); err != nil || s.Ready != 0 {
		t.Errorf("after those that were refused: %+v, %v", s, err)
	}
}
