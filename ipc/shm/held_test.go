//go:build linux

package shm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stopEnv is the step at which a child of these tests stops itself.
const stopEnv = "PLEXOR_SHM_STOP"

// lateItem is too long to be copied under the lock.
var lateItem = strings.Repeat("late", inline)

func init() {
	children["stop"] = func(r *Ring) error {
		runtime.LockOSThread()
		atStep = func(name string) {
			if name == os.Getenv(stopEnv) {
				atStep = nil
				_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP) // the parent sees whether it did
			}
		}
		if _, err := r.TryPut([]byte(lateItem)); err != nil {
			return err
		}
		atStep = nil
		return nil
	}
}

// stopped is a process that puts an item and is stopped at that step.
func stopped(t *testing.T, r *Ring, step string) *exec.Cmd {
	t.Helper()
	cmd := start(t, r, "stop", stopEnv+"="+step)
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // the test has failed
			_ = cmd.Wait()
		}
	})
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(cmd.Process.Pid, &ws, unix.WUNTRACED, nil)
		if err == nil && ws.Stopped() {
			return cmd
		}
		if !errors.Is(err, unix.EINTR) {
			t.Fatalf("the child was to stop at %q: %v, %#x", step, err, ws)
		}
	}
}

// goOn has a stopped process go on, or kills it, and waits for its end.
func goOn(t *testing.T, cmd *exec.Cmd, s unix.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	if err := waitFor(cmd); err != nil && s != unix.SIGKILL {
		t.Fatal(err)
	}
}

// within fails the test if f takes so long that it must be waiting for the one who is stopped.
func within(t *testing.T, what string, f func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s still waits for a process that is stopped", what)
		return nil
	}
}

// wantHeld wants an error that names the holder.
func wantHeld(t *testing.T, what string, err error, pid int, wants ...error) {
	t.Helper()
	wantErr(t, what, err, append(wants, ErrHeld)...)
	var held *HeldError
	if !errors.As(err, &held) || held.Pid != pid || !strings.Contains(err.Error(), fmt.Sprint("process ", pid)) {
		t.Errorf("%s: %v, want it to name process %d", what, err, pid)
	}
}

// heldSince makes it that the lock is held since then, as far as anybody knows.
func (r *Ring) heldSince(ago time.Duration) {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // there is that clock
	r.head.seen.Store(uint64(r.head.turn.load())<<seenTimeBits | uint64((ts.Nano()-int64(ago))/1e6))
}

// TestHeldByStopped: a process is stopped while it holds the lock. Each call ends by its context, or its limit, and
// says who it is; and when it goes on, or is killed, all is as before.
func TestHeldByStopped(t *testing.T) {
	t.Parallel()
	for _, end := range []unix.Signal{unix.SIGCONT, unix.SIGKILL} {
		t.Run(unix.SignalName(end), func(t *testing.T) {
			r := make1(t, Options{Slots: 4, SlotSize: len(lateItem)})
			put(t, r, "a")
			items := get(t, r, 1, "a")
			put(t, r, "b")
			cmd := stopped(t, r, "lock: taken")
			for what, call := range map[string]func(ctx context.Context) error{
				"Put":  func(ctx context.Context) error { _, err := r.Put(ctx, []byte("c")); return err },
				"Get":  func(ctx context.Context) error { _, err := r.Get(ctx, make([]Item, 1), nil); return err },
				"Join": r.Join,
			} {
				ctx, cancel := context.WithTimeout(background, 100*time.Millisecond)
				err := within(t, what, func() error { return call(ctx) })
				wantHeld(t, what, err, cmd.Process.Pid, context.DeadlineExceeded)
				cancel()
				cause := errors.New("a cause")
				for wait := 10 * time.Millisecond; ; wait *= 2 {
					ctx, cancel := context.WithCancelCause(background)
					time.AfterFunc(wait, func() { cancel(cause) })
					err := within(t, what, func() error { return call(ctx) })
					if !errors.Is(err, ErrHeld) && errors.Is(err, cause) && wait < 10*time.Second {
						continue // it ended before the call had begun, on a busy machine
					}
					wantHeld(t, what, err, cmd.Process.Pid, cause)
					break
				}
			}
			r.heldSince(time.Minute)
			for what, call := range map[string]func() error{
				"TryPut": func() error { _, err := r.TryPut([]byte("c")); return err },
				"TryGet": func() error { _, err := r.TryGet(make([]Item, 1), nil); return err },
				"Done":   func() error { return r.Done(items...) },
				"Return": func() error { return r.Return(items...) },
				"End":    r.End,
				"Stats":  func() error { _, err := r.Stats(); return err },
				"Open": func() error {
					f, err := r.File()
					if err == nil {
						defer func() { _ = f.Close() }() // only to open it
						_, err = OpenFile(f)
					}
					return err
				},
			} {
				wantHeld(t, what, within(t, what, call), cmd.Process.Pid)
			}
			goOn(t, cmd, end)
			done(t, r, items...)
			want := []string{"b", lateItem}
			if end == unix.SIGKILL {
				want = want[:1]
			}
			done(t, r, get(t, r, 3, want...)...)
			for s, want := (Stats{}), (Stats{Free: 4, Parties: 1}); s != want; { // the dead are noticed by who waits
				ctx, cancel := context.WithTimeout(background, CheckInterval)
				wantErr(t, "wait", r.WaitItem(ctx), context.DeadlineExceeded)
				cancel()
				var err error
				if s, err = r.Stats(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestHeldIsTold: who waits without a limit says so in the log, once.
func TestHeldIsTold(t *testing.T) {
	r := make1(t, Options{})
	o := another(t, r)
	var log bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	cmd := stopped(t, r, "lock: taken")
	r.heldSince(time.Minute)
	for range 2 {
		ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
		_, err := r.Put(ctx, []byte("a"))
		wantHeld(t, "Put", err, cmd.Process.Pid)
		cancel()
	}
	var held *HeldError
	if _, err := o.TryPut(nil); !errors.As(err, &held) || held.For < time.Minute {
		t.Errorf("%v: want a holder for a minute at least", err)
	}
	if n := strings.Count(log.String(), fmt.Sprintf("pid=%d party=2 for=1m0", cmd.Process.Pid)); n != 1 {
		t.Errorf("it was told %d times, want once:\n%s", n, log.String())
	}
	goOn(t, cmd, unix.SIGKILL)
}

// TestStoppedWhileCopying: a process that is stopped between the reservation of its slots and their publication holds
// nobody up. Its item comes when it goes on, and if it is killed its slots are free again.
func TestStoppedWhileCopying(t *testing.T) {
	for _, end := range []unix.Signal{unix.SIGCONT, unix.SIGKILL} {
		t.Run(unix.SignalName(end), func(t *testing.T) {
			r := make1(t, Options{Slots: 3, SlotSize: len(lateItem)})
			cmd := stopped(t, r, "put: an item copied")
			put(t, r, "a", "b")
			_, err := r.TryPut([]byte("c"))
			wantErr(t, "the slot of the one that is stopped", err, ErrFull)
			done(t, r, get(t, r, 3, "a", "b")...)
			goOn(t, cmd, end)
			if end == unix.SIGCONT {
				done(t, r, get(t, r, 3, lateItem)...)
			}
			ctx, cancel := context.WithTimeout(background, 20*time.Second)
			defer cancel()
			if err := r.WaitRoom(ctx, 3*len(lateItem)); err != nil {
				t.Error(err)
			}
			put(t, r, "a", "b", "c")
		})
	}
}

// TestPutGivenUp: a Put whose context ends while another is stopped with the lock, between its own reservation and
// publication, has put nothing, and its slots are free when the other goes on, though nobody calls.
func TestPutGivenUp(t *testing.T) {
	r := make1(t, Options{Slots: 2, SlotSize: len(lateItem)})
	o := another(t, r)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	var cmd *exec.Cmd
	defer func() { atStep = nil }()
	atStep = func(name string) {
		if name == "put: an item copied" {
			atStep = nil
			cmd = stopped(t, r, "lock: taken")
			cancel()
		}
	}
	n, err := r.Put(ctx, make([]byte, inline+1))
	if n != 0 {
		t.Errorf("put %d, with %v", n, err)
	}
	wantHeld(t, "Put", err, cmd.Process.Pid, context.Canceled)
	goOn(t, cmd, unix.SIGCONT)
	get(t, o, 2, lateItem)
	late, stop := context.WithTimeout(background, 20*time.Second)
	defer stop()
	if err := o.WaitRoom(late, 1); err != nil {
		t.Error(err)
	}
	for tidying := true; tidying; runtime.Gosched() { // who looks at atStep
		r.mu.Lock()
		tidying = r.tidying
		r.mu.Unlock()
	}
}

// TestCloseWhileHeld: Close ends though another is stopped with the lock, and what this Ring had goes to others.
func TestCloseWhileHeld(t *testing.T) {
	r := make1(t, Options{Slots: 2, SlotSize: len(lateItem)})
	o := another(t, r)
	put(t, r, "a")
	get(t, o, 1, "a")
	cmd := stopped(t, r, "lock: taken")
	waiting := make(chan error)
	go func() {
		_, err := o.Get(background, make([]Item, 1), nil)
		waiting <- err
	}()
	r.heldSince(time.Minute)
	if err := within(t, "Close", o.Close); err != nil {
		t.Error(err)
	}
	wantErr(t, "Get of a Ring that is closed", <-waiting, ErrClosed)
	goOn(t, cmd, unix.SIGKILL)
	ctx, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	items := make([]Item, 1)
	if _, err := r.Get(ctx, items, nil); err != nil || string(items[0].Data) != "a" {
		t.Errorf("got %q, %v, want what the closed one had", items[0].Data, err)
	}
}

// TestCallsWhileClosing: while Close waits for the lock, which a stopped party has, all calls on the Ring fail with
// ErrClosed, and none waits beside it for memory that is about to be unmapped.
func TestCallsWhileClosing(t *testing.T) {
	t.Parallel()
	r := make1(t, Options{Slots: 2, SlotSize: len(lateItem)})
	o := another(t, r)
	put(t, r, "a")
	cmd := stopped(t, r, "lock: taken")
	closed := make(chan error, 1)
	go func() { closed <- o.Close() }()
	for !o.closed.Load() {
		runtime.Gosched()
	}
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for ; len(closed) == 0; <-tick.C {
		_, err := o.TryGet(make([]Item, 1), nil)
		wantErr(t, "TryGet while it is being closed", err, ErrClosed)
		if t.Failed() {
			break
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	goOn(t, cmd, unix.SIGKILL)
}

// TestEndWhileCopying: what is not published when the ring ends is not put, since consumers may have seen the end.
func TestEndWhileCopying(t *testing.T) {
	r := make1(t, Options{Slots: 3 << 10 / 64, SlotSize: 64})
	o := another(t, r)
	defer func() { atStep = nil }()
	atStep = func(name string) {
		if name == "put: a slot filled" {
			atStep = nil
			if err := o.End(); err != nil {
				t.Error(err)
			}
		}
	}
	n, err := r.Put(background, make([]byte, 3<<10))
	if n != 0 {
		t.Errorf("put %d after the end", n)
	}
	wantErr(t, "put after the end", err, ErrEnded)
	if s, err := r.Stats(); s.Free != 3<<10/64 || s.Ready != 0 {
		t.Errorf("%+v, %v: want all slots free", s, err)
	}
}
