package web

import (
	"testing"
	"unsafe"
)

// A connection that waits is, besides what package plexor has of it, a conn.
func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); unsafe.Sizeof(uintptr(0)) == 8 && size > 96 {
		t.Errorf("a conn has %d bytes, and its size class is that of 96", size)
	}
	if size := unsafe.Sizeof(Stream{}); unsafe.Sizeof(uintptr(0)) == 8 && size > 96 {
		t.Errorf("a Stream has %d bytes, and its size class is that of 96", size)
	}
}
