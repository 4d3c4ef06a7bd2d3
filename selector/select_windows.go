package selector

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// winsockLimit is how many sockets a set has place for. Winsock itself has no limit (FD_SETSIZE is the
// size of the caller's array), but each is looked at with every call.
const winsockLimit = 1024

// fdSet is Winsock's fd_set: a list of sockets, not a set of bits.
type fdSet struct {
	count   uint32
	sockets [winsockLimit]windows.Handle
}

func (s *fdSet) add(h windows.Handle) {
	s.sockets[s.count] = h
	s.count++
}

func (s *fdSet) list() []windows.Handle { return s.sockets[:s.count] }

// timeval is Winsock's: two 32-bit numbers on every architecture.
type timeval struct{ sec, usec int32 }

var (
	procSelect = windows.NewLazySystemDLL("ws2_32.dll").NewProc("select")
	startup    = sync.OnceValue(func() error {
		var data windows.WSAData
		return os.NewSyscallError("wsastartup", windows.WSAStartup(0x202, &data))
	})
)

// winsock is Winsock's select: a list of sockets for reading, one for writing, and one for errors, where
// a failed connect shows, and there alone. The kernel puts its answer in place of the question.
//
// It is compiled and vetted where Plexor is made, and not tested there.
type winsock struct {
	waker *waker
	want  []watched // under the Selector's lock
	slot  map[int]int
	dirty bool

	ask   []watched // a copy of want
	sets  [3]fdSet  // read, write, except: what the kernel has, and gives back
	ready map[windows.Handle]Events
	next  int // where in ask the next look for results starts, so that none starves
}

type watched struct {
	socket windows.Handle
	events Events
}

func newWinsock() (backend, error) {
	if err := startup(); err != nil {
		return nil, err
	}
	if err := procSelect.Find(); err != nil {
		return nil, err
	}
	w, err := newWaker()
	if err != nil {
		return nil, err
	}
	return &winsock{waker: w, slot: map[int]int{}, ready: map[windows.Handle]Events{}}, nil
}

func (s *winsock) add(fd int, _ uint64, events Events) error {
	if len(s.want) >= winsockLimit-1 {
		return fmt.Errorf("%w: select holds %d sockets; use another selector for more", ErrLimit, winsockLimit-1)
	}
	if err := socket(fd); err != nil {
		return err
	}
	s.slot[fd] = len(s.want)
	s.want = append(s.want, watched{windows.Handle(fd), events})
	s.dirty = true
	return nil
}

func (s *winsock) modify(fd int, _ uint64, _, events Events) error {
	if err := socket(fd); err != nil {
		return err
	}
	s.want[s.slot[fd]].events = events
	s.dirty = true
	return nil
}

// remove puts the last one into the gap.
func (s *winsock) remove(fd int, _ Events) error {
	i, end := s.slot[fd], len(s.want)-1
	s.want[i] = s.want[end]
	s.slot[int(s.want[i].socket)] = i
	delete(s.slot, fd)
	s.want = s.want[:end]
	s.dirty = true
	return nil
}

func (s *winsock) copies() bool { return true }

// eager: a call tells the scheduler either way.
func (s *winsock) eager() bool { return false }

func (s *winsock) prepare(int) {
	if s.dirty {
		s.ask, s.dirty = append(s.ask[:0], s.want...), false
	}
}

func (s *winsock) wait(hits []hit, limit time.Duration) (int, error) {
	for i := range s.sets {
		s.sets[i].count = 0
	}
	s.sets[0].add(s.waker.socket)
	for _, w := range s.ask {
		if w.events&Read != 0 {
			s.sets[0].add(w.socket)
		}
		if w.events&Write != 0 {
			s.sets[1].add(w.socket)
			s.sets[2].add(w.socket)
		}
	}
	n, err := s.call(limit)
	if errors.Is(err, windows.WSAENOTSOCK) {
		return s.closed(hits)
	}
	if err != nil || n == 0 {
		return 0, err
	}
	clear(s.ready)
	for i, events := range [3]Events{Read, Write, Write} {
		for _, h := range s.sets[i].list() {
			s.ready[h] |= events
		}
	}
	if s.ready[s.waker.socket] != 0 {
		s.waker.drain()
	}
	found := 0
	start := s.next
	for i := range s.ask {
		at := (start + i) % len(s.ask)
		if events := s.ready[s.ask[at].socket]; events != 0 {
			hits[found] = hit{fd: int32(s.ask[at].socket), events: events}
			s.next = at + 1
			if found++; found == len(hits) {
				break
			}
		}
	}
	return found, nil
}

// call is select (Winsock), which takes microseconds: rounded up.
func (s *winsock) call(limit time.Duration) (int, error) {
	var tv *timeval
	if limit >= 0 {
		us := int64((limit + time.Microsecond - 1) / time.Microsecond)
		tv = &timeval{int32(us / 1e6), int32(us % 1e6)}
	}
	r, _, err := procSelect.Call(0, uintptr(unsafe.Pointer(&s.sets[0])), uintptr(unsafe.Pointer(&s.sets[1])),
		uintptr(unsafe.Pointer(&s.sets[2])), uintptr(unsafe.Pointer(tv)))
	if int32(r) < 0 {
		return 0, os.NewSyscallError("select", err)
	}
	return int(int32(r)), nil
}

// closed finds out which sockets made Winsock say WSAENOTSOCK: it names none, and looked at no other.
func (s *winsock) closed(hits []hit) (int, error) {
	found := 0
	for _, w := range s.ask {
		if found < len(hits) && socket(int(w.socket)) != nil {
			hits[found] = hit{fd: int32(w.socket), events: vanished}
			found++
		}
	}
	if found == 0 {
		if err := socket(int(s.waker.socket)); err != nil {
			return 0, fmt.Errorf("the selector's own socket was closed: %w", err)
		}
	}
	return found, nil
}

func (s *winsock) kick() error { return s.waker.kick() }

func (s *winsock) close() error {
	s.waker.close()
	return nil
}

const (
	solSocket = 0xffff // SOL_SOCKET
	soType    = 0x1008 // SO_TYPE
)

// socket says whether fd is one.
func socket(fd int) error {
	_, err := windows.GetsockoptInt(windows.Handle(fd), solSocket, soType)
	return os.NewSyscallError("getsockopt", err)
}
