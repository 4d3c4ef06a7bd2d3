package plexor

import (
	"testing"
	"unsafe"
)

// A connection that waits is mostly these structs, so they keep to size classes of the runtime: a field more may cost
// each connection 16 bytes or a cache line.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the figures are those of 64-bit systems")
	}
	for _, x := range []struct {
		name      string
		size, max uintptr
	}{
		{"aligned", unsafe.Sizeof(aligned{}), 192}, // three cache lines, and begins with one
		{"messageConn", unsafe.Sizeof(messageConn{}), 192},
		{"decoded", unsafe.Sizeof(decoded{}), 272},
		{"stated", unsafe.Sizeof(stated[*int]{}), 208},
		{"statedDecoded", unsafe.Sizeof(statedDecoded[*int]{}), 288},
		{"waits", unsafe.Sizeof(waits{}), 128},
		{"Outbox", unsafe.Sizeof(Outbox{}), 288},
		{"secured", unsafe.Sizeof(secured{}), 96},
	} {
		if x.size > x.max {
			t.Errorf("a %s has %d bytes, and its size class is that of %d", x.name, x.size, x.max)
		}
	}
}
