package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestInterrupted sends signals to a thread that waits.
func TestInterrupted(t *testing.T) {
	r := newRing(t, loopOptions())
	tid, pid := unix.Gettid(), unix.Getpid()
	var stop atomic.Bool
	done := make(chan bool)
	go func() {
		defer close(done)
		for !stop.Load() {
			_ = unix.Tgkill(pid, tid, unix.SIGURG) // what Go's own preemption uses; it takes no harm
			time.Sleep(time.Millisecond)
		}
	}()
	n, err := r.SubmitAndWait(1, 10*time.Second)
	stop.Store(true)
	<-done
	if n != 0 || err != nil {
		t.Errorf("an interrupted wait: %d, %v; want neither", n, err)
	}
}

func TestWrongThread(t *testing.T) {
	elsewhere := func(f func()) {
		done := make(chan bool)
		go func() {
			defer close(done)
			runtime.LockOSThread() // not the caller's, which is locked, too
			f()
		}()
		<-done
	}
	for _, registered := range []bool{false, true} {
		t.Run(fmt.Sprint("registered ", registered), func(t *testing.T) {
			o := loopOptions()
			o.RegisterRing = registered
			r := newRing(t, o)
			use := func(when string) {
				for _, call := range []struct {
					name string
					do   func() error
				}{
					{"SubmitAndPoll of nothing", func() error { _, err := r.SubmitAndPoll(); return err }},
					{"Wait for nothing", func() error { _, err := r.Wait(1, 10*time.Millisecond); return err }},
					{"SubmitAndWait for nothing", func() error { _, err := r.SubmitAndWait(1, time.Second); return err }},
					{"Submit", func() error { _, err := r.Submit(); return err }},
					{"SubmitAndPoll", func() error { _, err := r.SubmitAndPoll(); return err }},
					{"SubmitAndWait", func() error { _, err := r.SubmitAndWait(1, time.Second); return err }},
					{"Wait", func() error { _, err := r.Wait(1, time.Second); return err }},
					{"UnregisterFiles", r.UnregisterFiles},
					{"Close", r.Close},
				} {
					if call.name == "Submit" {
						r.SQE()
					}
					err := call.do()
					if !errors.Is(err, ErrWrongThread) || !errors.Is(err, unix.EEXIST) ||
						!strings.Contains(fmt.Sprint(err), "LockOSThread") {
						t.Errorf("%s on another thread%s: %v, want ErrWrongThread", call.name, when, err)
					}
				}
			}
			flush := func() { // what was prepared on the wrong thread is still there, and the ring works
				n := r.Prepared()
				if _, err := r.SubmitAndWait(n, time.Second); n == 0 || err != nil || r.Len() != n {
					t.Errorf("%d prepared; then %d completions, %v", n, r.Len(), err)
				}
				r.Advance(r.Len())
			}
			elsewhere(func() { use("") })
			flush()
			elsewhere(func() {
				// A thread with a ring of its own, which has the same number in its table.
				other, err := New(o)
				if err != nil {
					t.Error(err)
					return
				}
				defer other.Close()
				for range 8 {
					other.SQE()
				}
				use(" with a ring")
				if n, err := other.SubmitAndPoll(); n > 8 || err != nil {
					t.Errorf("the other thread's ring: %d, %v", n, err)
				}
			})
			flush()
		})
	}
	t.Run("ended", func(t *testing.T) {
		var r *Ring
		tid := make(chan int, 1)
		go func() {
			runtime.LockOSThread()
			tid <- unix.Gettid()
			var err error
			if r, err = New(loopOptions()); err != nil {
				t.Error(err)
			} else if _, err := r.NewBufRing(BufRingOptions{Entries: 4, Size: 64}); err != nil {
				t.Error(err)
			}
			tid <- 0
		}()
		id := <-tid
		<-tid
		for deadline := time.Now().Add(time.Minute); unix.Tgkill(unix.Getpid(), id, 0) != unix.ESRCH; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Skip("the thread does not end")
			}
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close after the ring's thread has ended: %v", err)
		}
	})
}

func TestDisabled(t *testing.T) {
	r := newRing(t, Options{Entries: 4, Flags: SetupDisabled | SetupSingleIssuer | SetupDeferTaskrun})
	get(t, r, 1).Nop()
	if _, err := r.Submit(); !errors.Is(err, ErrDisabled) || !errors.Is(err, unix.EBADFD) {
		t.Errorf("Submit to a disabled ring: %v, want ErrDisabled", err)
	}
	ok(t, r.Enable())
	ok(t, r.Register())
	if err := r.Register(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Register twice: %v, want EBUSY", err)
	}
	wantRes(t, r, 1, 0)
}

// TestEnableElsewhere: the thread that enables a ring is the one that it belongs to.
func TestEnableElsewhere(t *testing.T) {
	runtime.LockOSThread()
	r, err := New(Options{Entries: 4, Flags: SetupDisabled | SetupSingleIssuer | SetupDeferTaskrun})
	skipUnless(t, err)
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := r.Enable()
		if err == nil {
			_, err = r.SubmitAndPoll()
		}
		done <- err
		<-done
		done <- r.Close()
	}()
	if err := <-done; err != nil {
		t.Errorf("on the thread that enabled the ring: %v", err)
	}
	if err := r.Close(); !errors.Is(err, ErrWrongThread) {
		t.Errorf("Close on the thread that made it: %v, want ErrWrongThread", err)
	}
	done <- nil
	if err := <-done; err != nil {
		t.Errorf("Close on the thread that enabled it: %v", err)
	}
}

// TestRegisterMany: a ring gives its number back, of which a thread has 16.
func TestRegisterMany(t *testing.T) {
	runtime.LockOSThread()
	for i := range 40 {
		r, err := New(loopOptions())
		if err != nil {
			t.Fatalf("ring number %d: %v", i, err)
		}
		ok(t, r.Close())
	}
}

func TestClosed(t *testing.T) {
	r := newRing(t, loopOptions())
	ok(t, r.Close())
	ok(t, r.Close())
	if r.SQE() != nil || r.Peek() != nil || r.Ready() != nil || r.Len() != 0 || r.Room() != 0 || r.Overflowed() ||
		r.Pending() || r.Lost() != 0 {
		t.Error("a closed ring has entries")
	}
	for name, f := range map[string]func() error{
		"SubmitAndPoll": func() error { _, err := r.SubmitAndPoll(); return err },
		"SubmitAndWait": func() error { _, err := r.SubmitAndWait(1, -1); return err },
		"Wait":          func() error { _, err := r.Wait(1, -1); return err },
		"NextSQE":       func() error { _, err := r.NextSQE(); return err },
		"RegisterFiles": func() error { return r.RegisterFilesSparse(1) },
		"NewBufRing":    func() error { _, err := r.NewBufRing(BufRingOptions{Entries: 1, Size: 1}); return err },
	} {
		if err := f(); !errors.Is(err, ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s of a closed ring: %v, want ErrClosed", name, err)
		}
	}
}

// TestCloseInFlight closes a ring with an operation in flight: the kernel must no longer write to its memory.
func TestCloseInFlight(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			r := newRing(t, k.o)
			a, b := newPair(t)
			buf := bytesOf(t, 16)
			get(t, r, 1).Recv(a, buf, 0)
			quiet(t, r)
			fd, err := unix.FcntlInt(uintptr(r.FD()), unix.F_DUPFD_CLOEXEC, 0) // closing the ring's is not what ends it
			ok(t, err)
			own(t, fd)
			ok(t, r.Close())
			write(t, b, "late")
			if buf[0] != 0 {
				t.Error("a closed ring's receive wrote to its buffer")
			}
			got := make([]byte, 16)
			if n, _, err := unix.Recvfrom(a, got, unix.MSG_DONTWAIT); string(got[:max(n, 0)]) != "late" {
				t.Errorf("after the ring was closed the socket has %q, %v; want what was sent", got[:max(n, 0)], err)
			}
		})
	}
}
