package tcp_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// A trial is a script's testing.TB for one of several tries: a busy machine lets time pass where a script has none, and
// the kernel's timers go on meanwhile.
type trial struct {
	testing.TB
	mu       sync.Mutex
	failed   bool
	skipped  bool
	says     string
	cleanups []func()
}

// try runs f, and returns what it has failed with, "": nothing, and whether it was skipped.
func try(t testing.TB, f func(t testing.TB)) (says string, skipped bool) {
	x := &trial{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(x.cleanups) - 1; i >= 0; i-- {
				x.cleanups[i]()
			}
		}()
		f(x)
	}()
	<-done
	if !x.failed && !x.skipped {
		return "", false
	}
	return x.says, x.skipped && !x.failed
}

func (x *trial) note(failed bool, text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed = x.failed || failed
	x.says += text + "\n"
}

func (x *trial) Error(args ...any)                 { x.note(true, fmt.Sprint(args...)) }
func (x *trial) Errorf(format string, args ...any) { x.note(true, fmt.Sprintf(format, args...)) }
func (x *trial) Fatal(args ...any)                 { x.Error(args...); runtime.Goexit() }
func (x *trial) Fatalf(format string, args ...any) { x.Errorf(format, args...); runtime.Goexit() }
func (x *trial) Cleanup(f func())                  { x.cleanups = append(x.cleanups, f) }

func (x *trial) Skip(args ...any) {
	x.note(false, fmt.Sprint(args...))
	x.skipped = true
	runtime.Goexit()
}

func (x *trial) Skipf(format string, args ...any) { x.Skip(fmt.Sprintf(format, args...)) }

// TestTry holds what a try tells.
func TestTry(t *testing.T) {
	order := ""
	for want, f := range map[string]func(t testing.TB){
		"":             func(testing.TB) {},
		"7 and 8\n9\n": func(t testing.TB) { t.Errorf("%d and %d", 7, 8); t.Error(9) },
		"it ends\n": func(t testing.TB) {
			t.Cleanup(func() { order += "b" })
			t.Cleanup(func() { order += "a" })
			t.Fatal("it ends")
			order += "never"
		},
	} {
		if got, skipped := try(t, f); got != want || skipped {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
	if says, skipped := try(t, func(t testing.TB) { t.Skipf("no %d", 1) }); says != "no 1\n" || !skipped {
		t.Errorf("of what was skipped it says %q, %v", says, skipped)
	}
	if order != "ab" {
		t.Errorf("what came at the end: %q", order)
	}
}
