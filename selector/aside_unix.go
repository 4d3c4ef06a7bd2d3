//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"time"

	"golang.org/x/sys/unix"
)

// aside is what select(2) lacks: Linux shows a hang-up to it as readable, and an error as readable and writable. So who
// does not wait to read would not learn of a hang-up, and nobody can wait for that alone. These descriptors are looked
// at with poll(2), which always tells of both: every hangupLook, and for as long as one of them is hung up, with each
// wait.
type aside struct {
	want  []unix.PollFd    // under the Selector's lock
	slot  [fdSetSize]int16 // by descriptor: 1 + its index in want, or 0
	dirty bool             // want has changed since it was copied

	live []unix.PollFd
	due  time.Time // of the next look
	up   int       // how many the latest look found
	next int       // where in live the next results are taken from, so that none starves
	flip int       // 0 or 1: who gets the odd place
}

// hangupLook is how late a hang-up that select does not show is noticed at most. A look costs about 0.1 µs a
// descriptor.
const hangupLook = time.Second

// set says whether fd is one of them.
func (a *aside) set(fd int, is bool) {
	switch at := int(a.slot[fd]); {
	case is == (at != 0):
		return
	case is:
		a.want = append(a.want, unix.PollFd{Fd: int32(fd)})
		a.slot[fd] = int16(len(a.want))
	default: // the last one goes into the gap
		end := len(a.want) - 1
		a.want[at-1] = a.want[end]
		a.slot[a.want[at-1].Fd] = int16(at)
		a.slot[fd] = 0
		a.want = a.want[:end]
	}
	a.dirty = true
}

// prepare copies what was wanted. Whoever is new is looked at at once.
func (a *aside) prepare() {
	if a.dirty {
		a.live, a.dirty = append(a.live[:0], a.want...), false
		a.due = time.Time{}
	}
}

// look looks, if it is time to, and returns how long a wait of limit may last.
func (a *aside) look(limit time.Duration) (_ time.Duration, err error) {
	a.up = 0
	if len(a.live) == 0 {
		return limit, nil
	}
	now := time.Now()
	if !now.Before(a.due) {
		if a.up, err = pollCall(a.live, 0); err != nil {
			return 0, err
		}
		if a.up > 0 {
			return 0, nil
		}
		a.due = now.Add(hangupLook)
	}
	if left := a.due.Sub(now); limit < 0 || limit > left {
		limit = left
	}
	return limit, nil
}

// share is how many of the places take may have where others are ready too: half, so that none starves.
func (a *aside) share(places int) int {
	a.flip ^= 1
	return (places + a.flip) / 2
}

// take gives what look has found, as far as there are places.
func (a *aside) take(hits []hit) (found int) {
	most := min(a.up, len(hits))
	for range a.live {
		if found == most {
			break
		}
		if a.next >= len(a.live) {
			a.next = 0
		}
		if l := &a.live[a.next]; l.Revents != 0 {
			hits[found] = hit{fd: l.Fd, events: fromPoll(l.Revents)}
			found++
		}
		a.next++
	}
	return found
}

// hungUp reports whether fd is hung up.
func hungUp(fd int) bool {
	one := []unix.PollFd{{Fd: int32(fd)}}
	n, err := pollCall(one, 0)
	return err == nil && n > 0 && fromPoll(one[0].Revents) == all
}
