//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The contract of Selector, each test on every multiplexer of the system. The calls from other goroutines
// are in concurrency_test.go, closed descriptors in ghost_test.go.

func TestArguments(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, _ := newPipe(t)
		free, _ := newPipe(t)
		ok(t, s.Register(r, Read, "first"))
		for _, row := range []struct {
			name string
			err  error
			is   error
			also error
		}{
			{"register no events", s.Register(free, 0, nil), ErrInvalid, fs.ErrInvalid},
			{"register an unknown event", s.Register(free, Read|8, nil), ErrInvalid, fs.ErrInvalid},
			{"register a hang-up and another event", s.Register(free, Read|Hangup, nil), ErrInvalid, fs.ErrInvalid},
			{"register the private bit", s.Register(free, vanished, nil), ErrInvalid, fs.ErrInvalid},
			{"register a negative descriptor", s.Register(-1, Read, nil), ErrInvalid, fs.ErrInvalid},
			{"register a descriptor that the kernel would cut to 32 bits", s.Register(cut(free), Read, nil), ErrInvalid,
				fs.ErrInvalid},
			{"register twice", s.Register(r, Read, "first"), ErrRegistered, fs.ErrExist},
			{"register twice, other data and events", s.Register(r, Write, "second"), ErrRegistered, fs.ErrExist},
			{"modify no events", s.Modify(r, 0, "second"), ErrInvalid, fs.ErrInvalid},
			{"modify an unknown event", s.Modify(r, 1<<3, "second"), ErrInvalid, fs.ErrInvalid},
			{"modify a negative descriptor", s.Modify(-5, Read, nil), ErrInvalid, fs.ErrInvalid},
			{"modify an unknown descriptor", s.Modify(free, Read, nil), ErrNotRegistered, fs.ErrNotExist},
			{"modify an unknown, high descriptor", s.Modify(math.MaxInt32, Read, nil), ErrNotRegistered, fs.ErrNotExist},
			{"unregister an unknown descriptor", s.Unregister(free), ErrNotRegistered, fs.ErrNotExist},
			{"unregister a negative descriptor", s.Unregister(-1), ErrInvalid, fs.ErrInvalid},
		} {
			if !errors.Is(row.err, row.is) || !errors.Is(row.err, row.also) {
				t.Errorf("%s: got %v, want %v, which is also %v", row.name, row.err, row.is, row.also)
			}
		}
		if k, _ := s.Key(r); s.Len() != 1 || k != (Key{r, Read, "first"}) {
			t.Errorf("after refusals: %d keys, of %d: %v; want 1, unchanged", s.Len(), r, k)
		}
	})
}

// cut is a number whose lower 32 bits are fd, where int has more.
func cut(fd int) int {
	if math.MaxInt == math.MaxInt32 {
		return -1
	}
	big := int64(fd) + 1<<32
	return int(big)
}

func TestKernelRefuses(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		d, _ := newPair(t)
		d.close()
		if err := s.Register(d.fd, Read, nil); !errors.Is(err, unix.EBADF) {
			t.Errorf("Register of a closed descriptor: %v, want EBADF", err)
		}
		if err := s.Register(math.MaxInt32, Read, nil); !errors.Is(err, unix.EBADF) && !errors.Is(err, ErrLimit) {
			t.Errorf("Register of a descriptor that was never open: %v, want EBADF", err)
		}
		file, err := os.Create(filepath.Join(t.TempDir(), "regular"))
		ok(t, err)
		defer file.Close()
		fd := int(file.Fd())
		switch err := s.Register(fd, Read, nil); s.Name() {
		case "epoll":
			if !errors.Is(err, unix.EPERM) {
				t.Errorf("Register of a regular file: %v, want EPERM", err)
			}
		default: // a regular file is always ready
			ok(t, err)
			wantFound(t, s, -1, map[int]Events{fd: Read})
			ok(t, s.Unregister(fd))
		}
		if keys := slices.Collect(s.Keys()); s.Len() != 0 || len(keys) != 0 {
			t.Errorf("after refusals: %d keys, %v; want none", s.Len(), keys)
		}
		// The number that was refused is free to be used.
		r, w := newPipe(t)
		ok(t, s.Register(r, Read, nil))
		write(t, w, "x")
		wantFound(t, s, 0, map[int]Events{r: Read})
	})
}

func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if k, ok := s.Key(0); ok || s.Len() != 0 {
			t.Errorf("empty: Key(0) = %v, %v, Len() = %d", k, ok, s.Len())
		}
		if _, ok := s.Key(-1); ok {
			t.Error("Key(-1) exists")
		}
		a, b := newPair(t)
		c, d := newPair(t)
		want := []Key{{a.fd, Read, "a"}, {b.fd, Write, nil}, {c.fd, both, 3}, {d.fd, Read, &s}}
		for _, k := range slices.Backward(want) {
			ok(t, s.Register(k.FD, k.Events, k.Data))
		}
		slices.SortFunc(want, func(x, y Key) int { return x.FD - y.FD })
		if got := slices.Collect(s.Keys()); !slices.Equal(got, want) {
			t.Errorf("Keys() = %v, want %v", got, want)
		}
		for k := range s.Keys() { // changed while ranging; ended early
			ok(t, s.Unregister(k.FD))
			if s.Len() == 1 {
				break
			}
		}
		if got := slices.Collect(s.Keys()); !slices.Equal(got, want[3:]) {
			t.Errorf("Keys() = %v, want %v", got, want[3:])
		}
	})
}

func TestModify(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := newPair(t)
		write(t, b.fd, "x")
		ok(t, s.Register(a.fd, Read, 1))
		for _, row := range []struct {
			events Events
			data   any
		}{{Write, 2}, {both, 3}, {both, 4}, {Read, 5}, {Read, nil}} {
			ok(t, s.Modify(a.fd, row.events, row.data))
			ready, err := s.Select(-1, nil)
			want := Ready{Key{a.fd, row.events, row.data}, row.events}
			if err != nil || len(ready) != 1 || ready[0] != want {
				t.Errorf("after Modify(%v, %v): %v, %v; want %v", row.events, row.data, ready, err, want)
			}
		}
	})
}

// With the same events no system call is made: not even one that would find the descriptor closed.
func TestModifySameEvents(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, _ := newPair(t)
		ok(t, s.Register(a.fd, Read, "old"))
		a.close()
		if err := s.Modify(a.fd, Read, "new"); err != nil {
			t.Errorf("Modify of the data alone: %v", err)
		}
		if k, _ := s.Key(a.fd); k.Data != "new" {
			t.Errorf("data is %v, want new", k.Data)
		}
		if err := s.Modify(a.fd, both, "newer"); !errors.Is(err, unix.EBADF) {
			t.Errorf("Modify of the events of a closed descriptor: %v, want EBADF", err)
		}
		if k, _ := s.Key(a.fd); k != (Key{a.fd, Read, "new"}) {
			t.Errorf("after a refused Modify the key is %v", k)
		}
		ok(t, s.Unregister(a.fd))
	})
}

func TestTimeout(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		for _, registered := range []bool{false, true} {
			if registered {
				r, _ := newPipe(t)
				ok(t, s.Register(r, Read, nil))
			}
			for _, d := range []time.Duration{0, 1, 999, 50 * time.Microsecond, 1100 * time.Microsecond,
				30*time.Millisecond + 1} {
				start := time.Now()
				ready, err := s.Select(d, nil)
				took := time.Since(start)
				if err != nil || len(ready) != 0 {
					t.Fatalf("Select(%v) = %v, %v; want nothing", d, ready, err)
				}
				if took < d {
					t.Errorf("Select(%v) waited only %v", d, took)
				}
				if took > d+2*time.Second {
					t.Errorf("Select(%v) waited %v", d, took)
				}
			}
		}
	})
}

// A wait of 100 µs that became 1 ms would show here as 100 ms.
func TestTimeoutKeepsMicroseconds(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if !fine(s) {
			t.Skip("the system call takes milliseconds")
		}
		best := time.Hour
		for range 20 {
			start := time.Now()
			_, err := s.Select(100*time.Microsecond, nil)
			ok(t, err)
			best = min(best, time.Since(start))
		}
		if best >= time.Millisecond {
			t.Errorf("the shortest of 20 waits of 100µs was %v", best)
		}
	})
}

// Results come at the start of what is given, are no more than fit, and the rest comes later.
func TestRoom(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		const n = 150 // more than DefaultRoom, and more than two words of a set
		for i := range n {
			r, w := newPipe(t)
			write(t, w, "x")
			ok(t, s.Register(r, Read, i))
		}
		ready, err := s.Select(-1, nil)
		if err != nil || len(ready) != DefaultRoom {
			t.Errorf("with no room given: %d results, %v; want %d", len(ready), err, DefaultRoom)
		}
		for _, room := range []int{1, 7, 64, n - 1, n, n + 1, 10 * n} {
			into := make([]Ready, 3, room+3)[3:]
			counts := make([]int, n)
			calls := 3 * n / min(room, n)
			for range calls {
				ready, err := s.Select(-1, into)
				if err != nil || len(ready) != min(room, n) {
					t.Fatalf("room for %d: %d results, %v; want %d", room, len(ready), err, min(room, n))
				}
				if &ready[0] != &into[:1][0] {
					t.Fatalf("room for %d: the results are not in what was given", room)
				}
				for _, r := range ready {
					counts[r.Data.(int)]++
				}
			}
			if low, high := slices.Min(counts), slices.Max(counts); low < 2 || high > 4 {
				t.Errorf("room for %d: in %d calls one came %d times and another %d times; want each about 3 times",
					room, calls, low, high)
			}
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := newPair(t)
		r, w := newPipe(t)
		write(t, b.fd, "x")
		write(t, w, "x")
		ok(t, s.Register(a.fd, both, nil))
		ok(t, s.Register(r, Read, nil))
		quiet, _ := newPipe(t)
		into := make([]Ready, 0, 10)
		look := func(timeout time.Duration) {
			var err error
			into, err = s.Select(timeout, into)
			ok(t, err)
		}
		events := both
		check := func(name string, f func()) {
			f()
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
		check("Select of what is ready", func() { look(-1) })
		check("Modify", func() { events ^= Read; ok(t, s.Modify(a.fd, events, nil)) })
		check("Register and Unregister", func() { ok(t, s.Register(quiet, Read, nil)); ok(t, s.Unregister(quiet)) })
		ok(t, s.Modify(a.fd, Read, nil))
		empty(t, a.fd)
		empty(t, r)
		check("a look at nothing", func() { look(0) })
		check("a wait for nothing", func() { look(time.Microsecond) })
		check("a Wake and its Select", func() { ok(t, s.Wake()); look(-1) })
	})
}

func TestSetSize(t *testing.T) {
	s, err := Open("select")
	ok(t, err)
	defer s.Close()
	r, w := newPipe(t)
	high, err := unix.FcntlInt(uintptr(r), unix.F_DUPFD_CLOEXEC, fdSetSize)
	if err != nil {
		t.Skipf("no descriptor at %d: %v", fdSetSize, err)
	}
	own(t, high)
	err = s.Register(high, Read, nil)
	want := fmt.Sprintf("selector: register descriptor %d (select): beyond what the multiplexer can hold: "+
		"select(2) holds only descriptors below %d (FD_SETSIZE); use %s", high, fdSetSize, instead)
	if !errors.Is(err, ErrLimit) || err.Error() != want {
		t.Errorf("Register(%d): %v\nwant %s", high, err, want)
	}
	// The last one that fits.
	last, err := unix.FcntlInt(uintptr(r), unix.F_DUPFD_CLOEXEC, fdSetSize-1)
	ok(t, err)
	own(t, last)
	if last != fdSetSize-1 {
		t.Skipf("descriptor %d is taken", fdSetSize-1)
	}
	ok(t, s.Register(last, Read, nil))
	write(t, w, "x")
	wantFound(t, s, -1, map[int]Events{last: Read})
}

func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, _ := newPipe(t)
		q, _ := newPipe(t)
		ok(t, s.Register(r, Read, nil))
		ok(t, s.Close())
		_, selectErr := s.Select(-1, nil)
		_, lookErr := s.Select(0, nil)
		for _, row := range []struct {
			name string
			err  error
		}{
			{"Register", s.Register(q, Read, nil)},
			{"Register with no events", s.Register(-1, 0, nil)},
			{"Modify", s.Modify(r, Write, nil)},
			{"Modify of the data", s.Modify(r, Read, nil)},
			{"Unregister", s.Unregister(r)},
			{"Unregister of an unknown one", s.Unregister(q)},
			{"Select", selectErr},
			{"Select of nothing", lookErr},
			{"Wake", s.Wake()},
			{"Close", s.Close()},
		} {
			if !errors.Is(row.err, ErrClosed) || !errors.Is(row.err, net.ErrClosed) || !errors.Is(row.err, os.ErrClosed) {
				t.Errorf("%s after Close: %v, want ErrClosed, which is net.ErrClosed and os.ErrClosed", row.name, row.err)
			}
		}
		if _, has := s.Key(r); has || s.Len() != 0 || len(slices.Collect(s.Keys())) != 0 {
			t.Errorf("after Close: %d keys, want none", s.Len())
		}
		if _, err := unix.FcntlInt(uintptr(r), unix.F_GETFD, 0); err != nil {
			t.Errorf("Close closed a registered descriptor: %v", err)
		}
	})
}

func TestEventsString(t *testing.T) {
	for e, want := range map[Events]string{0: "none", Read: "read", Write: "write", both: "read|write", Hangup: "hangup",
		9: "Events(0x9)"} {
		if got := e.String(); got != want {
			t.Errorf("Events(%d).String() = %q, want %q", uint8(e), got, want)
		}
	}
}
