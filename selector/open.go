package selector

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Availability says whether a multiplexer can be used here.
type Availability struct {
	Name string
	Err  error // nil: it can; else why not
}

// names are all that there are on any system, best first.
var names = []string{"epoll", "kqueue", "poll", "select"}

// maker makes one of this system's backends.
type maker struct {
	name string
	make func() (backend, error)
}

// Default opens the best multiplexer that works here: epoll, kqueue, poll or select. It finds out by
// using each as [Open] does. Its error names the reason for each of them.
func Default() (*Selector, error) {
	if len(makers) == 0 {
		return nil, fmt.Errorf("selector: %w on %s", ErrUnavailable, runtime.GOOS)
	}
	var errs []error
	for _, m := range makers {
		s, err := m.open()
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// Open opens the multiplexer of that name: "epoll", "kqueue", "poll" or "select". It is tried before it
// is handed out: it has to find a pipe readable, which takes two more descriptors for a moment. What is
// missing, forbidden (by a seccomp filter) or exhausted (descriptors) shows here, and the error carries
// the reason. For a name that does not exist here the error is [ErrUnavailable], and says which do.
func Open(name string) (*Selector, error) {
	for _, m := range makers {
		if m.name == name {
			return m.open()
		}
	}
	what := "called so"
	if slices.Contains(names, name) {
		what = "on " + runtime.GOOS
	}
	var have []string
	for _, m := range makers {
		have = append(have, m.name)
	}
	if have == nil {
		have = []string{"none at all"}
	}
	return nil, fmt.Errorf("selector: open %q: %w %s; there is %s", name, ErrUnavailable, what, strings.Join(have, ", "))
}

// Available tries every multiplexer that there is on any system, best first, as [Open] does.
func Available() []Availability {
	list := make([]Availability, 0, len(names))
	for _, name := range names {
		a := Availability{Name: name}
		if slices.ContainsFunc(makers, func(m maker) bool { return m.name == name }) {
			var s *Selector
			if s, a.Err = Open(name); a.Err == nil {
				a.Err = s.Close()
			}
		} else {
			a.Err = fmt.Errorf("%w on %s", ErrUnavailable, runtime.GOOS)
		}
		list = append(list, a)
	}
	return list
}

func (m maker) open() (*Selector, error) {
	b, err := m.make()
	if err != nil {
		return nil, fmt.Errorf("selector: open %s: %w", m.name, err)
	}
	s := newSelector(m.name, b)
	if err := s.probe(); err != nil {
		s.Close()
		return nil, fmt.Errorf("selector: open %s: it does not work here: %w", m.name, err)
	}
	return s, nil
}

// probe uses the Selector once: a descriptor that is ready must be found, by a look and by a wait.
func (s *Selector) probe() error {
	fd, events, done, err := somethingReady()
	if err != nil {
		return err
	}
	defer done()
	if err := s.Register(fd, events, nil); err != nil {
		return err
	}
	for _, timeout := range []time.Duration{0, time.Second} {
		ready, err := s.Select(timeout, nil)
		if err != nil {
			return err
		}
		if len(ready) != 1 || ready[0].FD != fd || ready[0].Ready != events {
			return fmt.Errorf("descriptor %d is ready to %v, and Select says %v", fd, events, ready)
		}
	}
	return s.Unregister(fd)
}
