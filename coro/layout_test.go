package coro

import (
	"testing"
	"unsafe"
)

// TestLayout: what is padded to a multiple of a cache line is one, where pointers have 64 bits. A field that comes in
// changes the figures of the padding.
func TestLayout(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the figures are those of 64-bit systems")
	}
	const cacheLine = 64 // bytes
	for _, row := range []struct {
		name      string
		got, want uintptr
	}{
		{"Task", unsafe.Sizeof(Task{}), 384},
		{"worker", unsafe.Sizeof(worker{}), 256},
	} {
		if row.got != row.want || row.got%cacheLine != 0 {
			t.Errorf("a %s has %d bytes, want %d", row.name, row.got, row.want)
		}
	}
}
