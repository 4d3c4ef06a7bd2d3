package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
)

// TestMain runs the child of a test if it is one, and else looks for what the tests left behind: goroutines,
// descriptors, mappings, pins.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	raiseLimit()
	os.Exit(leak.Main(m, kept))
}

// kept tells of mappings and pins.
func kept() string {
	if n := known.len(); n > 0 {
		return fmt.Sprintf("%d mappings", n)
	}
	if n := pins.n.Load(); n > 0 {
		return fmt.Sprintf("%d pins", n)
	}
	if maps, _ := os.ReadFile("/proc/self/maps"); strings.Contains(string(maps), "[io_uring]") {
		return "a ring's mappings:\n" + string(maps)
	}
	return ""
}

func raiseLimit() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// skipUnless leaves a test out where the system does not have what it is about.
func skipUnless(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EINVAL) {
		t.Skipf("not here: %v", err)
	}
	ok(t, err)
}

// newRing makes a ring on the test's thread, closed at its end.
func newRing(t testing.TB, o Options) *Ring {
	t.Helper()
	runtime.LockOSThread() // a test's goroutine ends with it, and the thread with the goroutine
	r, err := New(o)
	skipUnless(t, err)
	t.Cleanup(func() { ok(t, r.Close()) })
	return r
}

// loopOptions are what an event loop uses.
func loopOptions() Options {
	return Options{Entries: 64, CQEntries: 256, Flags: SetupSingleIssuer | SetupDeferTaskrun, RegisterRing: true}
}

// kinds are the ways to set up a ring that operations are tested on.
var kinds = []struct {
	name string
	o    Options
}{
	{"plain", Options{Entries: 64}},
	{"loop", loopOptions()},
	{"coop", Options{Entries: 64, Flags: SetupCoopTaskrun | SetupTaskrunFlag}},
	{"sqpoll", Options{Entries: 64, Flags: SetupSQPoll, SQThreadIdle: 10}},
}

func onEach(t *testing.T, test func(t *testing.T, r *Ring)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, newRing(t, k.o)) })
	}
}

// needs leaves a test out where the kernel lacks an operation.
func needs(t testing.TB, r *Ring, ops ...Op) {
	t.Helper()
	for _, op := range ops {
		if !r.Supports(op) {
			t.Skipf("this kernel has no %v (Linux %s)", op, op.Since())
		}
	}
}

// get gives an entry with that user data.
func get(t testing.TB, r *Ring, userData uint64) *SQE {
	t.Helper()
	s, err := r.NextSQE()
	ok(t, err)
	s.UserData = userData
	return s
}

// next waits for a completion and takes it.
func next(t testing.TB, r *Ring) CQE {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := r.SubmitAndWait(1, 10*time.Second)
		ok(t, err)
		if c := r.Peek(); c != nil {
			got := *c
			r.Advance(1)
			return got
		}
		if time.Now().After(deadline) {
			t.Fatal("no completion in 10 s")
		}
	}
}

// collect waits for n completions, and gives them by user data.
func collect(t testing.TB, r *Ring, n int) map[uint64]CQE {
	t.Helper()
	m := map[uint64]CQE{}
	for range n {
		c := next(t, r)
		if old, twice := m[c.UserData]; twice {
			t.Fatalf("two completions for %d: %+v and %+v", c.UserData, old, c)
		}
		m[c.UserData] = c
	}
	return m
}

// wantRes takes a completion, which must be that one.
func wantRes(t testing.TB, r *Ring, userData uint64, res int) CQE {
	t.Helper()
	c := next(t, r)
	if c.UserData != userData || int(c.Res) != res {
		t.Fatalf("completion of %d with %d (%v), want of %d with %d", c.UserData, c.Res, c.Err(), userData, res)
	}
	return c
}

// wantOK takes a completion, which must be that one and a success.
func wantOK(t testing.TB, r *Ring, userData uint64) CQE {
	t.Helper()
	c := next(t, r)
	if c.UserData != userData || c.Res < 0 {
		t.Fatalf("completion of %d with %d (%v), want of %d with success", c.UserData, c.Res, c.Err(), userData)
	}
	return c
}

// quiet sees that there is no completion: it submits, looks, and looks again a moment later.
func quiet(t testing.TB, r *Ring) {
	t.Helper()
	n, err := r.SubmitAndWait(1, 10*time.Millisecond)
	for n == 0 && err == nil { // a wait may end early
		n, err = r.SubmitAndWait(1, 10*time.Millisecond)
	}
	if n != 0 || !errors.Is(err, ErrTimeout) {
		t.Fatalf("completion %+v, error %v; want none, and ErrTimeout", r.Peek(), err)
	}
}

// bytesOf gives n bytes off the heap.
func bytesOf(t testing.TB, n int) []byte {
	t.Helper()
	m, err := Map(n)
	ok(t, err)
	t.Cleanup(func() { m.Free() })
	return m.Bytes()[:n]
}
