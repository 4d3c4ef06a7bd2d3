//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors that are closed before they are unregistered.

// counted counts the waits, to see that Select does not spin.
type counted struct {
	backend
	waits int
}

func (c *counted) wait(hits []hit, limit time.Duration) (int, error) {
	c.waits++
	return c.backend.wait(hits, limit)
}

func count(s *Selector) *counted {
	c := &counted{backend: s.backend}
	s.backend = c
	return c
}

// quiet checks that a Select finds nothing else, and sleeps meanwhile.
func quiet(t *testing.T, s *Selector, c *counted) {
	t.Helper()
	before := c.waits
	wantFound(t, s, 30*time.Millisecond, map[int]Events{})
	if n := c.waits - before; n > 5 {
		t.Errorf("Select of 30ms asked the kernel %d times", n)
	}
}

// dup makes a duplicate that has no number that a test wants.
func dup(t *testing.T, fd int) int {
	t.Helper()
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 200)
	ok(t, err)
	return own(t, d).fd
}

// stranger makes a pipe whose reading end is fd, which is closed, and gives the writing end.
func stranger(t *testing.T, fd int) (w int) {
	t.Helper()
	p, err := pipe()
	ok(t, err)
	if p[1] == fd {
		p[1], err = unix.Dup(fd)
		ok(t, err)
	}
	if p[0] != fd {
		ok(t, unix.Dup2(p[0], fd))
		ok(t, unix.Close(p[0]))
	}
	own(t, fd)
	return own(t, p[1]).fd
}

func TestUnregisterWhatWasClosed(t *testing.T) {
	for _, row := range []struct {
		name string
		then func(t *testing.T, fd int)
	}{
		{"closed", func(*testing.T, int) {}},
		{"closed, and a pipe of the same number", func(t *testing.T, fd int) {
			stranger(t, fd)
		}},
		{"closed, and a regular file of the same number", func(t *testing.T, fd int) {
			f, err := os.Create(filepath.Join(t.TempDir(), "regular"))
			ok(t, err)
			defer f.Close()
			if int(f.Fd()) != fd {
				ok(t, unix.Dup2(int(f.Fd()), fd))
				own(t, fd)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Selector) {
				c := count(s)
				a, b := newPair(t)
				ok(t, s.Register(a.fd, Read, nil))
				write(t, b.fd, "x")
				a.close()
				row.then(t, a.fd)
				if err := s.Unregister(a.fd); err != nil {
					t.Errorf("Unregister: %v", err)
				}
				if err := s.Unregister(a.fd); !errors.Is(err, ErrNotRegistered) {
					t.Errorf("a second Unregister: %v, want ErrNotRegistered", err)
				}
				quiet(t, s, c)
			})
		})
	}
}

// The ghost: a duplicate keeps the file open, and epoll goes on reporting the number that is closed.
func TestGhost(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		c := count(s)
		a, b := newPair(t)
		l, m := newPair(t) // lives through it
		ok(t, s.Register(a.fd, Read, "ghost"))
		ok(t, s.Register(l.fd, Read, "alive"))
		write(t, b.fd, "x")
		dup(t, a.fd)
		a.close()
		reports := 0
		for range 1000 {
			got := found(t, s, 0)
			reports += len(got)
			if got[l.fd] != 0 {
				t.Fatalf("%d is not ready: %v", l.fd, got)
			}
		}
		if reports > 256 {
			t.Errorf("a closed descriptor was reported %d times", reports)
		}
		t.Logf("reported %d times", reports)
		quiet(t, s, c)
		if k, has := s.Key(a.fd); !has || k.Data != "ghost" || s.Len() != 2 {
			t.Errorf("its key is %v, %v of %d; want it kept", k, has, s.Len())
		}
		write(t, m.fd, "x")
		wantFound(t, s, -1, map[int]Events{l.fd: Read})
		empty(t, l.fd)
		ok(t, s.Unregister(a.fd))
		quiet(t, s, c)
	})
}

func TestGhostOfUnregistered(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		c := count(s)
		a, b := newPair(t)
		l, m := newPair(t)
		ok(t, s.Register(a.fd, both, "ghost"))
		ok(t, s.Register(l.fd, Read, "alive"))
		write(t, b.fd, "x")
		dup(t, a.fd)
		a.close()
		ok(t, s.Unregister(a.fd))
		quiet(t, s, c)
		// A stranger of the same number is not mistaken for it.
		w := stranger(t, a.fd)
		ok(t, s.Register(a.fd, Read, "stranger"))
		quiet(t, s, c)
		write(t, w, "x")
		write(t, m.fd, "x")
		wantFound(t, s, -1, map[int]Events{a.fd: Read, l.fd: Read})
	})
}

// The stranger of the same number comes before the ghost has been noticed.
func TestGhostAndStranger(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		c := count(s)
		a, b := newPair(t)
		ok(t, s.Register(a.fd, Read, "ghost"))
		dup(t, a.fd)
		a.close()
		w := stranger(t, a.fd)
		ok(t, s.Unregister(a.fd))
		ok(t, s.Register(a.fd, Read, "stranger"))
		write(t, b.fd, "x") // to the ghost
		quiet(t, s, c)
		write(t, w, "x")
		wantFound(t, s, -1, map[int]Events{a.fd: Read})
	})
}

// The ghost gets its own number back.
func TestGhostComesBack(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := newPair(t)
		ok(t, s.Register(a.fd, Write, "old"))
		d := dup(t, a.fd)
		a.close()
		ok(t, s.Unregister(a.fd))
		ok(t, unix.Dup2(d, a.fd))
		a.closed = false
		if err := s.Register(a.fd, Read, "new"); err != nil {
			t.Fatalf("Register: %v", err)
		}
		wantFound(t, s, 0, map[int]Events{})
		write(t, b.fd, "x")
		wantFound(t, s, -1, map[int]Events{a.fd: Read})
		ok(t, s.Unregister(a.fd))
		wantFound(t, s, 0, map[int]Events{})
	})
}

// What was found closed: its key stays, its events cannot be changed, its number can be used anew.
func TestFoundClosed(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		c := count(s)
		a, b := newPair(t)
		ok(t, s.Register(a.fd, Read, "old"))
		write(t, b.fd, "x")
		dup(t, a.fd)
		a.close()
		for range 300 {
			found(t, s, 0)
		}
		if s.Name() != "kqueue" && !s.table.at(a.fd).dead {
			t.Fatal("it has not been found")
		}
		ok(t, s.Modify(a.fd, Read, "older"))
		if err := s.Modify(a.fd, Write, nil); !errors.Is(err, unix.EBADF) {
			t.Errorf("Modify: %v, want EBADF", err)
		}
		if err := s.Register(a.fd, Read, nil); !errors.Is(err, unix.EBADF) {
			t.Errorf("Register of what is still closed: %v, want EBADF", err)
		}
		if k, _ := s.Key(a.fd); k != (Key{a.fd, Read, "older"}) {
			t.Errorf("the key is %v", k)
		}
		w := stranger(t, a.fd)
		quiet(t, s, c)
		if err := s.Modify(a.fd, Write, nil); err == nil {
			t.Error("Modify made a stranger of the same number ours")
		}
		ok(t, s.Register(a.fd, Read, "new"))
		write(t, w, "x")
		wantFound(t, s, -1, map[int]Events{a.fd: Read})
		if s.Len() != 1 {
			t.Errorf("%d keys, want 1", s.Len())
		}
		ok(t, s.Unregister(a.fd))
	})
}

// A Modify that fails on a closed descriptor finds it.
func TestModifyFindsClosed(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		c := count(s)
		a, b := newPair(t)
		ok(t, s.Register(a.fd, Read, "ghost"))
		write(t, b.fd, "x")
		dup(t, a.fd)
		a.close()
		if err := s.Modify(a.fd, both, nil); !errors.Is(err, unix.EBADF) {
			t.Errorf("Modify: %v, want EBADF", err)
		}
		quiet(t, s, c)
		ok(t, s.Unregister(a.fd))
	})
}

// The closed ones do not hide the others from a look, however little room there is.
func TestClosedHidesNothing(t *testing.T) {
	for _, room := range []int{1, 2, 10} {
		each(t, func(t *testing.T, s *Selector) {
			var ghosts, closed []*desc
			for i := range 9 {
				a, b := newPair(t)
				ok(t, s.Register(a.fd, Read, i))
				write(t, b.fd, "x")
				switch {
				case i == 5:
				case i%2 == 0: // a ghost
					dup(t, a.fd)
					ghosts = append(ghosts, a)
				default:
					closed = append(closed, a)
				}
			}
			for _, d := range append(closed, ghosts...) {
				d.close()
			}
			for _, d := range ghosts { // the keys of the others stay
				ok(t, s.Unregister(d.fd))
			}
			into, err := s.Select(0, make([]Ready, 0, room))
			if err != nil || len(into) != 1 || into[0].Data != 5 {
				t.Errorf("room for %d: %v, %v; want what has the data 5", room, into, err)
			}
		})
	}
}

// Many at once, among many that live.
func TestManyClosed(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		c := count(s)
		live, dead := map[int]Events{}, []*desc{}
		for i := range 60 {
			a, b := newPair(t)
			write(t, b.fd, "x")
			ok(t, s.Register(a.fd, Read, nil))
			if i%3 == 0 {
				live[a.fd] = Read
				continue
			}
			if i%3 == 1 {
				dup(t, a.fd)
			}
			dead = append(dead, a)
		}
		for _, d := range dead {
			d.close()
		}
		into := make([]Ready, 0, 7)
		for range 60 * 256 / 7 {
			var err error
			into, err = s.Select(-1, into)
			ok(t, err)
		}
		wantFound(t, s, 0, live)
		for fd := range live {
			ok(t, s.Modify(fd, Write, nil))
			fill(t, fd)
		}
		quiet(t, s, c)
		for k := range s.Keys() {
			ok(t, s.Unregister(k.FD))
		}
	})
}
