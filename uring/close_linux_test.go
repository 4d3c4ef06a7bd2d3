package uring

import (
	"runtime"
	"testing"
)

// A ring that was never enabled belongs to no thread: any may close it.
func TestCloseDisabledElsewhere(t *testing.T) {
	r, err := New(Options{Entries: 4, Flags: SetupSingleIssuer | SetupDeferTaskrun | SetupDisabled})
	if err != nil {
		t.Skipf("no such ring here: %v", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	closed := make(chan error)
	go func() { // on another thread, since this one is taken
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		closed <- r.Close()
	}()
	if err := <-closed; err != nil {
		t.Errorf("Close on another thread: %v", err)
	}
}
