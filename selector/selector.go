package selector

import (
	"fmt"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Key is what the Selector holds of one descriptor.
type Key struct {
	FD     int
	Events Events // what it is watched for
	Data   any    // what the caller gave to Register or Modify; the Selector never looks at it
}

// Ready is a descriptor that is ready, with its key as it was when Select looked.
type Ready struct {
	Key
	Ready Events // what it is ready for: never zero, and never more than was asked
}

// DefaultRoom is how many results Select makes room for when it is given none.
const DefaultRoom = 128

// longest is the longest wait that a backend is asked for; longer ones are made of several. It keeps
// every system's own type for a timeout, 32-bit milliseconds among them, from overflowing.
const longest = 24 * time.Hour

// A Selector watches descriptors and tells which are ready.
//
// All methods may be called from any goroutine, and take effect at once: also for a Select that is
// waiting. One goroutine at a time may be in Select; a second one is refused with [ErrBusy].
//
// The Selector does not own the descriptors: it never closes, reads or writes one.
type Selector struct {
	name    string
	backend backend
	haunted haunted // backend, if its kernel can keep what was closed; else nil

	turn    sync.Mutex  // held by Select while it runs, and by Close when it takes the backend down
	closed  atomic.Bool // set under mu
	woken   atomic.Bool // a Wake that no Select has ended for yet
	waiting atomic.Bool // Select is, or is about to be, in a system call that may block; set under mu

	mu      sync.Mutex
	table   table
	serial  uint64 // of the latest registration: the generation
	kicked  bool   // the backend was kicked, and Select has not come back yet
	suspect bool   // a descriptor could not be taken out of the backend: its ghost may be left

	hits []hit // what the backend found; only Select uses it
}

// entry is what the table holds of a descriptor. It is 32 bytes: a table of 10,000 takes 320 KB.
type entry struct {
	data    any
	serial  uint64 // generation; 0: the place is free
	events  Events
	dead    bool  // found closed: the backend watches it no longer
	reports uint8 // how often it was ready, modulo 256
}

func newSelector(name string, b backend) *Selector {
	s := &Selector{name: name, backend: b}
	s.haunted, _ = b.(haunted)
	return s
}

// Name is the multiplexer's name, as given to [Open]: "epoll", "kqueue", "poll" or "select".
func (s *Selector) Name() string { return s.name }

// Register starts to watch fd for events, which must be Read, Write or both, or Hangup. The data comes back with
// every result. It fails with
//
//   - [ErrInvalid] for a negative descriptor, no events or unknown ones, or Hangup and another,
//   - [ErrRegistered] for a descriptor that is registered already, whatever the data,
//   - [ErrLimit] for a descriptor that select cannot hold,
//   - the kernel's reason otherwise: EBADF for a closed descriptor; EPERM for one that the multiplexer
//     cannot wait for (a regular file in epoll),
//
// and then leaves nothing registered.
func (s *Selector) Register(fd int, events Events, data any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkLocked("register", fd, events); err != nil {
		return err
	}
	if e := s.table.at(fd); e != nil && !e.dead {
		return s.failed("register", fd, ErrRegistered)
	}
	if err := s.backend.add(fd, s.serial+1, events); err != nil {
		return s.failed("register", fd, err)
	}
	s.serial++
	s.table.put(fd, entry{data: data, serial: s.serial, events: events})
	s.changedLocked()
	return nil
}

// Modify changes what fd is watched for, and its data. With the same events it makes no system call.
// It fails with [ErrInvalid] as Register does, and with [ErrNotRegistered]. If fd turns out to be
// closed it fails with the kernel's reason (EBADF), and fd is watched no longer: see the package's
// section on closed descriptors.
func (s *Selector) Modify(fd int, events Events, data any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkLocked("modify", fd, events); err != nil {
		return err
	}
	e := s.table.at(fd)
	if e == nil {
		return s.failed("modify", fd, ErrNotRegistered)
	}
	if e.events == events {
		e.data = data
		return nil
	}
	if e.dead {
		return s.failed("modify", fd, errDead)
	}
	if err := s.backend.modify(fd, e.serial, e.events, events); err != nil {
		if gone(err) {
			s.buryLocked(fd, e)
		}
		return s.failed("modify", fd, err)
	}
	e.events, e.data = events, data
	s.changedLocked()
	return nil
}

// Unregister stops watching fd. It is best called before fd is closed, but does not fail if fd is closed
// already, or closed and opened anew as something else. It fails with [ErrNotRegistered] for what is
// not registered, and with [ErrInvalid] for a negative descriptor.
//
// Once it has returned, no Select reports this registration. (Results that an earlier Select has
// returned are the caller's: it may still find fd there.)
func (s *Selector) Unregister(fd int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkLocked("unregister", fd, both); err != nil {
		return err
	}
	e := s.table.at(fd)
	if e == nil {
		return s.failed("unregister", fd, ErrNotRegistered)
	}
	dead, events := e.dead, e.events
	s.table.remove(fd)
	if dead {
		return nil
	}
	err := s.backend.remove(fd, events)
	s.changedLocked()
	if err == nil {
		return nil
	}
	if gone(err) {
		s.suspect = true
		return nil
	}
	return s.failed("unregister", fd, err)
}

// Select waits until a descriptor is ready, and says which are.
//
// A negative timeout waits for ever, zero only looks, and a positive one waits for at least that long:
// it is rounded up to what the system call takes, and a signal does not shorten it. With nothing
// registered it still waits.
//
// The results are written over into, from its start, at most cap(into) of them (with a cap of 0:
// [DefaultRoom], newly allocated), and returned as append would. Give the returned slice to the next
// call, and Select allocates nothing. Each descriptor comes once, with all that it is ready for. When
// more are ready than there is room for, the others come with the next calls, and none starves.
//
// No result and no error means that the time was up, or that [Selector.Wake] was called.
// Select fails with [ErrClosed] when the Selector is closed, also while it waits, with [ErrBusy] when
// another goroutine is in Select, or with what the system call reports. No result comes with an error.
func (s *Selector) Select(timeout time.Duration, into []Ready) ([]Ready, error) {
	if cap(into) == 0 {
		into = make([]Ready, 0, DefaultRoom)
	}
	into = into[:0]
	if !s.turn.TryLock() {
		if s.closed.Load() {
			return into, s.failed("select", noFD, ErrClosed)
		}
		return into, s.failed("select", noFD, ErrBusy)
	}
	defer s.turn.Unlock()

	var start time.Time
	look, left := s.backend.eager(), timeout
	for {
		limit := min(left, longest)
		if look {
			limit = 0
		} else if timeout > 0 && start.IsZero() {
			start = time.Now() // only now: a busy loop needs no clock
		}
		var again bool
		var err error
		if into, again, err = s.round(limit, into); err != nil {
			return into, err
		}
		if again {
			continue // what was closed hid what is ready; each time, it is less
		}
		// A Wake that came before this line had its effect: this call ends.
		if s.woken.Swap(false) || len(into) > 0 || timeout == 0 {
			return into, nil
		}
		// The look found nothing, or the wait was ended by a signal, a kick, or what is not asked for.
		look = false
		if timeout > 0 && !start.IsZero() {
			if left = timeout - time.Since(start); left <= 0 {
				return into, nil
			}
		}
	}
}

// round waits once, for at most limit. It has to be done again if it brought nothing but descriptors that
// are closed, and there may be others: select says only EBADF, and ghosts take up the room.
func (s *Selector) round(limit time.Duration, into []Ready) (_ []Ready, again bool, _ error) {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return into, false, s.failed("select", noFD, ErrClosed)
	}
	room := max(1, min(cap(into), s.table.len()))
	if room > len(s.hits) {
		s.hits = make([]hit, max(room, min(2*len(s.hits), cap(into))))
	}
	mark := s.serial
	s.backend.prepare(room)
	if limit != 0 {
		s.waiting.Store(true) // from here on, a change or a Wake kicks
	}
	s.mu.Unlock()

	wait := limit
	if wait != 0 && s.woken.Load() {
		wait = 0
	}
	n, err := s.backend.wait(s.hits[:room], wait)
	if limit != 0 {
		s.waiting.Store(false)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.kicked = false
	switch {
	case s.closed.Load():
		return into, false, s.failed("select", noFD, ErrClosed)
	case err != nil:
		return into, false, s.failed("select", noFD, err)
	case n == 0:
		return into, false, nil
	}
	into, buried := s.collectLocked(s.hits[:n], mark, into)
	return into, buried && len(into) == 0, nil
}

// collectLocked makes results of what the backend found: it drops what has been unregistered or not
// been asked for in the meantime, and buries what is closed.
func (s *Selector) collectLocked(hits []hit, mark uint64, into []Ready) (_ []Ready, buried bool) {
	rebuild := false
	for _, h := range hits {
		e := s.table.at(int(h.fd))
		switch {
		case e == nil || e.dead:
			rebuild = rebuild || s.suspect
			continue
		case s.haunted != nil && h.id != uint32(e.serial):
			rebuild = rebuild || s.suspect // another generation: late, or a ghost
			continue
		case s.haunted == nil && e.serial > mark:
			continue // registered during the wait: what was found is its predecessor's; look again
		case h.events&vanished != 0:
			s.buryLocked(int(h.fd), e)
			buried = true
			continue
		}
		ready := h.events & e.events
		if ready == 0 {
			continue
		}
		into = append(into, Ready{Key{int(h.fd), e.events, e.data}, ready})
		if e.reports++; e.reports == 0 && s.haunted != nil && !s.haunted.alive(int(h.fd), e.serial, e.events) {
			s.buryLocked(int(h.fd), e)
			rebuild = true
		}
	}
	if rebuild && s.rebuildLocked(len(into) == 0) {
		buried = true
	}
	return into, buried
}

// rebuildLocked lays the ghosts: it moves what is alive to a new kernel object and drops the old one.
func (s *Selector) rebuildLocked(idle bool) bool {
	var keys []watch
	for fd, e := range s.table.all {
		switch {
		case e.dead:
		case s.haunted.alive(fd, e.serial, e.events):
			keys = append(keys, watch{fd, e.serial, e.events})
		default:
			e.dead = true // not buryLocked: what is not moved is gone with the old object
		}
	}
	err := s.haunted.rebuild(keys)
	if err == nil {
		s.suspect = false
		return true
	}
	// There is no descriptor or no memory for it now. The ghost comes again, and so does another try.
	// What is lost until then is time: keep that from being all of a processor's.
	s.suspect = true
	if idle {
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		s.mu.Lock()
	}
	return false
}

// buryLocked stops watching a descriptor that was closed without being unregistered. Its key stays.
func (s *Selector) buryLocked(fd int, e *entry) {
	e.dead = true
	if err := s.backend.remove(fd, e.events); err != nil {
		s.suspect = true
	}
}

// changedLocked brings a change of the table to the attention of a wait that is under way, for a
// backend whose kernel works on a copy.
func (s *Selector) changedLocked() {
	if s.backend.copies() && s.waiting.Load() {
		// A kick that fails means that somebody closed the backend's own descriptor: the wait then
		// reports that itself.
		_ = s.kickLocked()
	}
}

func (s *Selector) kickLocked() error {
	if s.kicked {
		return nil
	}
	err := s.backend.kick()
	s.kicked = err == nil
	return err
}

// Wake ends the Select that is under way, or if there is none, the next one: at once, with what is ready
// at that moment, which may be nothing, and no error. Any goroutine may call it, also one that the
// Select's goroutine waits for. What the caller wrote before Wake is seen after that Select.
//
// Many calls before a Select returns count as one, and cost one system call at most; none if no Select
// is waiting.
func (s *Selector) Wake() error {
	if s.closed.Load() {
		return s.failed("wake", noFD, ErrClosed)
	}
	if s.woken.Swap(true) || !s.waiting.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return s.failed("wake", noFD, ErrClosed)
	}
	if err := s.kickLocked(); err != nil {
		return s.failed("wake", noFD, err)
	}
	return nil
}

// Key is the key of fd, and whether there is one.
func (s *Selector) Key(fd int) (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.table.at(fd)
	if e == nil {
		return Key{}, false
	}
	return Key{fd, e.events, e.data}, true
}

// Keys goes through all keys, in ascending order of descriptors. Keys may be registered, modified and
// unregistered meanwhile; each is given as it is when its turn comes.
func (s *Selector) Keys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for fd := -1; ; {
			s.mu.Lock()
			next, e := s.table.after(fd)
			if e == nil {
				s.mu.Unlock()
				return
			}
			k := Key{next, e.events, e.data}
			s.mu.Unlock()
			if !yield(k) {
				return
			}
			fd = next
		}
	}
}

// Len is the number of registered descriptors.
func (s *Selector) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.len()
}

// Close drops all keys and gives up the kernel's object; the registered descriptors stay open. A Select
// that is waiting ends with [ErrClosed], and Close returns after it has. Every later call fails with
// ErrClosed, a second Close too, and there are no keys any more.
func (s *Selector) Close() error {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return s.failed("close", noFD, ErrClosed)
	}
	s.closed.Store(true)
	s.table = table{}
	var err error
	if s.waiting.Load() {
		err = s.kickLocked()
	}
	s.mu.Unlock()
	if err != nil {
		// Nothing can end the wait, and to close under it would hand its descriptors to a stranger.
		return s.failed("close", noFD, err)
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.backend.close(); err != nil {
		return s.failed("close", noFD, err)
	}
	return nil
}

// checkLocked refuses what no backend is asked for.
func (s *Selector) checkLocked(op string, fd int, events Events) error {
	switch {
	case s.closed.Load():
		return s.failed(op, noFD, ErrClosed)
	case fd < 0:
		return s.failed(op, fd, fmt.Errorf("%w: a descriptor is never negative", ErrInvalid))
	case fd > math.MaxInt32:
		// The kernel would take the lower 32 bits, and watch another one.
		return s.failed(op, fd, fmt.Errorf("%w: a descriptor has 31 bits", ErrInvalid))
	case events == 0:
		return s.failed(op, fd, fmt.Errorf("%w: no events; Unregister stops watching", ErrInvalid))
	case events&^all != 0:
		return s.failed(op, fd, fmt.Errorf("%w: %v; there are only Read, Write and Hangup", ErrInvalid, events))
	case events&Hangup != 0 && events != Hangup:
		return s.failed(op, fd, fmt.Errorf("%w: %v; Hangup stands alone", ErrInvalid, events))
	}
	return nil
}
