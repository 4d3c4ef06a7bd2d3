package selector

import "time"

// A backend is one multiplexer of the kernel: system calls and translation, no policy. The Selector
// keeps the table, the rules of the arguments, the deadline and the order of things.
//
// Every method but wait is called with the Selector's lock held. prepare and wait are called by one
// goroutine at a time, in pairs; add, modify, remove and kick may come during wait, from others, and
// touch nothing that wait uses without the kernel's or a lock's help. close comes last, when nobody is
// in wait.
//
// The descriptor is never negative, fits into 31 bits, and the events are Read, Write or both, or Hangup alone. Errors
// carry the system call (os.SyscallError) where there was one.
type backend interface {
	// add starts to watch fd. It fails, and then watches nothing, if fd is closed or the kernel cannot
	// wait for it. A backend that can mark its events takes the lower half of serial as the mark. If
	// the kernel still knows fd, from before it was closed and opened anew, add takes that over.
	add(fd int, serial uint64, events Events) error

	// modify changes from old, which add or modify were last given, to events; the two differ. It
	// fails, and changes nothing, if fd is closed, or is another file (if the kernel can tell).
	modify(fd int, serial uint64, old, events Events) error

	// remove stops watching. Whatever the error, the backend itself holds nothing of fd afterwards. An
	// error for which gone is true says that fd is no longer what was added: the kernel may have
	// forgotten it, or keep it out of reach.
	remove(fd int, events Events) error

	// copies says whether wait works on a copy that prepare makes, so that a wait under way must be
	// kicked for a change to take effect.
	copies() bool

	// prepare gets ready for a wait with room for that many hits, at least one.
	prepare(room int)

	// eager says whether a wait of zero is worth its price before one that may block: it does not tell
	// the Go scheduler, which saves that about as much as a small system call costs, and it is wasted
	// if nothing is ready.
	eager() bool

	// wait fills hits with what is ready, and returns how many there are. It waits until one is, for
	// at most limit (which it may round up, and may fall short of), for ever if limit is negative, and
	// not at all if it is zero. It returns early, with none, on a signal and on a kick. At most one hit
	// a descriptor; hang-up and error are all events. If there are more than hits can hold, later calls with
	// the same hits get through all of them. It never reports what is the backend's own.
	wait(hits []hit, limit time.Duration) (int, error)

	// kick makes the wait that is under way, or else the next one, return early. It does not block.
	kick() error

	// close gives up what the backend holds of the kernel.
	close() error
}

// haunted is a backend whose kernel may go on reporting a descriptor that was closed while a duplicate
// of it lives, and lets nobody remove it any more. Its hits carry marks.
type haunted interface {
	// alive says whether fd still is the file that was added. It has no effect.
	alive(fd int, serial uint64, events Events) bool

	// rebuild starts anew, with these alone. If it fails, all is as before.
	rebuild(keys []watch) error
}

// watch is a descriptor that a backend watches.
type watch struct {
	fd     int
	serial uint64
	events Events
}

// hit is a descriptor for which the kernel has news.
type hit struct {
	fd     int32
	id     uint32 // the mark: the lower half of the serial, if the backend is haunted
	events Events // may be more than was asked; with vanished, nothing else counts
}

// vanished, among the events of a hit, says that the descriptor is closed.
const vanished Events = 1 << 7
