package shm

import (
	"runtime/debug"
	"unsafe"
)

// Memory without a name is sealed against being cut off. A named file is not, since seals are for memfd_create(2)
// alone: whoever may write to it may truncate it, and then the pages are gone, and touching them raises SIGBUS
// (mmap(2)), which ends a Go program unless the goroutine asked for a panic instead. Each operation asks, which takes
// some nanoseconds.

// guard is deferred by operations, with debug.SetPanicOnFault(true) as its first argument. A fault within the ring's
// memory becomes their error.
func (r *Ring) guard(was bool, err *error) {
	p := recover()
	debug.SetPanicOnFault(was)
	if p == nil {
		return
	}
	f, ok := p.(interface{ Addr() uintptr })
	if !ok || !r.within(f.Addr()) {
		panic(p)
	}
	r.abandon()
	*err = corrupt("the file was cut off: there is nothing at byte %d", f.Addr()-r.base)
}

func (r *Ring) within(addr uintptr) bool {
	return addr >= r.base && addr-r.base < uintptr(r.shape.size())
}

// abandon tells the others that the memory is of no more use, as far as it is still there, and lets go of the lock.
func (r *Ring) abandon() {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { _ = recover() }() // the header is gone as well: then each finds out by itself
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem == nil {
		return
	}
	r.head.broken.Store(1)
	if w := r.head.lock.Load(); w&^waited == r.token && r.head.lock.CompareAndSwap(w, noToken) {
		wake(&r.head.lock, MaxParties)
	}
}

func addressOf(mem []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(mem))) }
