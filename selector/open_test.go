//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
)

func TestOpen(t *testing.T) {
	for _, name := range []string{"epol", "", "Epoll", "io_uring", "kqueue", "epoll"} {
		s, err := Open(name)
		if err == nil {
			if s.Name() != name {
				t.Errorf("Open(%q) gives %q", name, s.Name())
			}
			ok(t, s.Close())
			continue
		}
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Open(%q): %v, want ErrUnavailable", name, err)
		}
		for _, m := range makers {
			if !strings.Contains(err.Error(), m.name) {
				t.Errorf("Open(%q): %v, want it to name %s", name, err, m.name)
			}
		}
	}
}

func TestDefault(t *testing.T) {
	s, err := Default()
	ok(t, err)
	defer s.Close()
	if s.Name() != makers[0].name || s.Len() != 0 {
		t.Errorf("Default() is %s with %d keys; want %s, empty", s.Name(), s.Len(), makers[0].name)
	}
}

func TestAvailable(t *testing.T) {
	var got []string
	for _, a := range Available() {
		got = append(got, a.Name)
		here := false
		for _, m := range makers {
			here = here || m.name == a.Name
		}
		if here != (a.Err == nil) || a.Err != nil && !errors.Is(a.Err, ErrUnavailable) {
			t.Errorf("%s: %v; is it here: %v", a.Name, a.Err, here)
		}
	}
	if g := strings.Join(got, " "); g != "epoll kqueue poll select" {
		t.Errorf("Available() has %s", g)
	}
}

// With no descriptor left nothing can be opened; the reason is named, and nothing is left behind.
func TestOpenWithoutDescriptors(t *testing.T) {
	before := leak.Files()
	var limit unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	for free := range 6 { // fails at each place in turn
		low := limit
		low.Cur = 0
		for n := 0; n <= free; low.Cur++ {
			if _, err := unix.FcntlInt(uintptr(low.Cur), unix.F_GETFD, 0); err != nil {
				n++
			}
		}
		low.Cur--
		ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
		for _, m := range makers {
			s, err := Open(m.name)
			if err == nil {
				ok(t, s.Close())
				if free < 3 {
					t.Errorf("Open(%q) with %d descriptors to be had works", m.name, free)
				}
			} else if !errors.Is(err, unix.EMFILE) {
				t.Errorf("Open(%q) with %d descriptors to be had: %v, want EMFILE", m.name, free, err)
			}
		}
		if free == 0 {
			_, err := Default()
			for _, m := range makers {
				if err == nil || !strings.Contains(err.Error(), "open "+m.name) || !errors.Is(err, unix.EMFILE) {
					t.Errorf("Default() without descriptors: %v, want it to give the reason of %s", err, m.name)
				}
			}
		}
		ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	}
	if after := leak.Files(); after != before {
		t.Errorf("%d descriptors were open before, %d after", before, after)
	}
}
