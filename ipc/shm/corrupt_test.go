//go:build linux

package shm

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// file is a descriptor of memory with that content.
func file(t testing.TB, content []byte) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "test")
	t.Cleanup(func() { _ = f.Close() }) // the test is over
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

// image is the memory of a small ring with two items, one of which spans slots, and one that is taken by nobody who
// lives.
func image(t testing.TB) []byte {
	t.Helper()
	r := make1(t, Options{Slots: 6, SlotSize: 64})
	o := another(t, r)
	for _, n := range []int{10, long, 5} {
		if _, err := r.TryPut(content("i", n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.TryGet(make([]Item, 1), nil); err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), r.mem...)
}

func TestOpenRefuses(t *testing.T) {
	good := image(t)
	with := func(at int, v uint32) []byte {
		b := append([]byte(nil), good...)
		binary.NativeEndian.PutUint32(b[at:], v)
		return b
	}
	for _, row := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"nothing", nil, "it has 0 bytes"},
		{"less than a header", good[:100], "it has 100 bytes"},
		{"cut off", good[:len(good)-1], "bytes has"},
		{"too long", append(append([]byte(nil), good...), 0), "bytes has"},
		{"zeros", make([]byte, len(good)), "it begins with 0x0"},
		{"another version", with(8, version+1), "of version 4"},
		{"the version before", with(8, 2), "of version 2"},
		{"no slots", with(12, 0), "0 slots"},
		{"too many slots", with(12, 1<<31), "slots, and there may be"},
		{"more slots than there are", with(12, 7), "of 7 slots"},
		{"slots of no size", with(16, 0), "slots of 0 bytes"},
		{"slots of an odd size", with(16, 65), "slots of 65 bytes"},
		{"slots that overflow", with(16, 1<<32-64), "slots of 4294967232 bytes"},
		{"items of no size", with(20, 0), "items of at most 0 bytes"},
		{"items that do not fit", with(20, 6*64+1), "items of at most 385 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := OpenFile(file(t, row.content))
			if err == nil {
				_ = r.Close() // the error is that there is one
			}
			wantErr(t, row.name, err, ErrCorrupt)
			if err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q in it", err, row.want)
			}
		})
	}
	p, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenFile(p)
	wantErr(t, "a pipe", err, ErrCorrupt)
	if err := errors.Join(p.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = OpenFile(p)
	wantErr(t, "a closed file", err, os.ErrClosed)
}

// TestCorrupt writes over one field, and then wants an error that says so, from this party and from the others.
func TestCorrupt(t *testing.T) {
	get1 := func(r *Ring) error {
		_, err := r.TryGet(make([]Item, 1), nil)
		return err
	}
	putLong := func(r *Ring) error {
		_, err := r.TryPut(make([]byte, long))
		return err
	}
	for _, row := range []struct {
		name  string
		spoil func(r *Ring)
		call  func(r *Ring) error
		want  string
	}{
		{"the queue's head", func(r *Ring) { r.head.readyHead.set(8) }, get1, "the queue begins in slot 8"},
		{"a state in the queue", func(r *Ring) { r.slot(0).state.Store(0) }, get1, "slot 0 is in the queue"},
		{"a length", func(r *Ring) { r.slot(0).length.set(1 << 31) }, get1, "item of 2147483648 bytes"},
		{"a chain", func(r *Ring) { r.slot(1).chain.set(none - 1) }, get1, "goes on in slot 4294967294"},
		{"the free slots' head", func(r *Ring) { r.head.freeHead.set(none) }, putLong,
			"slot 4294967295 is in the list of free"},
		{"a free slot's state", func(r *Ring) { r.slot(3).state.Store(slotFull) }, putLong, "slot 3 is in the list of free"},
		{"how many are free", func(r *Ring) { r.head.free.Store(99) },
			func(r *Ring) error { _, err := r.TryPut(make([]byte, 6*64)); return err }, "is in the list of free"},
		{"the queue's tail", func(r *Ring) { r.head.readyTail.set(77) },
			func(r *Ring) error { _, err := r.TryPut(nil); return err }, "the queue ends in slot 77"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := make2(t)
			f, err := r.File()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }() // only to open it
			o, err := OpenFile(f)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = o.Close() }()                        // corrupt
			if _, err := r.TryPut(content("i", long)); err != nil { // slots 0, 1 and 2 of 8
				t.Fatal(err)
			}
			joined := make(chan error)
			ctx, cancel := context.WithTimeout(background, 10*time.Second)
			defer cancel()
			go func() { joined <- o.Join(ctx) }()
			asleep(t, r)
			row.spoil(r)
			err = row.call(r)
			wantErr(t, row.name, err, ErrCorrupt)
			if err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q in it", err, row.want)
			}
			wantErr(t, "another party, which waited", <-joined, ErrCorrupt)
			_, err = o.TryPut(nil)
			wantErr(t, "another party", err, ErrCorrupt)
		})
	}
}

// make2 is a ring of eight slots that may end corrupt.
func make2(t testing.TB) *Ring {
	t.Helper()
	r, err := New(Options{Slots: 8, SlotSize: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // corrupt
	return r
}

// TestCutOff truncates a named ring under two parties, one of whom waits. Neither faults.
func TestCutOff(t *testing.T) {
	for _, row := range []struct {
		name string
		size int64
	}{
		{"all", 0},
		{"all but the header", 4096},
		{"the bytes of items", 40960},
	} {
		t.Run(row.name, func(t *testing.T) {
			name := testName(os.Getpid(), "cut")
			r, err := Create(name, Options{Slots: 400, SlotSize: 4096})
			if err != nil {
				t.Fatal(err)
			}
			o, err := Open(name)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			go func() {
				for {
					if _, err := o.Get(background, make([]Item, 1), nil); err != nil {
						ended <- err
						return
					}
				}
			}()
			asleep(t, r)
			if err := os.Truncate(Dir+"/"+name, row.size); err != nil {
				t.Fatal(err)
			}
			for err = nil; err == nil; {
				_, err = r.TryPut(make([]byte, 64<<10))
			}
			wantErr(t, "put", err, ErrCorrupt)
			wantErr(t, "get", <-ended, ErrCorrupt)
			for _, x := range []*Ring{r, o} {
				wantErr(t, "close", x.Close(), ErrCorrupt)
			}
			if err := Remove(name); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSealed: memory without a name can't be cut off.
func TestSealed(t *testing.T) {
	r := make1(t, Options{})
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only looked at
	wantErr(t, "truncate", f.Truncate(0), unix.EPERM)
}

// FuzzMemory opens arbitrary memory, and uses what opens. The input is written over the memory of a good ring: a place
// of two bytes and a byte for it, over and over. Whatever becomes of it, nothing may fault, panic, or take for ever.
func FuzzMemory(f *testing.F) {
	good := image(f)
	patch := func(at int, v ...byte) (b []byte) {
		for i, x := range v {
			b = append(b, byte(at+i), byte((at+i)>>8), x)
		}
		return b
	}
	f.Add([]byte{})
	f.Add(patch(12, 0xff))
	f.Add(patch(64, 1, 1, 0, 0x80)) // locked
	f.Add(patch(68, 1))             // broken
	f.Add(patch(128, 0xff, 0xff, 0xff, 0xff, 0xff))
	for at := 128; at < 192; at += 4 {
		f.Add(patch(at, 3, 0, 0, 0))
	}
	for at := slotsAt; at < slotsAt+6*slotHead; at += 4 {
		f.Add(patch(at, 3, 1, 0, 0))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		mem := append([]byte(nil), good...)
		for ; len(in) >= 3; in = in[3:] {
			mem[int(binary.LittleEndian.Uint16(in))%len(mem)] = in[2]
		}
		file := file(t, mem)
		r, err := OpenFile(file)
		if err != nil {
			return
		}
		defer func() { _ = r.Close() }() // it may be corrupt
		o, err := OpenFile(file)
		if err != nil {
			return
		}
		defer func() { _ = o.Close() }() // likewise
		use(t, r, o)
	})
}

// use does everything with a ring that may be corrupt, on two Rings.
func use(t testing.TB, rings ...*Ring) {
	t.Helper()
	allowed := func(err error) {
		for _, e := range []error{nil, ErrCorrupt, ErrFull, ErrEmpty, ErrTooLong, ErrEnded, ErrNotTaken, ErrHeld, io.EOF,
			context.DeadlineExceeded} {
			if errors.Is(err, e) {
				return
			}
		}
		t.Errorf("an error of its own: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
	defer cancel()
	for _, r := range rings {
		items := make([]Item, 5)
		n, err := r.TryGet(items, make([]byte, 50))
		allowed(err)
		_, err = r.TryPut(make([]byte, 10), make([]byte, long))
		allowed(err)
		if n > 0 {
			allowed(r.Return(items[n-1]))
		}
		allowed(r.Done(items...))
		allowed(r.WaitItem(ctx))
		allowed(r.WaitRoom(ctx, 1))
		allowed(r.Join(ctx))
		s, err := r.Stats()
		allowed(err)
		if s.Ready < 0 {
			t.Errorf("%+v", s)
		}
		allowed(r.End())
	}
}
