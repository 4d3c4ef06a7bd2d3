package shm

import (
	"sync/atomic"
	"unsafe"
)

// The memory as Go sees it. Fields that more than the lock's holder reads are atomics; the others are cells. All have
// the same place and size on every architecture (the test TestLayout).

// A cell is a word that the lock's holder alone writes, plainly: what it wrote is published by the release of the lock.
// It is read by an atomic load, so that what was checked is what is used, whoever else writes over it meanwhile.
type cell struct{ v uint32 }

func (c *cell) load() uint32 { return atomic.LoadUint32(&c.v) }
func (c *cell) set(v uint32) { c.v = v }

const (
	magic   = 0x0a72_696e_6778_6c70 // "plxgnir\n"
	version = 3                     // 1 had no turn, seen and pid, 2 no have

	words = MaxParties / 64 // of a set of parties
	none  = ^uint32(0)      // no slot
)

// What a party can wait for.
const (
	forItem  = iota // something to take
	forRoom         // slots
	forQuiet        // that nothing is unfinished
	waits           // how many kinds there are
)

// A header is the beginning of the memory.
type header struct {
	magic    atomic.Uint64 // these four are written before anybody else sees the memory, and then never
	version  atomic.Uint32
	slots    atomic.Uint32
	slotSize atomic.Uint32
	maxItem  atomic.Uint32
	_        [40]byte

	lock   atomic.Uint32 // see lock_linux.go
	broken atomic.Uint32 // not 0: somebody found the memory corrupt
	swept  atomic.Int64  // when somebody last looked for dead parties, in nanoseconds of CLOCK_MONOTONIC
	seen   atomic.Uint64 // see Ring.heldFor
	turn   cell          // changes whenever the lock is taken
	_      [36]byte

	ready     atomic.Uint32 // how many items are full; read without the lock by who spins
	free      atomic.Uint32 // how many slots are free; likewise
	ended     atomic.Uint32
	undone    atomic.Uint32 // how many items are full or taken
	seq       atomic.Uint64 // the next item's number
	readyHead cell
	readyTail cell
	freeHead  cell
	cursor    [waits]cell // the party after the one that was woken last
	_         [16]byte

	waiting [waits][words]atomic.Uint64 // the parties that wait, a bit each
}

// A party is one of the MaxParties that have the memory open. Its number is its place. It is written by the holder of
// its byte's lock, except words, which who wakes it increments, and used, which who finds it dead clears.
type party struct {
	gen   atomic.Uint32 // of those that had this place before, and this one: 1 to maxGen, then 1 again
	used  atomic.Uint32
	words [waits]atomic.Uint32 // to sleep on
	need  atomic.Uint32        // the slots that it waits for
	pid   atomic.Uint32        // its process, as that knows itself
	_     [36]byte
}

// A slot is the head of a place for bytes.
type slot struct {
	state  atomic.Uint64
	seq    atomic.Uint64 // of the item
	length cell          // of the item, in bytes
	chain  cell          // the next slot of the item
	link   cell          // the next free slot, or the next full item
	have   cell          // of an item that is being written: the slots that it has, while it gets them or gives them back
}

// A state is what a slot is, with the token of the party that it belongs to, and how often it was delivered:
//
//	63      40 39    32 31                 8 7    0
//	deliveries     0    token's 31 bits …      kind
//
// The token takes bits 8 to 38. A slot that continues an item is free by its own state; the item's first one says of
// whom it is.
type state = uint64

const (
	slotFree    = 0
	slotWriting = 1
	slotFull    = 2
	slotTaken   = 3

	maxDeliveries = 1<<24 - 1
)

func stateOf(kind uint64, token uint32, deliveries uint64) state {
	return kind | uint64(token)<<8 | deliveries<<40
}
func kindOf(s state) uint64       { return s & 0xff }
func tokenOf(s state) uint32      { return uint32(s>>8) & (waited - 1) }
func deliveriesOf(s state) uint64 { return s >> 40 }

// at is the address of what lies that far into the memory.
func (r *Ring) at(off uint64) unsafe.Pointer { return unsafe.Pointer(&r.mem[off]) }

func (r *Ring) party(i uint32) *party { return (*party)(r.at(partiesAt + uint64(i)*partySize)) }

// slot is the head of slot i, which the caller has checked.
func (r *Ring) slot(i uint32) *slot { return (*slot)(r.at(slotsAt + uint64(i)*slotHead)) }

// place is the bytes of slot i.
func (r *Ring) place(i uint32) []byte {
	at := r.dataAt + uint64(i)*uint64(r.shape.slotSize)
	return r.mem[at : at+uint64(r.shape.slotSize) : at+uint64(r.shape.slotSize)]
}

// slotsFor is how many slots n bytes need.
func (s shape) slotsFor(n uint32) uint32 {
	if n <= s.slotSize {
		return 1
	}
	return uint32((uint64(n) + uint64(s.slotSize) - 1) / uint64(s.slotSize))
}
