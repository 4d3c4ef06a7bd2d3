//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"fmt"
	"math/bits"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fdSetSize is FD_SETSIZE: the first descriptor that a set has no bit for. The C library would write past
// the set's end; so it is refused at Register.
const fdSetSize = len(unix.FdSet{}.Bits) * unix.NFDBITS

// selecter is select(2): a bit a descriptor, in one set for each event. The kernel goes through all bits
// up to the highest descriptor, and puts its answer in place of the question. Hang-ups it shows as readable
// alone; see aside.
type selecter struct {
	waker *waker
	want  [2]unix.FdSet // read, write; with the waker in read; under the Selector's lock
	count int           // of descriptors in want, without the waker
	high  int           // the highest descriptor in want

	ask  [2]unix.FdSet // a copy of want
	live [2]unix.FdSet // what the kernel has, and gives back
	nfds int
	few  bool // ask holds few enough for a look to be tried always
	next int  // the descriptor where the next look for results starts, so that none starves
	hot  bool // the latest look found something

	aside aside
}

func newSelect() (backend, error) {
	w, err := newWaker()
	if err != nil {
		return nil, err
	}
	if w.source() >= fdSetSize {
		w.close()
		return nil, fmt.Errorf("%w: select(2) needs a descriptor below %d (FD_SETSIZE) for itself, and all are in use; "+
			"use %s",
			ErrLimit, fdSetSize, instead)
	}
	s := &selecter{waker: w, high: w.source()}
	s.want[0].Set(w.source())
	return s, nil
}

func (s *selecter) add(fd int, _ uint64, events Events) error {
	if fd >= fdSetSize {
		return fmt.Errorf("%w: select(2) holds only descriptors below %d (FD_SETSIZE); use %s",
			ErrLimit, fdSetSize, instead)
	}
	if err := open(fd); err != nil {
		return err
	}
	s.set(fd, events)
	s.count++
	s.high = max(s.high, fd)
	return nil
}

func (s *selecter) modify(fd int, _ uint64, _, events Events) error {
	if err := open(fd); err != nil {
		return err
	}
	s.set(fd, events)
	return nil
}

func (s *selecter) remove(fd int, _ Events) error {
	s.set(fd, 0)
	s.count--
	for s.high > 0 && !s.want[0].IsSet(s.high) && !s.want[1].IsSet(s.high) {
		s.high--
	}
	return nil
}

func (s *selecter) set(fd int, events Events) {
	for i, bit := range [2]Events{Read, Write} {
		if events&bit != 0 {
			s.want[i].Set(fd)
		} else {
			s.want[i].Clear(fd)
		}
	}
	s.aside.set(fd, events != 0 && events&Read == 0)
}

func (s *selecter) copies() bool { return true }

func (s *selecter) eager() bool { return s.hot || s.few }

func (s *selecter) prepare(int) {
	s.ask, s.nfds, s.few = s.want, s.high+1, s.count <= smallPoll
	s.aside.prepare()
}

func (s *selecter) wait(hits []hit, limit time.Duration) (int, error) {
	limit, err := s.aside.look(limit)
	if err != nil {
		return 0, err
	}
	s.live = s.ask
	n, err := s.call(limit)
	if err == unix.EBADF {
		return s.closed(hits)
	}
	if err != nil {
		return 0, os.NewSyscallError("select", err)
	}
	if n > 0 && s.live[0].IsSet(s.waker.source()) {
		s.live[0].Clear(s.waker.source())
		s.waker.drain()
		n--
	}
	s.hot = n > 0 && (limit == 0 || n > 1)
	if n == 0 {
		return s.aside.take(hits), nil
	}
	found := s.aside.take(hits[:s.aside.share(len(hits))])
	for _, h := range hits[:found] {
		s.live[1].Clear(int(h.fd)) // it is told as all events
	}
	if found < len(hits) {
		found += s.scan(hits[found:])
	}
	if found == 0 { // the one place was kept for others, and there are none
		found = s.aside.take(hits)
	}
	return found, nil
}

// scan goes once around the words of both sets, from where the last scan ended. The first word comes
// twice: its upper bits first, its lower ones last.
func (s *selecter) scan(hits []hit) int {
	read, write := &s.live[0].Bits, &s.live[1].Bits
	words := (s.nfds + unix.NFDBITS - 1) / unix.NFDBITS
	if s.next >= s.nfds {
		s.next = 0
	}
	first, found := s.next/unix.NFDBITS, 0
	for k := 0; k <= words; k++ {
		w := (first + k) % words
		word := read[w] | write[w]
		for ; word != 0; word &= word - 1 {
			bit := bits.TrailingZeros64(uint64(word))
			fd := w*unix.NFDBITS + bit
			if k == 0 && fd < s.next || k == words && fd >= s.next {
				continue
			}
			h := hit{fd: int32(fd)}
			if read[w]>>bit&1 != 0 {
				h.events = Read
			}
			if write[w]>>bit&1 != 0 {
				h.events |= Write
			} else if s.ask[1].IsSet(fd) && hungUp(fd) {
				h.events = all
			}
			hits[found] = h
			if found++; found == len(hits) {
				s.next = fd + 1
				return found
			}
		}
	}
	return found
}

// closed finds out which descriptors made the kernel say EBADF: it names none, and looked at no other.
func (s *selecter) closed(hits []hit) (int, error) {
	found := 0
	for fd := 0; fd < s.nfds && found < len(hits); fd++ {
		if fd == s.waker.source() || !s.ask[0].IsSet(fd) && !s.ask[1].IsSet(fd) {
			continue
		}
		if open(fd) != nil {
			hits[found] = hit{fd: int32(fd), events: vanished}
			found++
		}
	}
	if found == 0 {
		if err := open(s.waker.source()); err != nil {
			return 0, fmt.Errorf("the selector's own descriptor was closed: %w", err)
		}
	}
	return found, nil
}

func (s *selecter) kick() error { return s.waker.kick() }

func (s *selecter) close() error {
	s.waker.close()
	return nil
}
