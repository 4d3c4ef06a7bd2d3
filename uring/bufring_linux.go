package uring

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"
)

// Buffer rings (Linux 5.19): a queue of buffers that the kernel takes from when data is there, so that a connection
// that waits for data needs no buffer. The queue is memory shared with the kernel:
//
//	entry 0:  | addr 64 | len 32 | id 16 | tail 16 |     the ring's tail lies in entry 0's spare bits
//	entry i:  | addr 64 | len 32 | id 16 | –       |
//
// The program appends at the tail; the kernel takes from a head of its own. Where a buffer of a given id stands in the
// ring (its place) matters for bundles, where one completion names the first buffer only, and the others are those in
// the places behind it.
//
// A buffer's way:
//
//	spare ──▶ in the ring ──▶ with the program (held) ──▶ in the ring, or spare if there are more than wanted
//
// In a ring for sends it is the program that fills them, so that they make a round:
//
//	spare ──▶ taken, to be written ──▶ in the ring ──▶ sent (held) ──▶ spare
//
// With incremental consumption (6.12) the kernel takes a buffer piece by piece, so that it is in the ring and with the
// program at the same time. Therefore each piece handed out is counted, and a buffer goes back when the kernel is
// through with it (no [CQEBufMore]) and every piece of it has been released.

// BufRingOptions say what a buffer ring is made of.
type BufRingOptions struct {
	// Group is the number that submissions name; it is the caller's choice, and a ring has one BufRing a group.
	Group uint16
	// Entries is how many buffers there can be, a power of two from 1 to 32768.
	Entries int
	// Size is the size of a buffer in bytes.
	Size int
	// Start is how many of the buffers are in use at first; 0 means Entries. The others cost no memory until
	// [BufRing.SetLimit] brings them in.
	Start int
	// Incremental: the kernel fills a buffer with the data of several completions, until it is full (Linux 6.12). Then
	// a few large buffers do what many small ones did, without waste for small messages; but a buffer comes back only
	// when each of its pieces has been released.
	Incremental bool
	// Send: the buffers are for sends ([SQE.SendBundle]). The kernel has none until [BufRing.Queue] gives it one. Start
	// and Incremental have no meaning then, and are refused.
	Send bool
}

// A BufRing is a group of provided buffers that receives of one ring take from, or that sends do. It belongs to the
// ring's goroutine.
//
// Every piece of data got by Data or Segments is the program's until it calls Release with the buffer's identity,
// exactly once a piece. Released buffers are seen by the kernel from the ring's next enter on (or Publish).
type BufRing struct {
	ring      *Ring
	group     uint16
	inc, send bool
	size      uint32
	mask      uint16
	tail      uint16 // where the next buffer goes; counts up, wraps at 2^16
	published uint16
	entries   []bufEntry // shared with the kernel
	states    []bufState // by identity
	data      []byte
	spare     []uint16
	limit     int // how many buffers are to be in use
	inUse     int // in the ring or held
	held      int
	queue     *Memory
	mem       *Memory
}

type bufEntry struct {
	addr   uint64
	len    uint32
	idTail uint32 // identity; in entry 0 the ring's tail as well
}

type bufState struct {
	len   uint32 // of what was put into the ring: the buffer's size, or what is to be sent
	used  uint32 // bytes handed out since then
	refs  uint32 // pieces not released
	place uint16
	where bufWhere
}

type bufWhere uint8

const (
	bufSpare  bufWhere = iota
	bufInRing          // the kernel has it, or the rest of it
	bufHeld            // the kernel is through with it
	bufTaken           // the program writes into it what is to be sent
)

const (
	maxBufEntries  = 32768
	pbufRingInc    = 2
	bufEntryLength = 16
)

// NewBufRing makes a buffer ring, with Entries × Size bytes of address space for its buffers.
func (r *Ring) NewBufRing(o BufRingOptions) (*BufRing, error) {
	op := fmt.Sprintf("make the buffer ring of group %d (%d × %d bytes)", o.Group, o.Entries, o.Size)
	switch {
	case o.Send && (o.Start != 0 || o.Incremental):
		return nil, &Error{Op: op, Err: os.ErrInvalid, Hint: "Start and Incremental are for receives, and Send is set"}
	case o.Start == 0:
		o.Start = o.Entries
	}
	switch {
	case o.Entries < 1 || o.Entries > maxBufEntries || o.Entries&(o.Entries-1) != 0:
		return nil, &Error{Op: op, Err: os.ErrInvalid, Hint: "Entries is a power of two from 1 to 32768"}
	case o.Size < 1 || o.Size > 1<<30:
		return nil, &Error{Op: op, Err: os.ErrInvalid, Hint: "Size is from 1 byte to 1 GiB"}
	case o.Start < 1 || o.Start > o.Entries:
		return nil, &Error{Op: op, Err: os.ErrInvalid, Hint: "Start is at most Entries"}
	case o.Entries > maxInt/o.Size:
		return nil, &Error{Op: op, Err: os.ErrInvalid, Hint: "this is more than fits the address space"}
	}
	b := &BufRing{
		ring: r, group: o.Group, inc: o.Incremental, send: o.Send, size: uint32(o.Size), mask: uint16(o.Entries - 1),
		states: make([]bufState, o.Entries), spare: make([]uint16, 0, o.Entries),
	}
	var err error
	if b.queue, err = Map(o.Entries * bufEntryLength); err != nil {
		return nil, err
	}
	if b.mem, err = Map(o.Entries * o.Size); err != nil {
		b.queue.Free()
		return nil, err
	}
	b.data = b.mem.data
	b.entries = unsafe.Slice((*bufEntry)(unsafe.Pointer(unsafe.SliceData(b.queue.data))), o.Entries)
	if err := r.registerBufRing(op, b); err != nil {
		b.queue.Free()
		b.mem.Free()
		return nil, err
	}
	for id := o.Entries - 1; id >= 0; id-- {
		b.spare = append(b.spare, uint16(id))
	}
	r.bufRings = append(r.bufRings, b)
	if !b.send {
		b.SetLimit(o.Start)
		b.Publish()
	}
	return b, nil
}

type bufReg struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

func (r *Ring) registerBufRing(op string, b *BufRing) error {
	a := bufReg{addr: uint64(uintptr(unsafe.Pointer(&b.entries[0]))), entries: uint32(len(b.entries)), group: b.group}
	since := "5.19"
	if b.inc {
		a.flags, since = pbufRingInc, "6.12 (incremental)"
	}
	_, err := r.register(op, since, registerPbufRing, unsafe.Pointer(&a), 1)
	return err
}

// Group is the number that submissions name.
func (b *BufRing) Group() uint16 { return b.group }

// Size is the size of a buffer in bytes.
func (b *BufRing) Size() int { return int(b.size) }

// Held is how many buffers the program has not yet given back, those with pieces out and the rest in the ring not
// counted.
func (b *BufRing) Held() int { return b.held }

// InUse is how many buffers there are, in the ring or held.
func (b *BufRing) InUse() int { return b.inUse }

// SetLimit changes how many buffers are to be in use, from 1 to Entries. More are there at once; if there are too
// many, those released next go out of use, and give their pages back to the system. In a ring for sends there is no
// such limit, and it does nothing.
func (b *BufRing) SetLimit(n int) {
	if b.send {
		return
	}
	b.limit = max(1, min(n, len(b.states)))
	for b.inUse < b.limit {
		id := b.spare[len(b.spare)-1]
		b.spare = b.spare[:len(b.spare)-1]
		b.inUse++
		b.put(id, b.size)
	}
}

// Take gives a free buffer of a ring for sends, to be written into until Queue has it, and its identity; nil if there
// is none.
func (b *BufRing) Take() (id uint16, buf []byte) {
	if !b.send {
		panic(fmt.Sprintf("uring: Take of group %d, whose buffers are for receives", b.group))
	}
	if len(b.spare) == 0 {
		return 0, nil
	}
	id = b.spare[len(b.spare)-1]
	b.spare = b.spare[:len(b.spare)-1]
	b.inUse++
	b.states[id].where = bufTaken
	return id, b.bytes(id)
}

// Queue puts the first n bytes of a buffer got by Take behind what is to be sent. They are the kernel's until a
// completion has them ([BufRing.Segments]). It panics if there are not so many, or none.
func (b *BufRing) Queue(id uint16, n int) {
	if s := b.states[id]; s.where != bufTaken || n < 1 || n > int(b.size) {
		panic(fmt.Sprintf("uring: Queue of %d bytes of buffer %d of group %d, which has %d and must have been got by Take", n,
			id, b.group, b.size))
	}
	b.put(id, uint32(n))
}

// put appends n bytes of a buffer to the ring.
func (b *BufRing) put(id uint16, n uint32) {
	place := b.tail & b.mask
	e := &b.entries[place]
	e.addr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b.data)))) + uint64(id)*uint64(b.size)
	e.len = n
	if place == 0 {
		atomic.StoreUint32(&e.idTail, idTail(id, b.published))
	} else {
		e.idTail = idTail(id, 0)
	}
	b.states[id] = bufState{len: n, place: place, where: bufInRing}
	b.tail++
}

// idTail is the last 4 bytes of an entry: two 16-bit numbers in the machine's byte order, the identity first.
func idTail(id, tail uint16) uint32 {
	if bigEndian {
		return uint32(id)<<16 | uint32(tail)
	}
	return uint32(tail)<<16 | uint32(id)
}

// Publish shows the kernel all buffers that were released. Every enter of the ring does it.
func (b *BufRing) Publish() {
	if b.tail == b.published {
		return
	}
	b.published = b.tail
	// There is no atomic store of 16 bits; the other 16 are the identity of entry 0, which is ours to write.
	e := &b.entries[0]
	atomic.StoreUint32(&e.idTail, idTail(b.idAt(0), b.tail))
}

func (b *BufRing) idAt(place uint16) uint16 {
	if bigEndian {
		return uint16(b.entries[place].idTail >> 16)
	}
	return uint16(b.entries[place].idTail)
}

// Data is what a receive put into one buffer: the c.Res bytes of a completion that used one and is of no bundle. The
// piece is the program's until Release(c.BufferID()). A completion without a buffer has none: nil, and nothing is to be
// released.
func (b *BufRing) Data(c *CQE) []byte {
	if !c.HasBuffer() {
		return nil
	}
	id, n := c.BufferID(), uint32(max(c.Res, 0))
	s := &b.states[id]
	if s.where != bufInRing || n > s.len-s.used {
		panic(fmt.Sprintf("uring: completion of %d bytes in buffer %d of group %d, which the kernel does not have, or not "+
			"with so much room: "+
			"use Segments for bundles", c.Res, id, b.group))
	}
	at := int(id)*int(b.size) + int(s.used)
	s.used += n
	s.refs++
	if c.Flags&CQEBufMore == 0 {
		s.where = bufHeld
		b.held++
	}
	return b.data[at : at+int(n) : at+int(n)]
}

// take hands out up to n bytes of a buffer. last: the kernel is through with it, unless bytes are left for another
// buffer of the bundle, when it is anyway.
func (b *BufRing) take(id uint16, n uint32, last bool) (piece []byte, rest uint32) {
	if int(id) >= len(b.states) || b.states[id].where != bufInRing {
		panic(fmt.Sprintf("uring: completion for buffer %d of group %d, which the kernel does not have", id, b.group))
	}
	s := &b.states[id]
	from := s.used
	piece, rest = b.bytes(id)[from:s.len:s.len], 0
	if n > uint32(len(piece)) {
		rest = n - uint32(len(piece))
	} else {
		piece = piece[:n:n]
	}
	s.used += uint32(len(piece))
	s.refs++
	if last || rest > 0 {
		s.where = bufHeld
		b.held++
	}
	return piece, rest
}

func (b *BufRing) bytes(id uint16) []byte {
	at := int(id) * int(b.size)
	return b.data[at : at+int(b.size) : at+int(b.size)]
}

// Retain asks for one more Release of a buffer that a piece was got from, for who shares it.
func (b *BufRing) Retain(id uint16) {
	s := &b.states[id]
	if s.refs == 0 {
		panic(fmt.Sprintf("uring: Retain of buffer %d of group %d, which nobody has", id, b.group))
	}
	s.refs++
}

// Release gives one piece of a buffer back. With the last one, the kernel can have the buffer again; in a ring for
// sends, Take can. A Release too many panics.
func (b *BufRing) Release(id uint16) {
	s := &b.states[id]
	if s.refs == 0 {
		panic(fmt.Sprintf("uring: Release of buffer %d of group %d, which nobody has", id, b.group))
	}
	s.refs--
	if s.refs > 0 || s.where != bufHeld {
		return
	}
	b.held--
	if !b.send && b.inUse <= b.limit {
		b.put(id, b.size)
		return
	}
	b.inUse--
	*s = bufState{where: bufSpare}
	b.spare = append(b.spare, id)
	if b.send {
		return // it is the next to be taken
	}
	_ = b.mem.Release(b.bytes(id)) // a hint to the system; if it fails the pages stay
}

// Segments are the pieces of a completion, one a buffer. See [BufRing.Segments].
type Segments struct {
	ring  *BufRing
	left  uint32
	place uint16
	more  bool // the kernel goes on with the last buffer
	begun bool
	valid bool
	// ID is the buffer of the piece, for Release; Data are its bytes.
	ID   uint16
	Data []byte
}

// Segments goes over the pieces of any completion with a buffer, bundles too, in their order:
//
//	for s := br.Segments(c); s.Next(); {
//		use(s.Data)
//		br.Release(s.ID)
//	}
func (b *BufRing) Segments(c *CQE) Segments {
	s := Segments{ring: b, left: uint32(max(c.Res, 0)), valid: c.HasBuffer(), more: c.Flags&CQEBufMore != 0}
	if s.valid {
		s.place = b.states[c.BufferID()&b.mask].place
		s.ID = c.BufferID()
	}
	return s
}

// Next moves to the next piece, and reports whether there is one.
func (s *Segments) Next() bool {
	if !s.valid || s.begun && s.left == 0 {
		return false
	}
	if s.begun {
		s.place = (s.place + 1) & s.ring.mask
		s.ID = s.ring.idAt(s.place)
	}
	s.begun = true
	s.Data, s.left = s.ring.take(s.ID, s.left, !s.more)
	return true
}

// Available asks the kernel how many buffers it has still to fill (Linux 6.8).
func (b *BufRing) Available() (int, error) {
	a := struct {
		group, head uint32
		_           [8]uint32
	}{group: uint32(b.group)}
	if _, err := b.ring.register("ask for the state of a buffer ring", "6.8", registerPbufStatus, unsafe.Pointer(&a),
		1); err != nil {
		return 0, err
	}
	return int(b.published - uint16(a.head)), nil
}

// Close takes the group from the ring and frees its memory; bytes got from it must not be touched any more. Cancel
// what uses the group first, and see its completions. [Ring.Close] does this for every buffer ring. A second Close does
// nothing.
func (b *BufRing) Close() error {
	i := slices.Index(b.ring.bufRings, b)
	if i < 0 {
		return nil
	}
	b.ring.bufRings = slices.Delete(b.ring.bufRings, i, i+1)
	a := bufReg{group: b.group}
	if _, err := b.ring.register("close a buffer ring", "5.19", unregisterPbufRing, unsafe.Pointer(&a), 1); err != nil {
		// It would be written to after it is gone. Leaking it is the lesser harm.
		return err
	}
	return b.free()
}

func (b *BufRing) free() error {
	b.data, b.entries = nil, nil
	return errors.Join(b.queue.Free(), b.mem.Free())
}
