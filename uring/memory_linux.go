package uring

import (
	"fmt"
	"os"
	"reflect"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory is memory outside Go's heap, zeroed, from mmap(2): what a kernel that writes after the call has returned
// can be given. The garbage collector does not look at it, so it must hold no Go pointers.
//
// Free may be called once, from any goroutine, when the kernel is done with the memory and nobody holds a slice of
// it: touching it afterwards is a segmentation fault.
type Memory struct {
	data  []byte
	freed atomic.Bool
}

// Map maps that many bytes, rounded up to whole pages. A page costs nothing until it is first written to.
func Map(size int) (*Memory, error) {
	if size <= 0 {
		return nil, &Error{Op: fmt.Sprintf("map %d bytes", size), Err: os.ErrInvalid, Hint: "a size is at least 1"}
	}
	page := os.Getpagesize()
	if size > maxInt-page {
		return nil, &Error{Op: fmt.Sprintf("map %d bytes", size), Err: unix.ENOMEM}
	}
	size = (size + page - 1) &^ (page - 1)
	// Not unix.Mmap: it has one lock for all of the process, and a loop would wait for whoever has it and no processor.
	at, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, &Error{Op: fmt.Sprintf("map %d bytes", size), Call: "mmap", Err: err}
	}
	data := unsafe.Slice((*byte)(at), size)
	known.add(data)
	return &Memory{data: data}, nil
}

// Bytes is all of the memory.
func (m *Memory) Bytes() []byte { return m.data }

// Release gives the pages that lie wholly in b, a part of the memory, back to the system. They read as zero
// afterwards, and come back when they are written to (madvise(2), MADV_DONTNEED).
func (m *Memory) Release(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	at := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(unsafe.SliceData(m.data))))
	if at < 0 || at+len(b) > len(m.data) {
		panic("uring: Memory.Release of bytes that lie elsewhere")
	}
	page := os.Getpagesize()
	from, to := (at+page-1)&^(page-1), (at+len(b))&^(page-1)
	if from >= to {
		return nil
	}
	if err := unix.Madvise(m.data[from:to], unix.MADV_DONTNEED); err != nil {
		return &Error{Op: fmt.Sprintf("release %d bytes", to-from), Call: "madvise", Err: err}
	}
	return nil
}

// Free unmaps the memory. A second Free does nothing.
func (m *Memory) Free() error {
	if m.freed.Swap(true) {
		return nil
	}
	known.remove(m.data)
	if err := unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(m.data)), uintptr(len(m.data))); err != nil {
		return &Error{Op: fmt.Sprintf("free %d bytes", len(m.data)), Call: "munmap", Err: err}
	}
	return nil
}

const maxInt = int(^uint(0) >> 1)

// An Arena hands out pieces of one Memory, one behind the other, and takes them back all at once: for what lives as
// long as a ring, such as [Message] and [Sockaddr]. It belongs to one goroutine at a time.
type Arena struct {
	mem  *Memory
	used int
}

// NewArena maps an arena of that many bytes.
func NewArena(size int) (*Arena, error) {
	mem, err := Map(size)
	if err != nil {
		return nil, err
	}
	return &Arena{mem: mem}, nil
}

// Bytes hands out n bytes, zeroed, aligned to 16; nil if there is not so much left.
func (a *Arena) Bytes(n int) []byte {
	at := (a.used + 15) &^ 15
	if n < 0 || n > len(a.mem.data)-at {
		return nil
	}
	a.used = at + n
	return a.mem.data[at:a.used:a.used]
}

// Left is how many bytes can still be had.
func (a *Arena) Left() int { return max(0, len(a.mem.data)-(a.used+15)&^15) }

// Reset takes all back and zeroes it. The kernel and the program must be done with every piece.
func (a *Arena) Reset() {
	clear(a.mem.data[:a.used])
	a.used = 0
}

// Free unmaps the arena, with all that it handed out.
func (a *Arena) Free() error { return a.mem.Free() }

// Alloc hands out a zeroed T from the arena, nil if there is no room. It panics if a T has Go pointers in it, as the
// garbage collector would not see them there.
func Alloc[T any](a *Arena) *T {
	t := reflect.TypeFor[T]()
	if pointers(t) {
		panic("uring: Alloc of a " + t.String() + ", which has Go pointers in it: the garbage collector would not see them")
	}
	b := a.Bytes(max(1, int(t.Size())))
	if b == nil {
		return nil
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(b)))
}

func pointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr, reflect.Float32, reflect.Float64, reflect.Complex64,
		reflect.Complex128:
		return false
	case reflect.Array:
		return t.Len() > 0 && pointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if pointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	}
	return true
}
