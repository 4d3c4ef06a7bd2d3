package ipc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/plexor-go/plexor/frame"
)

// The protocol between a manager and its clients. Each message is a frame: its length in four bytes, big endian, and as
// many bytes. Integers are varints (package encoding/binary), strings and bytes have their length before them.
//
//	manager   greeting, 32 random bytes
//	client    32 random bytes, proof("client")
//	manager   verdict, proof("server"), greatest size of a request; or "no"
//
//	proof(who) = HMAC-SHA-256(token, who | manager's bytes | client's bytes)
//
//	client    request = id, kind, step...          id: chosen by the client, unique among its open calls
//	manager   reply   = id, status, n, item...     in any order; with the id of a watch: an event of it
//
// A request of kind call has one step; its reply comes when it is done, which for what waits may take long. A batch has
// several, done as one. A cancel has none: if the call with its id still waits, that is answered with codeCancelled;
// otherwise its reply is on its way already. So every call and batch has one reply, and a cancel none.
const (
	greeting  = "plexor manager 1\n"
	nonceSize = 32
	proofSize = sha256.Size
	verdictOK = "ok"
	verdictNo = "no"
)

// maxHello is the longest message before the token is proved, in bytes.
const maxHello = 256

// replyOverhead is what a reply may be longer than the longest request, in bytes: what came in a request, and a few
// numbers.
const replyOverhead = 64

func managerCodec(most int) frame.Codec { return frame.Length{Bytes: 4, Max: most} }

func tokenProof(token []byte, who string, server, client []byte) []byte {
	m := hmac.New(sha256.New, token)
	m.Write([]byte(who))
	m.Write(server)
	m.Write(client)
	return m.Sum(nil)
}

// The kinds of a request.
const (
	kindCall = iota + 1
	kindBatch
	kindCancel
)

// The statuses of a reply.
const (
	statusOK    = iota // done
	statusNo           // done, and the answer is no: not there, not equal, not free
	statusError        // n is a code; one item is the text
	statusEvent        // of a watch: n is the op; the items are key and value
	statusLost         // of a watch: n events were dropped
)

// The codes of errors.
const (
	codeMalformed = iota + 1
	codeKind
	codeBound
	codeIndex
	codeNotHeld
	codeCancelled
	codeBarrier
	codeInUse
	codeBusy
)

// An op is what a step does. Its arguments are n, m, a, b.
type op byte

const (
	opMapGet    op = iota + 1 // a: key
	opMapSet                  // a: key, b: value
	opMapDelete               // a: key
	opMapLen
	opMapAll
	opMapIs    // a: key, b: value
	opMapHas   // a: key
	opMapLacks // a: key

	opListGet    // n: index
	opListSet    // n: index, a: value
	opListInsert // n: index, a: value; -1: at the end
	opListRemove // n: index
	opListLen
	opListAll

	opValueGet
	opValueSet // a: value
	opValueIs  // a: value
	opValueLacks

	opCounterAdd // n
	opCounterSet // n
	opCounterIs  // n

	opLock   // n: 1 shared; m: 1 do not wait
	opUnlock // n: token
	opLockIs // n: token

	opAcquire // n: units, m: 1 do not wait, total in a
	opRelease // n: token

	opEventSet
	opEventClear
	opEventIs
	opEventWait

	opBarrierWait // n: parties

	opQueuePut // n: bound, m: 1 do not wait, a: value
	opQueueGet // n: bound, m: 1 do not wait
	opQueueLen // n: bound

	opWatch   // n: kind
	opUnwatch // n: id of the watch
	opRemove
	opEnd // what is none
)

// A kind is what a name stands for.
type kind byte

const (
	kindMap kind = iota + 1
	kindList
	kindValue
	kindCounter
	kindLock
	kindSemaphore
	kindEvent
	kindBarrier
	kindQueue
	kindEnd // what is none
)

func (k kind) String() string {
	names := [...]string{"nothing", "map", "list", "value", "counter", "lock", "semaphore", "event", "barrier", "queue"}
	return names[k]
}

// kindOf is the kind that an op is for; 0 for those of any.
func kindOf(o op) kind {
	switch {
	case o <= opMapLacks:
		return kindMap
	case o <= opListAll:
		return kindList
	case o <= opValueLacks:
		return kindValue
	case o <= opCounterIs:
		return kindCounter
	case o <= opLockIs:
		return kindLock
	case o <= opRelease:
		return kindSemaphore
	case o <= opEventWait:
		return kindEvent
	case o <= opBarrierWait:
		return kindBarrier
	case o <= opQueueLen:
		return kindQueue
	}
	return 0
}

// A step is an op and its arguments. Read from a message, a and b are views of it.
type step struct {
	op   op
	name string
	n, m int64
	a, b []byte
}

func (s *step) append(p []byte) []byte {
	p = append(p, byte(s.op))
	p = appendBytes(p, s.name)
	p = binary.AppendVarint(p, s.n)
	p = binary.AppendVarint(p, s.m)
	p = appendBytes(p, s.a)
	return appendBytes(p, s.b)
}

func appendBytes[B string | []byte](p []byte, b B) []byte {
	p = binary.AppendUvarint(p, uint64(len(b)))
	return append(p, b...)
}

// A reader takes a message apart. What is wrong with it is noticed at the end.
type reader struct {
	p   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.p) == 0 {
		r.bad = true
		return 0
	}
	b := r.p[0]
	r.p = r.p[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.p)
	if n <= 0 {
		r.bad, r.p = true, nil
		return 0
	}
	r.p = r.p[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.p)
	if n <= 0 {
		r.bad, r.p = true, nil
		return 0
	}
	r.p = r.p[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.p)) {
		r.bad, r.p = true, nil
		return nil
	}
	b := r.p[:n:n]
	r.p = r.p[n:]
	return b
}

func (r *reader) step(s *step) {
	s.op = op(r.byte())
	s.name = string(r.bytes())
	s.n, s.m = r.varint(), r.varint()
	s.a, s.b = r.bytes(), r.bytes()
	if s.op == 0 || s.op >= opEnd {
		r.bad = true
	}
}

// maxSteps bounds a batch.
const maxSteps = 1024

// readRequest takes a request apart; the steps are appended to steps.
func readRequest(msg []byte, steps []step) (id uint64, what byte, _ []step, err error) {
	r := reader{p: msg}
	id, what = r.uvarint(), r.byte()
	for len(r.p) > 0 && !r.bad && len(steps) <= maxSteps {
		var s step
		r.step(&s)
		steps = append(steps, s)
	}
	switch {
	case r.bad || len(r.p) > 0:
	case what == kindCall && len(steps) == 1, what == kindBatch, what == kindCancel && len(steps) == 0:
		return id, what, steps, nil
	}
	return id, what, nil, fmt.Errorf("%w: a request of %d bytes", ErrMalformed, len(msg))
}

// A reply is the answer to a request.
type reply struct {
	status byte
	n      int64
	items  [][]byte
}

func (rp *reply) append(p []byte, id uint64) []byte {
	p = binary.AppendUvarint(p, id)
	p = append(p, rp.status)
	p = binary.AppendVarint(p, rp.n)
	for _, it := range rp.items {
		p = appendBytes(p, it)
	}
	return p
}

// readReply takes a reply apart; its items are views of msg.
func readReply(msg []byte) (id uint64, rp reply, err error) {
	r := reader{p: msg}
	id, rp.status, rp.n = r.uvarint(), r.byte(), r.varint()
	for len(r.p) > 0 && !r.bad {
		rp.items = append(rp.items, r.bytes())
	}
	if r.bad || rp.status > statusLost {
		return id, rp, fmt.Errorf("%w: a reply of %d bytes", ErrMalformed, len(msg))
	}
	return id, rp, nil
}

// item is one of the items, nil if there are not so many.
func (rp *reply) item(i int) []byte {
	if i < len(rp.items) {
		return rp.items[i]
	}
	return nil
}
