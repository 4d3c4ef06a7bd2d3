//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// What the portable part does with a backend that does as it is told. Time is the bubble's.

type fake struct {
	calls  []string
	limits []time.Duration
	waits  []func(hits []hit, limit time.Duration) (int, error) // one after the other; then: sleep the limit
	refuse error
	dead   map[int]bool
	kicks  int

	onPrepare func()
}

func (f *fake) call(what string) error {
	f.calls = append(f.calls, what)
	return f.refuse
}

func (f *fake) add(int, uint64, Events) error            { return f.call("add") }
func (f *fake) modify(int, uint64, Events, Events) error { return f.call("modify") }
func (f *fake) remove(int, Events) error                 { return f.call("remove") }
func (f *fake) copies() bool                             { return true }
func (f *fake) eager() bool                              { return true }
func (f *fake) kick() error                              { f.kicks++; return nil }
func (f *fake) close() error                             { return f.call("close") }

func (f *fake) prepare(int) {
	if f.onPrepare != nil {
		f.onPrepare()
	}
}

func (f *fake) wait(hits []hit, limit time.Duration) (int, error) {
	f.limits = append(f.limits, limit)
	if len(f.waits) > 0 {
		w := f.waits[0]
		f.waits = f.waits[1:]
		return w(hits, limit)
	}
	time.Sleep(limit)
	return 0, nil
}

type hauntedFake struct {
	*fake
	rebuilt [][]watch
}

func (f *hauntedFake) alive(fd int, _ uint64, _ Events) bool { return !f.dead[fd] }

func (f *hauntedFake) rebuild(keys []watch) error {
	if err := f.call("rebuild"); err != nil {
		return err
	}
	f.rebuilt = append(f.rebuilt, keys)
	return nil
}

// hits is a wait that finds these.
func these(found ...hit) func([]hit, time.Duration) (int, error) {
	return func(hits []hit, _ time.Duration) (int, error) { return copy(hits, found), nil }
}

func TestModifySameEventsCallsNothing(t *testing.T) {
	f := &fake{}
	s := newSelector("fake", f)
	ok(t, s.Register(7, Read, 1))
	ok(t, s.Modify(7, Read, 2))
	ok(t, s.Modify(7, both, 3))
	ok(t, s.Modify(7, both, 3))
	ok(t, s.Unregister(7))
	if want := []string{"add", "modify", "remove"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls %v, want %v", f.calls, want)
	}
}

// Waits that end early, or find nothing that is asked for, do not end Select; a long wait is made of
// shorter ones.
func TestTimeoutIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := newSelector("fake", f)
		ok(t, s.Register(7, Write, nil))
		nap := func(hits []hit, limit time.Duration) (int, error) { time.Sleep(limit / 3); return 0, nil }
		other := func(hits []hit, limit time.Duration) (int, error) {
			time.Sleep(limit / 2)
			return these(hit{fd: 7, events: Read})(hits, 0)
		}
		f.waits = []func([]hit, time.Duration) (int, error){these(), nap, nap, other, nap, these(hit{fd: 9, events: both})}
		start := time.Now()
		wantFound(t, s, 9*time.Second, map[int]Events{})
		if took := time.Since(start); took != 9*time.Second {
			t.Errorf("Select(9s) took %v", took)
		}
		want := []time.Duration{0, 9e9, 6e9, 4e9, 2e9, 2e9 - 666666666, 2e9 - 666666666}
		if !slices.Equal(f.limits, want) {
			t.Errorf("waits of %v, want %v", f.limits, want)
		}

		f.limits = nil
		wantFound(t, s, 60*time.Hour, map[int]Events{})
		if want := []time.Duration{0, 24 * time.Hour, 24 * time.Hour, 12 * time.Hour}; !slices.Equal(f.limits, want) {
			t.Errorf("a wait of 60h was made of %v, want %v", f.limits, want)
		}

		f.limits = nil
		f.waits = []func([]hit, time.Duration) (int, error){nap, nap, these(hit{fd: 7, events: both})}
		wantFound(t, s, -5, map[int]Events{7: Write})
		if want := []time.Duration{0, -5, -5}; !slices.Equal(f.limits, want) {
			t.Errorf("a wait for ever was made of %v, want %v", f.limits, want)
		}
	})
}

// A Wake that comes after the look, and before the wait could be kicked, is not slept over.
func TestWakeBetweenLookAndWait(t *testing.T) {
	f := &fake{}
	s := newSelector("fake", f)
	f.onPrepare = func() {
		if len(f.limits) == 1 { // the look is over
			ok(t, s.Wake())
		}
	}
	wantFound(t, s, time.Hour, map[int]Events{})
	if want := []time.Duration{0, 0}; !slices.Equal(f.limits, want) || f.kicks != 0 {
		t.Errorf("waits of %v and %d kicks, want %v and none", f.limits, f.kicks, want)
	}
}

// Between Close and the end of the Select that it ends, another Select is told of the Close; and the
// backend is not closed under the first.
func TestSelectWhileClosing(t *testing.T) {
	f := &fake{}
	s := newSelector("fake", f)
	inside, leave := make(chan bool), make(chan bool)
	f.waits = []func([]hit, time.Duration) (int, error){func([]hit, time.Duration) (int, error) {
		inside <- true
		<-leave
		return 0, nil
	}}
	first, closed := make(chan error), make(chan error)
	go func() {
		_, err := s.Select(-1, nil)
		first <- err
	}()
	<-inside
	if _, err := s.Select(-1, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("a second Select: %v, want ErrBusy", err)
	}
	go func() { closed <- s.Close() }()
	for !s.closed.Load() {
		runtime.Gosched()
	}
	if _, err := s.Select(-1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a second Select while closing: %v, want ErrClosed", err)
	}
	leave <- true
	if err := <-first; !errors.Is(err, ErrClosed) {
		t.Errorf("the Select that was closed: %v, want ErrClosed", err)
	}
	ok(t, <-closed)
	if !slices.Equal(f.calls, []string{"close"}) {
		t.Errorf("calls %v, want the close", f.calls)
	}
}

// The system call's error surfaces, and no result comes with it.
func TestWaitFails(t *testing.T) {
	f := &fake{waits: []func([]hit, time.Duration) (int, error){
		func([]hit, time.Duration) (int, error) { return 0, unix.EINVAL },
	}}
	s := newSelector("fake", f)
	ready, err := s.Select(-1, nil)
	if !errors.Is(err, unix.EINVAL) || len(ready) != 0 || err.Error() != "selector: select (fake): invalid argument" {
		t.Errorf("got %v, %v; want EINVAL", ready, err)
	}
}

// What a backend without marks finds of a descriptor that was registered during the wait is its
// predecessor's.
func TestLateNewsWithoutMarks(t *testing.T) {
	f := &fake{}
	s := newSelector("fake", f)
	ok(t, s.Register(7, Read, "old"))
	f.waits = []func([]hit, time.Duration) (int, error){
		func(hits []hit, _ time.Duration) (int, error) {
			ok(t, s.Unregister(7))
			ok(t, s.Register(7, Read, "new"))
			return these(hit{fd: 7, events: Read})(hits, 0)
		},
		func(hits []hit, _ time.Duration) (int, error) {
			ok(t, s.Modify(7, Write, "newer"))
			return these(hit{fd: 7, events: Read})(hits, 0)
		},
		these(hit{fd: 7, events: both}),
	}
	ready, err := s.Select(-1, nil)
	if want := (Ready{Key{7, Write, "newer"}, Write}); err != nil || len(ready) != 1 || ready[0] != want {
		t.Errorf("got %v, %v; want %v", ready, err, want)
	}
	if len(f.waits) != 0 || f.kicks != 1 { // the first wait is a look, which needs no kick
		t.Errorf("%d waits are left, and %d kicks; want 0 and 1", len(f.waits), f.kicks)
	}
}

func TestMarks(t *testing.T) {
	f := &hauntedFake{fake: &fake{dead: map[int]bool{}}}
	s := newSelector("fake", f)
	for fd := range 4 {
		ok(t, s.Register(fd, Read, nil)) // serials 1 to 4
	}
	// A late event of what was unregistered without trouble is dropped; nothing is rebuilt.
	ok(t, s.Unregister(3))
	f.waits = append(f.waits, these(hit{fd: 3, id: 4, events: Read}, hit{fd: 0, id: 99, events: Read},
		hit{fd: 1, id: 2, events: Read}))
	wantFound(t, s, -1, map[int]Events{1: Read})
	if len(f.rebuilt) != 0 {
		t.Errorf("rebuilt with %v", f.rebuilt)
	}
	// Of one that could not be removed, it is a ghost's.
	f.refuse = unix.ENOENT
	ok(t, s.Unregister(2))
	f.refuse = nil
	f.dead[0] = true
	f.waits = append(f.waits, these(hit{fd: 2, id: 3, events: Read}, hit{fd: 1, id: 2, events: Read}))
	wantFound(t, s, -1, map[int]Events{1: Read})
	if len(f.rebuilt) != 1 || !slices.Equal(f.rebuilt[0], []watch{{1, 2, Read}}) {
		t.Errorf("rebuilt with %v, want once with 1: 0 is dead", f.rebuilt)
	}
	if _, has := s.Key(0); !has {
		t.Error("the key of what is dead is lost")
	}
	// A rebuild that fails is tried again, and the results are there all the same.
	f.refuse = unix.ENOENT
	ok(t, s.Unregister(1))
	f.refuse = unix.EMFILE
	f.waits = append(f.waits, these(hit{fd: 1, id: 2, events: Read}))
	wantFound(t, s, 0, map[int]Events{})
	f.refuse = nil
	f.waits = append(f.waits, these(hit{fd: 1, id: 2, events: Read}))
	wantFound(t, s, 0, map[int]Events{})
	if len(f.rebuilt) != 2 || len(f.rebuilt[1]) != 0 || s.suspect {
		t.Errorf("rebuilt with %v, want a second time with none", f.rebuilt)
	}
}

// A Register that the kernel refuses in place of a dead one leaves the dead one.
func TestRegisterOverDead(t *testing.T) {
	f := &fake{waits: []func([]hit, time.Duration) (int, error){these(hit{fd: 5, events: vanished})}}
	s := newSelector("fake", f)
	ok(t, s.Register(5, Read, "old"))
	wantFound(t, s, 0, map[int]Events{})
	f.refuse = unix.EBADF
	if err := s.Register(5, Read, "new"); !errors.Is(err, unix.EBADF) {
		t.Errorf("Register: %v, want EBADF", err)
	}
	if k, _ := s.Key(5); k.Data != "old" {
		t.Errorf("the key is %v, want the old one", k)
	}
	f.refuse = nil
	ok(t, s.Register(5, Write, "new"))
	if k, _ := s.Key(5); s.Len() != 1 || k != (Key{5, Write, "new"}) {
		t.Errorf("%d keys, %v; want the new one", s.Len(), k)
	}
}
