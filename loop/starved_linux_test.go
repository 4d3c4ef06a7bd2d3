package loop_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/loop"
	"golang.org/x/sys/unix"
)

// A loop whose thread does not get the processor, while others of the process do, is not held by its handler.
func TestStarvedThreadIsNoStall(t *testing.T) {
	before := runtime.GOMAXPROCS(4) // the monitor needs one too
	defer runtime.GOMAXPROCS(before)
	each(t, func(t *testing.T, driver string) {
		oneOfReady(t, driver)
		const limit = 200 * time.Millisecond
		reports := make(chan loop.Stall, 10)
		r := run(t, loop.Options{Driver: driver, Stall: limit, OnStall: func(s loop.Stall) { reports <- s }})
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
		start := make(chan struct{})
		var got time.Duration // of the processor, for the loop's thread
		var spinner sync.WaitGroup
		spinner.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				t.Error(err)
			}
			<-start
			for begun := time.Now(); time.Since(begun) < time.Second; {
			}
		})
		r.do(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			idle, normal := unix.SchedAttr{Size: unix.SizeofSchedAttr,
				Policy: unix.SCHED_IDLE}, unix.SchedAttr{Size: unix.SizeofSchedAttr}
			if unix.SchedSetaffinity(0, &one) != nil || unix.SchedSetAttr(0, &idle, 0) != nil {
				t.Skip("a thread can't be starved here")
			}
			defer unix.SchedSetaffinity(0, &all)
			defer unix.SchedSetAttr(0, &normal, 0)
			close(start)
			before := threadTime(t)
			for begun := time.Now(); time.Since(begun) < 900*time.Millisecond; {
			}
			got = threadTime(t) - before
		})
		spinner.Wait()
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

// threadTime is how long the calling thread has run.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Error(err)
	}
	return time.Duration(ts.Nano())
}
