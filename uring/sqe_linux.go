package uring

import "unsafe"

// An SQE is a submission, laid out as the kernel reads it (64 bytes). [Ring.SQE] gives a cleared one in the memory
// that is shared with the kernel, one of the methods named after the operations fills it, and then the caller sets
// UserData, and what else it wants in Flags and IOPrio:
//
//	sqe := ring.SQE()
//	sqe.Send(fd, buf, unix.MSG_NOSIGNAL)
//	sqe.UserData = 7
//	sqe.Flags |= uring.SQELink
//
// An entry is the caller's until the next call that enters the kernel, and never after. The methods set only the
// fields that the operation needs, so an entry is to be prepared once.
//
// Operations without a method (files, directories, futexes, …) can be written field by field; then it is for the
// caller to see that addresses stay valid.
type SQE struct {
	Op          Op
	Flags       SQEFlags
	IOPrio      uint16 // flags of receives, sends and accepts
	FD          int32  // a descriptor, or with SQEFixedFile a slot
	Off         uint64 // offset; a second address
	Addr        uint64
	Len         uint32
	OpFlags     uint32 // of the operation: MSG_…, SOCK_…, timeout and cancel flags, …
	UserData    uint64 // comes back in the completion, unlooked at
	BufIndex    uint16 // registered buffer, or group of provided buffers
	Personality uint16 // registered credentials
	FileIndex   uint32 // slot + 1 for a new direct descriptor; length of a second address
	Addr3       uint64
	_           uint64
}

const (
	sqeSize = 64
	cqeSize = 16
)

var (
	_ [sqeSize - unsafe.Sizeof(SQE{})]byte
	_ [unsafe.Sizeof(SQE{}) - sqeSize]byte
	_ [cqeSize - unsafe.Sizeof(CQE{})]byte
	_ [unsafe.Sizeof(CQE{}) - cqeSize]byte
)
