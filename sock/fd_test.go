//go:build linux || darwin || freebsd || netbsd || openbsd

package sock

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
)

func pair(t testing.TB) (a, b Socket) {
	t.Helper()
	p, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p[0].Close(); p[1].Close() })
	return p[0], p[1]
}

// A file opened on one side is read on the other, and the sender's own stays open.
func TestSendFD(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("what is in the file"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, b := pair(t)
	if fds, n, err := b.RecvFD(make([]byte, 10), 1); fds != nil || n != 0 || err != ErrWouldBlock {
		t.Errorf("RecvFD with nothing there: got %v, %d, %v, want ErrWouldBlock itself", fds, n, err)
	}
	if n, err := a.SendFD([]int{int(f.Fd())}, []byte("take")); n != 4 || err != nil {
		t.Fatalf("SendFD: got %d, %v, want 4", n, err)
	}
	awaitReadable(t, b)
	buf := make([]byte, 10)
	fds, n, err := b.RecvFD(buf, 1)
	if err != nil || len(fds) != 1 || string(buf[:n]) != "take" {
		t.Fatalf("RecvFD: got %v, %q, %v, want one descriptor and take", fds, buf[:n], err)
	}
	if fl, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0); err != nil || fl&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags: %#x, %v, want FD_CLOEXEC in it", fl, err)
	}
	g := os.NewFile(uintptr(fds[0]), "received")
	defer g.Close()
	if got, err := io.ReadAll(g); err != nil || string(got) != "what is in the file" {
		t.Errorf("read through it: got %q, %v", got, err)
	}
	if _, err := f.Stat(); err != nil {
		t.Errorf("the sender's own: %v, want it open", err)
	}

	// Data without descriptors goes the same ways.
	if n, err := a.SendFD(nil, []byte("plain")); n != 5 || err != nil {
		t.Errorf("SendFD of none: got %d, %v, want 5", n, err)
	}
	if fds, n, err := b.RecvFD(buf, 1); len(fds) != 0 || n != 5 || err != nil {
		t.Errorf("RecvFD of none: got %v, %d, %v, want 5 bytes", fds, n, err)
	}
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if fds, n, err := b.RecvFD(buf, 1); len(fds) != 0 || n != 0 || err != io.EOF {
		t.Errorf("RecvFD at the end: got %v, %d, %v, want io.EOF", fds, n, err)
	}
}

// More than were asked for: all are closed and it is an error, whether the kernel cut them off or (two fit
// into the room of one, which is rounded up) not.
func TestRecvFDTooMany(t *testing.T) {
	for _, row := range []struct {
		name       string
		sent, most int
	}{
		{"cut off by one, in rounded room", 2, 1},
		{"cut off by many", 20, 3},
		{"the most there can be", MaxFDs, MaxFDs - 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, b := pair(t)
			fds := make([]int, row.sent)
			for i := range fds {
				fds[i] = a.FD()
			}
			before := leak.Files()
			if _, err := a.SendFD(fds, []byte("x")); err != nil {
				t.Fatal(err)
			}
			awaitReadable(t, b)
			got, n, err := b.RecvFD(make([]byte, 10), row.most)
			if got != nil || n != 1 || !errors.Is(err, ErrTooManyFDs) {
				t.Errorf("RecvFD of %d, at most %d: got %v, %d, %v, want no descriptor, 1 byte, ErrTooManyFDs", row.sent, row.most,
					got, n, err)
			}
			if after := leak.Files(); after != before {
				t.Errorf("%d descriptors before and %d after, want none left", before, after)
			}
		})
	}
}

func TestRecvFDMost(t *testing.T) {
	a, b := pair(t)
	fds := make([]int, MaxFDs)
	for i := range fds {
		fds[i] = a.FD()
	}
	if _, err := a.SendFD(fds, []byte("x")); err != nil {
		t.Fatal(err)
	}
	awaitReadable(t, b)
	got, _, err := b.RecvFD(make([]byte, 1), MaxFDs)
	for _, fd := range got {
		unix.Close(fd)
	}
	if len(got) != MaxFDs || err != nil {
		t.Errorf("RecvFD of %d: got %d, %v", MaxFDs, len(got), err)
	}
}

func TestFDMisuse(t *testing.T) {
	a, _ := pair(t)
	for _, row := range []struct {
		name string
		call func() error
		want string
	}{
		{"no data", func() error { _, err := a.SendFD([]int{0}, nil); return err }, "at least one byte of data"},
		{"too many", func() error { _, err := a.SendFD(make([]int, MaxFDs+1), []byte("x")); return err },
			"254 are too many for one message"},
		{"room for none", func() error { _, _, err := a.RecvFD(make([]byte, 1), 0); return err }, "room for 0 descriptors"},
		{"room for too many", func() error { _, _, err := a.RecvFD(make([]byte, 1), MaxFDs+1); return err },
			"room for 254 descriptors"},
		{"no buffer", func() error { _, _, err := a.RecvFD(nil, 1); return err }, "and 0 bytes"},
		{"not a descriptor", func() error { _, err := a.SendFD([]int{-1}, []byte("x")); return err }, "bad file descriptor"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := row.call(); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

// The connection lasts until both descriptors are closed.
func TestDup(t *testing.T) {
	a, b := pair(t)
	d, err := a.Dup()
	if err != nil || d == a {
		t.Fatalf("Dup: got %v, %v", d, err)
	}
	if fl, err := unix.FcntlInt(uintptr(d), unix.F_GETFD, 0); err != nil || fl&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags: %#x, %v, want FD_CLOEXEC in it", fl, err)
	}
	a.Close()
	buf := make([]byte, 10)
	if n, err := b.Recv(buf); err != ErrWouldBlock {
		t.Errorf("Recv while the duplicate is open: got %d, %v, want ErrWouldBlock", n, err)
	}
	if _, err := d.Send([]byte("by the other")); err != nil {
		t.Error(err)
	}
	d.Close()
	awaitReadable(t, b)
	if n, err := b.Recv(buf); n != len(buf) || err != nil {
		t.Errorf("Recv: got %d, %v", n, err)
	}
	if _, err := a.Dup(); !errors.Is(err, unix.EBADF) {
		t.Errorf("Dup of what is closed: %v, want EBADF", err)
	}
}
