package prefetch

import (
	"testing"
	"unsafe"
)

// TestAnywhere: a hint about no memory, about much of it and about the last of it does nothing that could be noticed.
func TestAnywhere(t *testing.T) {
	var x [4096]byte
	for _, n := range []uintptr{0, 1, 64, 65, 4096} {
		Bytes(unsafe.Pointer(&x), n)
		Bytes(nil, n)
	}
	Lines(^uintptr(0), 3)
	for i, b := range x {
		if b != 0 {
			t.Fatalf("byte %d is %d after hints", i, b)
		}
	}
}

func BenchmarkLines(b *testing.B) {
	var x [512]byte
	for b.Loop() {
		Bytes(unsafe.Pointer(&x), unsafe.Sizeof(x))
	}
}
