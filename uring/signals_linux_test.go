package uring

import (
	"os"
	"os/signal"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestSignalBlock: a signal sent to the thread waits until Unblock, and comes then.
func TestSignalBlock(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	came := make(chan os.Signal, 1)
	signal.Notify(came, unix.SIGUSR1)
	defer signal.Stop(came)
	pending := func() bool {
		var set [2]uint64
		_, _, errno := unix.RawSyscall(unix.SYS_RT_SIGPENDING, uintptr(unsafe.Pointer(&set)), 8, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		return set[0]&(1<<(unix.SIGUSR1-1)) != 0
	}
	var b SignalBlock
	b.Block()
	err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGUSR1)
	waits := pending()
	b.Unblock()
	if err != nil || !waits {
		t.Fatalf("a signal while signals are blocked: %v, pending %v; want it to wait", err, waits)
	}
	if <-came; pending() {
		t.Error("the signal came, and waits still")
	}
	b.Unblock() // once more changes nothing
}
