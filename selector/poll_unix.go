//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// poller is poll(2): the whole set goes to the kernel with each call and comes back marked. A wait costs
// what is registered, in the kernel and here.
//
// The kernel reads the set during a wait, so that a change goes to want, and into live with the next
// wait; copying 8 bytes a descriptor is small next to what the kernel then does with each.
type poller struct {
	waker *waker
	want  []unix.PollFd // [0] is the waker; under the Selector's lock
	slot  []int32       // by descriptor: its index in want, or 0
	dirty bool          // want has changed since it was copied

	live []unix.PollFd // what the kernel has
	next int           // where in live the next look for results starts, so that none starves
	hot  bool          // the latest look found something
}

// smallPoll is up to how many descriptors a look costs little enough to be tried always.
const smallPoll = 64

func newPoll() (backend, error) {
	w, err := newWaker()
	if err != nil {
		return nil, err
	}
	return &poller{waker: w, want: []unix.PollFd{{Fd: int32(w.source()), Events: unix.POLLIN}}, dirty: true}, nil
}

func pollEvents(events Events) (mask int16) {
	if events&Read != 0 {
		mask |= unix.POLLIN
	}
	if events&Write != 0 {
		mask |= unix.POLLOUT
	}
	return mask // POLLERR, POLLHUP and POLLNVAL come unasked
}

func (p *poller) add(fd int, _ uint64, events Events) error {
	if err := open(fd); err != nil {
		return err
	}
	if fd >= len(p.slot) {
		grown := make([]int32, max(64, 2*len(p.slot), (fd|63)+1))
		copy(grown, p.slot)
		p.slot = grown
	}
	p.slot[fd] = int32(len(p.want))
	p.want = append(p.want, unix.PollFd{Fd: int32(fd), Events: pollEvents(events)})
	p.dirty = true
	return nil
}

func (p *poller) modify(fd int, _ uint64, _, events Events) error {
	if err := open(fd); err != nil {
		return err
	}
	p.want[p.slot[fd]].Events = pollEvents(events)
	p.dirty = true
	return nil
}

// remove puts the last one into the gap.
func (p *poller) remove(fd int, _ Events) error {
	i, end := p.slot[fd], len(p.want)-1
	p.want[i] = p.want[end]
	p.slot[p.want[i].Fd] = i
	p.slot[fd] = 0
	p.want = p.want[:end]
	p.dirty = true
	return nil
}

func (p *poller) copies() bool { return true }

func (p *poller) eager() bool { return p.hot || len(p.live) <= smallPoll }

func (p *poller) prepare(int) {
	if p.dirty {
		p.live, p.dirty = append(p.live[:0], p.want...), false
	}
}

func (p *poller) wait(hits []hit, limit time.Duration) (int, error) {
	n, err := pollCall(p.live, limit)
	if err != nil {
		return 0, err
	}
	if r := p.live[0].Revents; n > 0 && r != 0 {
		if r&unix.POLLNVAL != 0 {
			return 0, os.NewSyscallError("poll: the selector's own descriptor was closed", unix.EBADF)
		}
		p.waker.drain()
		n--
	}
	p.hot = n > 0 && (limit == 0 || n > 1)
	if n == 0 {
		return 0, nil
	}
	// Once around, from where the last look ended.
	found := 0
	if p.next < 1 || p.next >= len(p.live) {
		p.next = 1
	}
	i := p.next
	for range len(p.live) - 1 {
		if l := &p.live[i]; l.Revents != 0 {
			hits[found] = hit{fd: l.Fd, events: fromPoll(l.Revents)}
			found++
			p.next = i + 1
			if found == n || found == len(hits) {
				break
			}
		}
		if i++; i == len(p.live) {
			i = 1
		}
	}
	return found, nil
}

func fromPoll(revents int16) (events Events) {
	switch {
	case revents&unix.POLLNVAL != 0:
		return vanished
	case revents&(unix.POLLERR|unix.POLLHUP) != 0:
		return all
	}
	if revents&unix.POLLIN != 0 {
		events = Read
	}
	if revents&unix.POLLOUT != 0 {
		events |= Write
	}
	return events
}

func (p *poller) kick() error { return p.waker.kick() }

func (p *poller) close() error {
	p.waker.close()
	return nil
}

// open says whether fd is one, by the smallest system call that looks at it.
func open(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return os.NewSyscallError("fcntl", err)
}
