//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The contract's lines on what counts as ready, on every multiplexer of the system.

func TestBothAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := newPair(t)
		write(t, b.fd, "x")
		for _, row := range []struct{ ask, want Events }{{both, both}, {Read, Read}, {Write, Write}} {
			ok(t, s.Register(a.fd, row.ask, nil))
			wantFound(t, s, -1, map[int]Events{a.fd: row.want})
			ok(t, s.Unregister(a.fd))
		}
		// What was not asked for does not end a wait either.
		fill(t, a.fd)
		ok(t, s.Register(a.fd, Write, nil))
		wantFound(t, s, 20*time.Millisecond, map[int]Events{})
		empty(t, b.fd)
		wantFound(t, s, -1, map[int]Events{a.fd: Write})
	})
}

// Hang-ups and errors count as what was asked, whatever that was.
func TestHangUp(t *testing.T) {
	for _, row := range []struct {
		name string
		make func(t *testing.T) (fd int)
		only Events // ask for no more than this
	}{
		{"the writing end of a pipe is closed", func(t *testing.T) int {
			p, err := pipe()
			ok(t, err)
			unix.Close(p[1])
			return own(t, p[0]).fd
		}, Read},
		{"the reading end of a pipe is closed", func(t *testing.T) int {
			p, err := pipe()
			ok(t, err)
			unix.Close(p[0])
			return own(t, p[1]).fd
		}, Write},
		{"a full pipe's reading end is closed", func(t *testing.T) int {
			p, err := pipe()
			ok(t, err)
			fill(t, p[1])
			unix.Close(p[0])
			return own(t, p[1]).fd
		}, Write},
		{"a Unix peer is closed", func(t *testing.T) int {
			a, b := newPair(t)
			b.close()
			return a.fd
		}, both},
		{"a Unix peer is closed without reading what fills it", func(t *testing.T) int {
			a, b := newPair(t)
			fill(t, a.fd)
			b.close()
			return a.fd
		}, both},
		{"a TCP peer is closed, then reset", func(t *testing.T) int {
			a, b := newTCP(t)
			ok(t, unix.SetsockoptLinger(b.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
			b.close()
			return a.fd
		}, both},
		{"both halves of a TCP connection are shut", func(t *testing.T) int {
			a, b := newTCP(t)
			b.close()
			ok(t, unix.Shutdown(a.fd, unix.SHUT_WR))
			return a.fd
		}, both},
		{"a connect is refused", refusedConnect, both},
	} {
		t.Run(row.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Selector) {
				fd := row.make(t)
				for _, ask := range []Events{Read, Write, both} {
					if ask&^row.only != 0 {
						continue
					}
					ok(t, s.Register(fd, ask, nil))
					wantFound(t, s, 5*time.Second, map[int]Events{fd: ask})
					ok(t, s.Unregister(fd))
				}
			})
		})
	}
}

func TestPeerCloseIsReadable(t *testing.T) {
	for _, half := range []bool{false, true} {
		t.Run(fmt.Sprintf("only its half %v", half), func(t *testing.T) {
			each(t, func(t *testing.T, s *Selector) {
				a, b := newTCP(t)
				ok(t, s.Register(a.fd, Read, nil))
				wantFound(t, s, 0, map[int]Events{})
				if half {
					ok(t, unix.Shutdown(b.fd, unix.SHUT_WR))
				} else {
					b.close()
				}
				wantFound(t, s, -1, map[int]Events{a.fd: Read})
				wantFound(t, s, 0, map[int]Events{a.fd: Read}) // level-triggered: again
			})
		})
	}
}

// refusedConnect gives a socket whose connect is, or will soon be, refused.
func refusedConnect(t *testing.T) int {
	// A bound socket that does not listen: the port is taken, and nobody is there.
	closed, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ok(t, err)
	own(t, closed)
	ok(t, unix.Bind(closed, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	to, err := unix.Getsockname(closed)
	ok(t, err)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ok(t, err)
	own(t, fd)
	ok(t, unix.SetNonblock(fd, true))
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS && err != unix.ECONNREFUSED {
		t.Fatal(err)
	}
	return fd
}

func TestAcceptAndConnect(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		ok(t, err)
		own(t, l)
		ok(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		ok(t, unix.Listen(l, 1))
		to, err := unix.Getsockname(l)
		ok(t, err)
		ok(t, s.Register(l, Read, "listener"))
		wantFound(t, s, 0, map[int]Events{})
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		ok(t, err)
		own(t, c)
		ok(t, unix.SetNonblock(c, true))
		if err := unix.Connect(c, to); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		ok(t, s.Register(c, both, "client"))
		for seen := map[int]Events{}; seen[l] != Read || seen[c] != Write; {
			for fd, ev := range found(t, s, 5*time.Second) {
				seen[fd] |= ev
			}
		}
	})
}
