package uring

import (
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"
)

// A Ring is one io_uring: a queue of submissions to the kernel and a queue of completions from it. [New] makes it.
//
// A Ring belongs to one goroutine at a time; nothing in it is locked. With SetupSingleIssuer it belongs to one OS
// thread, so to a goroutine that is locked to it ([runtime.LockOSThread]); calls from another thread fail with
// [ErrWrongThread] as soon as they reach the kernel. From other goroutines a ring is reached by a message of another
// ring ([SQE.MsgRing]), by [SendMessage], or by an eventfd that it reads.
type Ring struct {
	// The submission queue. Entries from sqHead to sqTail are prepared and the kernel has not taken them;
	// both only grow, and wrap at 2^32. The kernel's own copies are in the shared memory.
	sqes             unsafe.Pointer
	sqHead, sqTail   uint32
	sqMask           uint32
	sqEntries        uint32
	cqHead           uint32 // read up to here
	cqMask           uint32
	cqEntries        uint32
	kSQHead, kSQTail *uint32
	kCQHead, kCQTail *uint32
	cqes             unsafe.Pointer

	enterFD    int    // the descriptor, or its number in the thread's table
	enterFlags uint32 // for every enter
	waitFlags  uint32 // for those that block
	flags      SetupFlags
	features   FeatureFlags
	bufRings   []*BufRing

	kSQFlags, kSQDropped *uint32
	kCQOverflow          *uint32
	fd                   int
	tid                  int // of the thread that it is bound to
	registered           bool
	ringMap, sqeMap      []byte
	scratch              *Memory // arguments of a wait, then scratchSize bytes for each submission
	support              *Support
}

const (
	scratchArgs = 64
	scratchSize = 128
)

// FD is the ring's descriptor: for [SQE.MsgRing], or to be watched by epoll (readable when there are completions). It
// stays the ring's.
func (r *Ring) FD() int { return r.fd }

// Entries and CQEntries are the sizes of the queues as the kernel made them.
func (r *Ring) Entries() int { return int(r.sqEntries) }

// CQEntries is the size of the completion queue.
func (r *Ring) CQEntries() int { return int(r.cqEntries) }

// FeatureFlags are what the kernel says of itself.
func (r *Ring) FeatureFlags() FeatureFlags { return r.features }

// SQE gives the next free entry of the submission queue, cleared, which makes it a Nop; nil if the queue is full:
// submit, then ask again. An entry that was asked for is submitted, prepared or not.
func (r *Ring) SQE() *SQE {
	if r.sqTail-r.sqHead >= r.sqEntries && !r.roomNow() {
		return nil
	}
	s := (*SQE)(unsafe.Add(r.sqes, uintptr(r.sqTail&r.sqMask)*sqeSize))
	r.sqTail++
	*s = SQE{}
	return s
}

// roomNow looks whether the kernel's own thread has taken entries in the meantime (SetupSQPoll).
func (r *Ring) roomNow() bool {
	if r.flags&SetupSQPoll == 0 || r.sqEntries == 0 {
		return false
	}
	r.sqHead = atomic.LoadUint32(r.kSQHead)
	return r.sqTail-r.sqHead < r.sqEntries
}

// NextSQE is SQE, but submits if the queue is full. A chain of links must not be torn apart so: ask [Ring.Room] before.
func (r *Ring) NextSQE() (*SQE, error) {
	if s := r.SQE(); s != nil {
		return s, nil
	}
	if _, err := r.Submit(); err != nil {
		return nil, err
	}
	if s := r.SQE(); s != nil {
		return s, nil
	}
	if r.flags&SetupSQPoll != 0 {
		if err := r.waitRoom(); err != nil {
			return nil, err
		}
		if s := r.SQE(); s != nil {
			return s, nil
		}
	}
	return nil, ErrAgain
}

// Room is how many entries SQE can still give before a submit.
func (r *Ring) Room() int {
	r.roomNow()
	return int(r.sqEntries - (r.sqTail - r.sqHead))
}

// Prepared is how many entries have been asked for and not been taken by the kernel.
func (r *Ring) Prepared() int {
	r.roomNow()
	return int(r.sqTail - r.sqHead)
}

// Timespec gives a place for a time that the entry last got from SQE refers to, with d in it. It is good until that
// entry is submitted.
func (r *Ring) Timespec(d time.Duration) *Timespec {
	t := (*Timespec)(r.slotScratch())
	t.Set(d)
	return t
}

// Sockaddr gives a place for an address that the entry last got from SQE refers to, with a in it. It is good until
// that entry is submitted.
func (r *Ring) Sockaddr(a netip.AddrPort) (*Sockaddr, error) {
	s := (*Sockaddr)(r.slotScratch())
	return s, s.SetAddrPort(a)
}

// SockaddrUnix is Sockaddr for the address of a Unix socket.
func (r *Ring) SockaddrUnix(path string) (*Sockaddr, error) {
	s := (*Sockaddr)(r.slotScratch())
	return s, s.SetUnix(path)
}

func (r *Ring) slotScratch() unsafe.Pointer {
	if r.sqTail == r.sqHead {
		panic("uring: no entry was got from SQE since the last submit, so there is none that this could be for")
	}
	at := scratchArgs + scratchSize*int((r.sqTail-1)&r.sqMask)
	return unsafe.Pointer(&r.scratch.data[at : at+scratchSize][0])
}

// Ready gives completions that have come, in the shared memory: those up to the end of the queue's memory, so maybe
// not all. They are the caller's until it calls Advance. It does not enter the kernel; with SetupDeferTaskrun only
// an enter makes completions at all.
//
//	for cqes := r.Ready(); len(cqes) > 0; cqes = r.Ready() {
//		for i := range cqes {
//			handle(&cqes[i])
//		}
//		r.Advance(len(cqes))
//	}
func (r *Ring) Ready() []CQE {
	if r.kCQTail == nil {
		return nil
	}
	at := r.cqHead & r.cqMask
	n := min(atomic.LoadUint32(r.kCQTail)-r.cqHead, r.cqEntries-at)
	return unsafe.Slice((*CQE)(unsafe.Add(r.cqes, uintptr(at)*cqeSize)), n)
}

// Peek gives the next completion, nil if there is none. It is the caller's until it calls Advance(1).
func (r *Ring) Peek() *CQE {
	if r.kCQTail == nil || atomic.LoadUint32(r.kCQTail) == r.cqHead {
		return nil
	}
	return (*CQE)(unsafe.Add(r.cqes, uintptr(r.cqHead&r.cqMask)*cqeSize))
}

// Advance gives the places of the next n completions back to the kernel. It panics if there are not so many.
func (r *Ring) Advance(n int) {
	if uint(n) > uint(r.Len()) {
		panic("uring: Advance past the completions that there are")
	}
	if n > 0 {
		r.cqHead += uint32(n)
		atomic.StoreUint32(r.kCQHead, r.cqHead)
	}
}

// Len is how many completions can be read.
func (r *Ring) Len() int {
	if r.kCQTail == nil {
		return 0
	}
	return int(atomic.LoadUint32(r.kCQTail) - r.cqHead)
}

// Overflowed reports whether completions found no room and wait in the kernel. They come into the queue when there is
// room and the kernel is entered by SubmitAndPoll or SubmitAndWait. Until then they cost memory and
// time, and submissions may fail with [ErrBusy]: make the completion queue larger.
func (r *Ring) Overflowed() bool {
	return r.kSQFlags != nil && atomic.LoadUint32(r.kSQFlags)&sqCQOverflow != 0
}

// Pending reports whether completions wait to be made by an enter (SetupTaskrunFlag).
func (r *Ring) Pending() bool {
	return r.kSQFlags != nil && atomic.LoadUint32(r.kSQFlags)&sqTaskrun != 0
}

// Lost counts completions that were dropped for ever, as the kernel had no memory to keep them. It is 0 on a sane
// system; otherwise operations are in an unknown state.
func (r *Ring) Lost() uint32 {
	if r.kCQOverflow == nil {
		return 0
	}
	return atomic.LoadUint32(r.kCQOverflow)
}

const (
	sqNeedWakeup = 1 << 0
	sqCQOverflow = 1 << 1
	sqTaskrun    = 1 << 2
)
