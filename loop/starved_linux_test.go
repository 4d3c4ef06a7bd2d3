package loop_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/portion"
	"github.com/plexor-go/plexor/loop"
	"golang.org/x/sys/unix"
)

// A loop whose thread does not get the processor, while others of the process do, is not held by its handler.
func TestStarvedThreadIsNoStall(t *testing.T) {
	before := runtime.GOMAXPROCS(4) // the monitor needs one too
	defer runtime.GOMAXPROCS(before)
	each(t, func(t *testing.T, driver string) {
		oneOfAll(t, driver)
		const limit = 200 * time.Millisecond
		reports := make(chan loop.Stall, 10)
		r := run(t, loop.Options{Driver: driver, Stall: limit, OnStall: func(s loop.Stall) { reports <- s }})
		got := starve(t, 500*time.Millisecond, r.do)
		if got > limit/2 {
			t.Skipf("the thread was not starved: it ran for %v, as the other one did not get the processor either", got)
		}
		if n := r.Stats().Stalls; n != 0 {
			t.Errorf("%d stalls counted", n)
		}
		for len(reports) > 0 {
			s := <-reports
			t.Errorf("reported after %v, though it ran for %v alone:\n%s", s.For, got, s.Stack)
		}
	})
}

// Nor does Close give it up.
func TestStarvedThreadIsNotHeld(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	each(t, func(t *testing.T, driver string) {
		oneOfAll(t, driver)
		if driver == "virtual" {
			t.Skip("by the system's own drivers")
		}
		l, err := loop.New(loop.Options{Driver: driver})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- l.Run() }()
		closed := make(chan error, 1)
		var closing error
		got := starve(t, 1250*time.Millisecond, func(f func()) { // Close has patience for a second
			if err := l.Post(func() {
				go func() { closed <- l.Close() }()
				f()
			}); err != nil {
				t.Error(err)
			}
			closing = <-closed
		})
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if got > 500*time.Millisecond {
			t.Skipf("the thread was not starved: it ran for %v; Close: %v", got, closing)
		}
		if closing != nil {
			t.Errorf("Close: %v", closing)
		}
	})
}

// oneOfAll skips a test that takes a processor for a while on all drivers but the one of those that wait for readiness
// whose turn it is, if it is not heavy: which threads get the processor is seen above the drivers.
func oneOfAll(t *testing.T, driver string) {
	t.Helper()
	if !portion.All() && !isReadiness(driver) {
		t.Skip("by one that waits for readiness, and in CI by this one too")
	}
}

// starve has a loop do something for so long, while its thread gets next to nothing of the processor, and returns how
// much it got. do is what runs it there.
func starve(t *testing.T, d time.Duration, do func(func())) (got time.Duration) {
	t.Helper()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for i := range 1024 {
		if all.IsSet(i) {
			one.Set(i)
			break
		}
	}
	idle := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	start := make(chan struct{})
	var spinner sync.WaitGroup
	spinner.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Error(err)
		}
		<-start
		for begun := time.Now(); time.Since(begun) < d+d/10; {
		}
	})
	able := true
	do(func() {
		defer close(start)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if able = unix.SchedSetaffinity(0, &one) == nil && unix.SchedSetAttr(0, &idle, 0) == nil; !able {
			return
		}
		normal := unix.SchedAttr{Size: unix.SizeofSchedAttr}
		defer unix.SchedSetaffinity(0, &all)
		defer unix.SchedSetAttr(0, &normal, 0)
		start <- struct{}{}
		before := threadTime(t)
		for begun := time.Now(); time.Since(begun) < d; {
		}
		got = threadTime(t) - before
	})
	spinner.Wait()
	if !able {
		t.Skip("a thread can't be starved here")
	}
	return got
}

// threadTime is how long the calling thread has run.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Error(err)
	}
	return time.Duration(ts.Nano())
}
