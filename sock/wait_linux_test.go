package sock

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
)

// RecvWait waits where the socket is set to, for as long as that says, and gets descriptors as RecvFD does.
func TestRecvWait(t *testing.T) {
	a, b := pair(t)
	buf := make([]byte, 10)
	if fds, n, err := b.RecvWait(buf, 0); err != ErrWouldBlock || n != 0 || fds != nil {
		t.Errorf("on a socket that does not block: %v, %d, %v, want ErrWouldBlock itself", fds, n, err)
	}
	tv := unix.NsecToTimeval(int64(20 * time.Millisecond))
	if err := unix.SetsockoptTimeval(b.FD(), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(b.FD(), false); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for { // a signal may end it before
		if fds, n, err := b.RecvWait(buf, 1); err != ErrWouldBlock || n != 0 || fds != nil {
			t.Fatalf("with nothing there: %v, %d, %v, want ErrWouldBlock itself", fds, n, err)
		}
		if time.Since(begin) > 15*time.Millisecond {
			break
		}
	}
	before := leak.Files()
	for _, most := range []int{0, 1} {
		if _, err := a.SendFD([]int{a.FD()}, []byte("x")); err != nil {
			t.Fatal(err)
		}
		fds, n, err := b.RecvWait(buf, most)
		if len(fds) != most || n != 1 || err != nil {
			t.Errorf("room for %d: got %v, %d, %v", most, fds, n, err)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	if after := leak.Files(); after != before {
		t.Errorf("%d descriptors before and %d after", before, after)
	}
	a.CloseWrite()
	for _, most := range []int{0, 1} {
		if fds, n, err := b.RecvWait(buf, most); err != io.EOF || n != 0 || fds != nil {
			t.Errorf("at the end, room for %d: %v, %d, %v, want io.EOF", most, fds, n, err)
		}
	}
	if _, _, err := b.RecvWait(nil, 0); err == nil {
		t.Error("it took an empty buffer")
	}
}
