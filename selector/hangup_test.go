//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Hangup alone: data, room and the end of the peer's half are none; a reset is, and the end of both halves.
func TestHangupAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		pair func(t testing.TB) (a, b *desc)
		die  func(t *testing.T, a, b *desc)
	}{
		{"a TCP peer resets behind its end", newTCP, func(t *testing.T, _, b *desc) {
			ok(t, unix.SetsockoptLinger(b.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
			b.close()
		}},
		{"both halves of a TCP connection are shut", newTCP, func(t *testing.T, a, _ *desc) {
			ok(t, unix.Shutdown(a.fd, unix.SHUT_WR))
		}},
		{"a Unix peer closes behind its end", newPair, func(_ *testing.T, _, b *desc) { b.close() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, s *Selector) {
				a, b := row.pair(t)
				ok(t, s.Register(a.fd, Hangup, "a"))
				write(t, b.fd, "x")
				wantFound(t, s, 0, map[int]Events{})
				ok(t, unix.Shutdown(b.fd, unix.SHUT_WR))
				wantFound(t, s, 20*time.Millisecond, map[int]Events{})
				ok(t, s.Modify(a.fd, Read, "a"))
				wantFound(t, s, -1, map[int]Events{a.fd: Read})
				ok(t, s.Modify(a.fd, Write, "a"))
				wantFound(t, s, -1, map[int]Events{a.fd: Write})
				ok(t, s.Modify(a.fd, Hangup, "a"))
				wantFound(t, s, 0, map[int]Events{})
				row.die(t, a, b)
				wantFound(t, s, 5*time.Second, map[int]Events{a.fd: Hangup})
				wantFound(t, s, 0, map[int]Events{a.fd: Hangup}) // level-triggered: again
				ok(t, s.Unregister(a.fd))
				wantFound(t, s, 0, map[int]Events{})
			})
		})
	}
}

// A socket that is watched for Write alone, or for both, whose buffer is full, and whose peer shuts both directions
// without closing, is ready to write: the write tells.
func TestHangupOfFullSocket(t *testing.T) {
	t.Parallel()
	for _, ask := range []Events{Write, both} {
		t.Run(ask.String(), func(t *testing.T) {
			each(t, func(t *testing.T, s *Selector) {
				a, b := newPair(t)
				fill(t, a.fd)
				ok(t, s.Register(a.fd, ask, nil))
				wantFound(t, s, 0, map[int]Events{})
				ok(t, unix.Shutdown(b.fd, unix.SHUT_RDWR))
				wantFound(t, s, 5*time.Second, map[int]Events{a.fd: ask})
			})
		})
	}
}

// One that is hung up, and that nobody unregisters, does not keep others from being told, nor they it, however small
// the room is.
func TestHangupStarvesNobody(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := newPair(t)
		ok(t, s.Register(a.fd, Hangup, nil))
		b.close()
		c, d := newPair(t)
		write(t, d.fd, "x")
		ok(t, s.Register(c.fd, Read, nil))
		room := make([]Ready, 0, 1)
		seen := map[int]int{}
		for range 20 {
			ready, err := s.Select(5*time.Second, room)
			ok(t, err)
			for _, r := range ready {
				seen[r.FD]++
			}
		}
		if seen[a.fd] == 0 || seen[c.fd] == 0 {
			t.Errorf("in 20 calls with room for one: %v; want both of %d and %d", seen, a.fd, c.fd)
		}
	})
}
