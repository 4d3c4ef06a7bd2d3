package uring

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// What the kernel may be given.
//
// The kernel reads and writes a submission's memory long after the call that submitted it. Memory of Go's heap may
// by then have been collected and used for something else, and a stack may have moved; nothing would tell, but the
// wrong bytes. So each method that puts an address into a submission asks guard whether the memory is of a kind
// that stays: mapped by this package, or pinned by [Pin]. If not, the program is broken, and it panics there and then.
//
// The price is a look into a table of mappings, of which a program has a few a ring. The table is replaced whole when
// something is mapped, so a look takes no lock; and it holds a guess for each page, by some bits of the address, which
// is right nearly always: then the look takes 3 ns, where a binary search takes 5 to 20. Pins come and go much more
// often and are searched only after the mappings.

// guard panics unless all of the n bytes at p stay where they are until somebody says otherwise.
func guard(p unsafe.Pointer, n int) {
	if t := known.table.Load(); t != nil {
		if s := &t.list[t.guess[uintptr(p)>>stretch%guesses]]; uintptr(p)-s.lo < s.hi-s.lo && uintptr(n) <= s.hi-uintptr(p) {
			return
		}
	}
	guardSlow(p, n)
}

//go:noinline
func guardSlow(p unsafe.Pointer, n int) {
	if n == 0 || known.holds(uintptr(p), uintptr(n)) || pins.holds(uintptr(p), uintptr(n)) {
		return
	}
	refuse(p, n)
}

func refuse(p unsafe.Pointer, n int) {
	panic(fmt.Sprintf("uring: the %d bytes at %p are neither mapped by this package (Map, Arena, Pool, BufRing) nor "+
		"pinned (Pin): "+
		"the kernel would use them after Go has moved or collected them", n, p))
}

func guardBytes(b []byte) uint64 {
	p := unsafe.Pointer(unsafe.SliceData(b))
	guard(p, len(b))
	return uint64(uintptr(p))
}

func guardOf[T any](v *T) uint64 {
	guard(unsafe.Pointer(v), int(unsafe.Sizeof(*v)))
	return uint64(uintptr(unsafe.Pointer(v)))
}

type span struct{ lo, hi uintptr } // [lo, hi)

func spanOf(b []byte) span {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return span{p, p + uintptr(len(b))}
}

func byLo(a, b span) int {
	switch {
	case a.lo < b.lo:
		return -1
	case a.lo > b.lo:
		return 1
	}
	return 0
}

// spans is a set of disjoint mappings.
type spans struct {
	mu    sync.Mutex // for add and remove
	table atomic.Pointer[spanTable]
}

// A spanTable is what the set was at one time. It never changes.
type spanTable struct {
	list  []span          // sorted, not empty
	guess [guesses]uint16 // by the address's bits from stretch on: which of the list it may be
}

const (
	stretch = 12
	guesses = 2048
)

func newSpanTable(list []span) *spanTable {
	if len(list) == 0 {
		return nil
	}
	t := &spanTable{list: list}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	// Small ones last: where several claim a guess, a large one has others.
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(list[j].hi-list[j].lo, list[i].hi-list[i].lo) })
	for _, i := range order {
		first, last := list[i].lo>>stretch, (list[i].hi-1)>>stretch
		for at := first; at <= last && at < first+guesses; at++ {
			t.guess[at%guesses] = uint16(i) // wrong for the 65537th, and then no worse than no guess
		}
	}
	return t
}

var known spans

func (s *spans) holds(p, n uintptr) bool {
	table := s.table.Load()
	if table == nil {
		return false
	}
	t := table.list
	lo, hi := 0, len(t)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if p < t[mid].lo {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	// t[lo-1] is the last that begins at or before p. The sizes are compared so that nothing overflows.
	return lo > 0 && p < t[lo-1].hi && n <= t[lo-1].hi-p
}

func (s *spans) add(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []span
	if old := s.table.Load(); old != nil {
		list = old.list
	}
	i, _ := slices.BinarySearchFunc(list, spanOf(b), byLo)
	s.table.Store(newSpanTable(slices.Insert(slices.Clip(list), i, spanOf(b))))
}

func (s *spans) remove(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.table.Load().list)
	i := slices.Index(list, spanOf(b))
	if i < 0 {
		panic("uring: freeing what was not mapped")
	}
	s.table.Store(newSpanTable(slices.Delete(list, i, i+1)))
}

func (s *spans) len() int {
	if t := s.table.Load(); t != nil {
		return len(t.list)
	}
	return 0
}

// pinned is the set of pinned spans, which may overlap. top[i] is the highest hi of list[:i+1]: a span that begins at
// or before p and ends at that hi is the one that reaches furthest, so it decides.
type pinned struct {
	mu   sync.RWMutex
	n    atomic.Int32
	list []span // sorted by lo
	top  []uintptr
}

var pins pinned

func (p *pinned) holds(at, n uintptr) bool {
	if p.n.Load() == 0 {
		return false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	i, found := slices.BinarySearchFunc(p.list, span{at, 0}, byLo)
	for found && i+1 < len(p.list) && p.list[i+1].lo == at {
		i++
	}
	if !found {
		i--
	}
	return i >= 0 && at < p.top[i] && n <= p.top[i]-at
}

func (p *pinned) change(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.n.Store(int32(len(p.list)))
	p.top = p.top[:0]
	var top uintptr
	for _, s := range p.list {
		top = max(top, s.hi)
		p.top = append(p.top, top)
	}
}

// A Pinned is bytes of Go's heap that the kernel may be given. [Pin] makes it.
type Pinned struct {
	pinner runtime.Pinner
	span   span
	data   []byte
}

// Pin keeps b where it is and alive, until Unpin. It is for bytes that come from elsewhere and are worth no copy: it
// costs about 0.3 µs and more with every pin there is (the pins of a process are one sorted table), where memory from
// [Map] costs nothing. Unpin only when everything that was submitted with the memory has completed for good (no
// [CQE.More]). Any goroutine may pin.
func Pin(b []byte) *Pinned {
	p := &Pinned{span: spanOf(b), data: b}
	if len(b) == 0 {
		return p
	}
	p.pinner.Pin(unsafe.SliceData(b))
	pins.change(func() {
		i, _ := slices.BinarySearchFunc(pins.list, p.span, byLo)
		pins.list = slices.Insert(pins.list, i, p.span)
	})
	return p
}

// Bytes are the bytes pinned; nil after Unpin.
func (p *Pinned) Bytes() []byte { return p.data }

// Unpin lets the garbage collector have the bytes again. A second Unpin panics.
func (p *Pinned) Unpin() {
	if p.data == nil && p.span.lo != 0 {
		panic("uring: Unpin of what is not pinned")
	}
	p.data = nil
	if p.span.lo == p.span.hi {
		return
	}
	pins.change(func() {
		i, _ := slices.BinarySearchFunc(pins.list, p.span, byLo)
		for pins.list[i] != p.span {
			i++
		}
		pins.list = slices.Delete(pins.list, i, i+1)
	})
	p.pinner.Unpin()
}
