package uring

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// panics runs f and gives what it panicked with, "" if it did not.
func panics(f func()) (what string) {
	defer func() {
		if v := recover(); v != nil {
			what = fmt.Sprint(v)
		}
	}()
	f()
	return ""
}

func wantPanic(t testing.TB, name, want string, f func()) {
	t.Helper()
	if got := panics(f); want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s: panic %q, want %q", name, got, want)
	}
}

var sink []byte

// TestGuard holds what may be given to the kernel and what may not.
func TestGuard(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	mem, err := Map(10000)
	ok(t, err)
	other, err := Map(4096)
	ok(t, err)
	heap := make([]byte, 100)
	sink = heap
	pinned := make([]byte, 100)
	sink = pinned
	pin := Pin(pinned[10:60])
	all := mem.Bytes()
	if len(all) != 3*os.Getpagesize() {
		t.Errorf("Map(10000) has %d bytes, want whole pages", len(all))
	}
	var stack [10]byte
	const refused = "neither mapped by this package"
	for _, row := range []struct {
		name string
		buf  []byte
		want string
	}{
		{"mapped", all, ""},
		{"first byte", all[:1], ""},
		{"last byte", all[len(all)-1:], ""},
		{"another mapping", other.Bytes(), ""},
		{"one byte past the end", unsafe.Slice(&all[1], len(all)), refused},
		{"nil", nil, ""},
		{"empty heap", heap[:0], ""},
		{"heap", heap, refused},
		{"one byte of heap", heap[:1], refused},
		{"stack", stack[:], refused},
		{"constant", unsafe.Slice(unsafe.StringData("constant"), 8), refused},
		{"pinned", pinned[10:60], ""},
		{"inside a pin", pinned[20:30], ""},
		{"end of a pin", pinned[59:60], ""},
		{"before a pin", pinned[9:20], refused},
		{"past a pin", pinned[50:61], refused},
		{"behind a pin", pinned[60:61], refused},
	} {
		for op, prepare := range map[string]func(s *SQE){
			"Send":   func(s *SQE) { s.Send(0, row.buf, 0) },
			"Recv":   func(s *SQE) { s.Recv(0, row.buf, 0) },
			"SendZC": func(s *SQE) { s.SendZC(0, row.buf, 0) },
			"Write":  func(s *SQE) { s.Write(0, row.buf, 0) },
			"Read":   func(s *SQE) { s.Read(0, row.buf, 0) },
			"Iovec":  func(*SQE) { new(Iovec).Set(row.buf) },
		} {
			var s SQE
			wantPanic(t, op+" of "+row.name, row.want, func() { prepare(&s) })
		}
	}
	for name, f := range map[string]func(s *SQE){
		"Connect": func(s *SQE) { s.Connect(0, new(Sockaddr)) },
		"Bind":    func(s *SQE) { s.Bind(0, new(Sockaddr)) },
		"Accept":  func(s *SQE) { s.Accept(0, new(Sockaddr), 0) },
		"SendTo":  func(s *SQE) { s.SendTo(0, nil, 0, new(Sockaddr)) },
		"Timeout": func(s *SQE) { s.Timeout(new(Timespec), 0, 0) },
		"Link":    func(s *SQE) { s.LinkTimeout(new(Timespec), 0) },
		"Update":  func(s *SQE) { s.TimeoutUpdate(1, new(Timespec), 0) },
		"Sendmsg": func(s *SQE) { s.Sendmsg(0, new(Message), 0) },
		"Recvmsg": func(s *SQE) { s.RecvmsgMultishot(0, 0, new(Message), 0) },
		"Vector":  func(s *SQE) { s.SendVector(0, make([]Iovec, 1), 0) },
		"Files":   func(s *SQE) { s.FilesUpdate([]int32{1}, 0) },
		"Option":  func(s *SQE) { s.Setsockopt(0, 0, 0, make([]byte, 4)) },
		"Control": func(*SQE) { new(Message).SetControl(make([]byte, 4)) },
		"Buffers": func(*SQE) { _ = r.RegisterBuffers(heap) },
	} {
		var s SQE
		wantPanic(t, name, refused, func() { f(&s) })
	}
	pin.Unpin()
	wantPanic(t, "unpinned", refused, func() { new(SQE).Send(0, pinned[10:60], 0) })
	wantPanic(t, "Unpin twice", "Unpin of what is not pinned", pin.Unpin)
	ok(t, other.Free())
	freed := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(other.data))), 1)
	wantPanic(t, "freed", refused, func() { new(SQE).Send(0, freed, 0) })
	ok(t, mem.Free())
	ok(t, mem.Free())
}

// TestGuardRandom compares both tables with a plain list of what is allowed.
func TestGuardRandom(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	var p pinned
	var s spans
	const room = 300
	base := make([]byte, room)
	sink = base // on the heap, where it does not move
	origin := uintptr(unsafe.Pointer(&base[0]))
	var overlapping, disjoint []span
	for range 2000 {
		from := rnd.IntN(room)
		b := base[from : from+rnd.IntN(min(20, room-from))+1]
		clash := false
		for _, o := range disjoint {
			clash = clash || spanOf(b).lo < o.hi && o.lo < spanOf(b).hi
		}
		switch k := rnd.IntN(4); {
		case k == 0 && len(overlapping) > 0:
			i := rnd.IntN(len(overlapping))
			gone := overlapping[i]
			overlapping = append(overlapping[:i], overlapping[i+1:]...)
			p.change(func() {
				for j, o := range p.list {
					if o == gone {
						p.list = append(p.list[:j], p.list[j+1:]...)
						break
					}
				}
			})
		case k == 1 && len(overlapping) < 30:
			overlapping = append(overlapping, spanOf(b))
			p.change(func() {
				j := 0
				for j < len(p.list) && p.list[j].lo < spanOf(b).lo {
					j++
				}
				p.list = append(p.list[:j], append([]span{spanOf(b)}, p.list[j:]...)...)
			})
		case k == 2 && len(disjoint) > 0:
			i := rnd.IntN(len(disjoint))
			s.remove(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&base[0]), disjoint[i].lo-origin)),
				disjoint[i].hi-disjoint[i].lo))
			disjoint = append(disjoint[:i], disjoint[i+1:]...)
		case k == 3 && !clash:
			disjoint = append(disjoint, spanOf(b))
			s.add(b)
		}
		at, n := origin+uintptr(rnd.IntN(room)), uintptr(1+rnd.IntN(15))
		inOne := func(list []span) bool {
			for _, o := range list {
				if o.lo <= at && at+n <= o.hi {
					return true
				}
			}
			return false
		}
		if got, want := p.holds(at, n), inOne(overlapping); got != want {
			t.Fatalf("seed %d: pinned %v: holds(%d, %d) = %v, want %v", seed, overlapping, at-origin, n, got, want)
		}
		if got, want := s.holds(at, n), inOne(disjoint); got != want {
			t.Fatalf("seed %d: mapped %v: holds(%d, %d) = %v, want %v", seed, disjoint, at-origin, n, got, want)
		}
	}
}

// TestPinKeeps sees that pinned bytes live although nothing of Go's points to them.
func TestPinKeeps(t *testing.T) {
	gone := make(chan struct{})
	b := make([]byte, 1<<16)
	runtime.AddCleanup(&b[0], func(c chan struct{}) { close(c) }, gone)
	pin := Pin(b)
	addr := uintptr(unsafe.Pointer(&b[0]))
	b = nil
	pin.data = []byte{} // so that the Pinned does not hold it either
	for range 3 {
		runtime.GC()
	}
	select {
	case <-gone:
		t.Fatal("pinned bytes were collected")
	default:
	}
	if !pins.holds(addr, 1<<16) {
		t.Error("pinned bytes are not known")
	}
	pin.Unpin()
	runtime.KeepAlive(pin)
}

func TestArena(t *testing.T) {
	a, err := NewArena(1)
	ok(t, err)
	defer a.Free()
	page := os.Getpagesize()
	if a.Left() != page {
		t.Errorf("Left = %d, want a page", a.Left())
	}
	x, y := a.Bytes(5), a.Bytes(6)
	x[0], y[0] = 1, 2
	if d := uintptr(unsafe.Pointer(&y[0])) - uintptr(unsafe.Pointer(&x[0])); d != 16 || cap(x) != 5 ||
		a.Left() != page-32 {
		t.Errorf("pieces lie %d apart with room for %d, %d left; want 16, 5, %d", d, cap(x), a.Left(), page-32)
	}
	m := Alloc[Message](a)
	if m == nil || uintptr(unsafe.Pointer(m))%16 != 0 {
		t.Fatalf("Alloc[Message] = %p", m)
	}
	if a.Bytes(a.Left()+1) != nil || a.Bytes(-1) != nil {
		t.Error("more was handed out than there is")
	}
	if b := a.Bytes(a.Left()); b == nil || Alloc[Message](a) != nil || a.Left() != 0 {
		t.Error("the last bytes cannot be had, or more than those")
	}
	wantPanic(t, "a pointer", "has Go pointers", func() { Alloc[*int](a) })
	wantPanic(t, "a pointer inside", "has Go pointers", func() { Alloc[[2]struct{ s string }](a) })
	a.Reset()
	if b := a.Bytes(page); b[0] != 0 || b[16] != 0 {
		t.Error("Reset left bytes in place")
	}
	if _, err := Map(0); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("Map(0): %v", err)
	}
	if _, err := Map(maxInt); err == nil {
		t.Error("Map of all there is succeeded")
	}
}

func TestMemoryRelease(t *testing.T) {
	page := os.Getpagesize()
	m, err := Map(4 * page)
	ok(t, err)
	defer m.Free()
	b := m.Bytes()
	for i := range b {
		b[i] = 1
	}
	ok(t, m.Release(b[1:3*page+1])) // pages 1 and 2 are whole
	for i, want := range map[int]byte{0: 1, page - 1: 1, page: 0, 3*page - 1: 0, 3 * page: 1} {
		if b[i] != want {
			t.Errorf("byte %d is %d, want %d", i, b[i], want)
		}
	}
	ok(t, m.Release(nil))
	ok(t, m.Release(b[:1]))
	wantPanic(t, "elsewhere", "lie elsewhere", func() { m.Release(make([]byte, 1)) })
}

func TestPool(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	const block, bound = 100, 150
	p, err := NewPool(block, bound)
	ok(t, err)
	var out [][]byte
	var tags []byte
	for step := range 20000 {
		if rnd.IntN(2) == 0 && !(step/2000%2 == 0 && rnd.IntN(3) == 0) || len(out) == 0 {
			b := p.Get()
			if (b == nil) != (len(out) == bound) {
				t.Fatalf("seed %d: Get = %v bytes with %d of %d blocks out", seed, len(b), len(out), bound)
			}
			if b == nil {
				continue
			}
			if len(b) != block || cap(b) != block {
				t.Fatalf("a block has %d of %d bytes, want %d", len(b), cap(b), block)
			}
			tag := byte(rnd.Uint32())
			for i := range b {
				b[i] = tag
			}
			out, tags = append(out, b), append(tags, tag)
			new(SQE).Send(0, b, 0) // the kernel may have it
		} else {
			i := rnd.IntN(len(out))
			for _, c := range out[i] {
				if c != tags[i] {
					t.Fatalf("seed %d: a block has two owners", seed)
				}
			}
			p.Put(out[i][:rnd.IntN(block)])
			out[i], tags[i] = out[len(out)-1], tags[len(out)-1]
			out, tags = out[:len(out)-1], tags[:len(tags)-1]
		}
		if p.Used() != len(out) {
			t.Fatalf("seed %d: Used = %d, want %d", seed, p.Used(), len(out))
		}
		if rnd.IntN(100) == 0 {
			p.Trim()
		}
	}
	for _, b := range out {
		p.Put(b)
	}
	p.Trim()
	if len(p.chunks) != 1 || p.Mapped() == 0 {
		t.Errorf("%d chunks after all was put back and trimmed, want 1", len(p.chunks))
	}
	b := p.Get()
	p.Put(b)
	wantPanic(t, "Put twice", "not out", func() { p.Put(b) })
	wantPanic(t, "Put of the middle", "not a block", func() { p.Put(p.Get()[1:]) })
	wantPanic(t, "Put of heap", "not", func() { p.Put(make([]byte, block)) })
	wantPanic(t, "Put of nil", "not", func() { p.Put(nil) })
	ok(t, p.Free())
	if _, err := NewPool(0, 1); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("NewPool(0, 1): %v", err)
	}
}
