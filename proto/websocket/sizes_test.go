package websocket

import (
	"testing"
	"unsafe"
)

// An idle Socket on an engine is, besides what its connection is, a held.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the figures are for 64 bits")
	}
	if size := unsafe.Sizeof(held[struct{}]{}); size > 176 {
		t.Errorf("a held without a state has %d bytes, and its size class is that of 176", size)
	}
	if size := unsafe.Sizeof(held[*int]{}); size > 176 {
		t.Errorf("a held with a pointer has %d bytes, and its size class is that of 176", size)
	}
}
