//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor/internal/leak"
)

func TestMain(m *testing.M) {
	raiseLimit()
	os.Exit(leak.Main(m))
}

func raiseLimit() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
	}
}

// each runs a test of the contract on every multiplexer of the system.
func each(t *testing.T, test func(t *testing.T, s *Selector)) {
	for _, m := range makers {
		t.Run(m.name, func(t *testing.T) {
			s, err := Open(m.name)
			if err != nil {
				t.Fatalf("Open(%q): %v", m.name, err)
			}
			defer s.Close()
			test(t, s)
		})
	}
}

// ok fails the test on an error of its preparations.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newPipe gives the reading and the writing end.
func newPipe(t testing.TB) (r, w int) {
	t.Helper()
	p, err := pipe()
	ok(t, err)
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// newPair gives two connected stream sockets. close is safe for what a test has closed itself only if
// the test says so by closing through it.
func newPair(t testing.TB) (a, b *desc) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	ok(t, err)
	for _, fd := range p {
		unix.CloseOnExec(fd)
		ok(t, unix.SetNonblock(fd, true))
	}
	return own(t, p[0]), own(t, p[1])
}

// desc is a descriptor that is closed once: by the test, or else at its end.
type desc struct {
	fd     int
	closed bool
}

func own(t testing.TB, fd int) *desc {
	d := &desc{fd: fd}
	t.Cleanup(d.close)
	return d
}

func (d *desc) close() {
	if !d.closed {
		d.closed = true
		unix.Close(d.fd)
	}
}

func write(t testing.TB, fd int, text string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(text)); err != nil || n != len(text) {
		t.Fatalf("write %q to %d: %d, %v", text, fd, n, err)
	}
}

// fill writes until there is no room.
func fill(t testing.TB, fd int) {
	t.Helper()
	for b := make([]byte, 1<<16); ; {
		switch _, err := unix.Write(fd, b); err {
		case nil:
		case unix.EAGAIN:
			if len(b) == 1 {
				return
			}
			b = b[:1]
		default:
			t.Fatal(err)
		}
	}
}

// empty reads until there is nothing.
func empty(t testing.TB, fd int) {
	t.Helper()
	for b := make([]byte, 1<<16); ; {
		switch n, err := unix.Read(fd, b); {
		case err == unix.EAGAIN, err == nil && n == 0:
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}

// found looks, and gives what is ready, by descriptor.
func found(t testing.TB, s *Selector, timeout time.Duration) map[int]Events {
	t.Helper()
	ready, err := s.Select(timeout, make([]Ready, 0, 1000))
	ok(t, err)
	m := map[int]Events{}
	for _, r := range ready {
		if _, twice := m[r.FD]; twice {
			t.Errorf("descriptor %d comes twice: %v", r.FD, ready)
		}
		if r.Ready == 0 || r.Ready&^r.Events != 0 {
			t.Errorf("descriptor %d is reported ready to %v, and was registered for %v", r.FD, r.Ready, r.Events)
		}
		m[r.FD] = r.Ready
	}
	return m
}

func wantFound(t testing.TB, s *Selector, timeout time.Duration, want map[int]Events) {
	t.Helper()
	if got := found(t, s, timeout); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Select(%v) = %v, want %v", timeout, got, want)
	}
}

// newTCP gives the two ends of a connection on the loopback.
func newTCP(t testing.TB) (a, b *desc) {
	t.Helper()
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ok(t, err)
	defer unix.Close(l)
	ok(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	ok(t, unix.Listen(l, 1))
	to, err := unix.Getsockname(l)
	ok(t, err)
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ok(t, err)
	a = own(t, c)
	ok(t, unix.Connect(c, to))
	d, _, err := unix.Accept(l)
	ok(t, err)
	b = own(t, d)
	ok(t, unix.SetNonblock(c, true))
	ok(t, unix.SetNonblock(d, true))
	return a, b
}
