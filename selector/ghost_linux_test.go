package selector

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A ghost is laid with a new descriptor. If there is none, Select serves the living, does not take a
// whole processor, and tries again.
func TestGhostWithoutDescriptors(t *testing.T) {
	s, err := Open("epoll")
	ok(t, err)
	defer s.Close()
	c := count(s)
	a, b := newPair(t)
	l, m := newPair(t)
	ok(t, s.Register(a.fd, Read, "ghost"))
	ok(t, s.Register(l.fd, Read, "alive"))
	write(t, b.fd, "x")
	dup(t, a.fd)
	a.close()
	ok(t, s.Unregister(a.fd))

	var limit unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 3
	ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &none))
	before := c.waits
	got := found(t, s, 100*time.Millisecond)
	waits := c.waits - before
	write(t, m.fd, "x")
	alive := found(t, s, -1)
	ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	if len(got) != 0 || waits > 150 {
		t.Errorf("without descriptors: %v in %d waits of 100ms", got, waits)
	}
	if !s.suspect {
		t.Error("the ghost was laid, without a descriptor to lay it with")
	}
	if len(alive) != 1 || alive[l.fd] != Read {
		t.Errorf("without descriptors: %v, want %d", alive, l.fd)
	}
	empty(t, l.fd)
	quiet(t, s, c)
	if s.suspect {
		t.Error("the ghost is still there")
	}
}

// Each kick is an edge, also when the counter cannot be added to.
func TestWakeWithFullCounter(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		w, err := newWaker()
		ok(t, err)
		w.close()
		switch b := s.backend.(type) {
		case *epoll:
			w = b.waker
		case *poller:
			w = b.waker
		case *selecter:
			w = b.waker
		}
		full := [8]byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		_, err = unix.Write(w.fd, full[:])
		ok(t, err)
		wantFound(t, s, 0, map[int]Events{})
		_, _ = unix.Write(w.fd, full[:]) // for those that drain
		done := selecting(s, -1)
		ok(t, s.Wake())
		wait(t, done)
	})
}

func TestWithoutPwait2(t *testing.T) {
	s, err := Open("epoll")
	ok(t, err)
	defer s.Close()
	s.backend.(*epoll).wait2 = false
	for _, d := range []time.Duration{1, time.Millisecond, time.Millisecond + 1} {
		want, longest := (d + time.Millisecond - 1).Truncate(time.Millisecond), time.Duration(0)
		for range 20 { // a signal ends the wait, and then it is over as soon as d is
			start := time.Now()
			wantFound(t, s, d, map[int]Events{})
			if longest = max(longest, time.Since(start)); longest >= want {
				break
			}
		}
		if longest < want {
			t.Errorf("Select(%v) waited %v at most, want milliseconds, rounded up", d, longest)
		}
	}
	r, w := newPipe(t)
	ok(t, s.Register(r, Read, nil))
	done := selecting(s, -1)
	write(t, w, "x")
	if o := wait(t, done); len(o.ready) != 1 {
		t.Errorf("got %v, %v", o.ready, o.err)
	}
}

// epoll_pwait2 is there since Linux 5.11, and this one is newer than that or has a filter.
func TestPwait2IsUsed(t *testing.T) {
	s, err := Open("epoll")
	ok(t, err)
	defer s.Close()
	var u unix.Utsname
	ok(t, unix.Uname(&u))
	if !s.backend.(*epoll).wait2 {
		t.Skipf("no epoll_pwait2 on Linux %s", unix.ByteSliceToString(u.Release[:]))
	}
}
