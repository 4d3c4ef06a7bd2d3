//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"time"

	"golang.org/x/sys/unix"
)

// instead is what a refused caller is told to use.
const instead = "poll or kqueue"

// call is select(2), which takes microseconds: rounded up.
func (s *selecter) call(limit time.Duration) (int, error) {
	var tv *unix.Timeval
	if limit >= 0 {
		t := unix.NsecToTimeval(int64(limit + time.Microsecond - 1))
		tv = &t
	}
	switch n, err := unix.Select(s.nfds, &s.live[0], &s.live[1], nil, tv); err {
	case nil:
		return n, nil
	case unix.EINTR:
		return 0, nil
	default:
		return 0, err
	}
}
