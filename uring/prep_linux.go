package uring

// Flags of polls, in Len.
const (
	pollMulti          uint32 = 1 << 0
	pollUpdateEvents   uint32 = 1 << 1
	pollUpdateUserData uint32 = 1 << 2
)

// Nop does nothing (Linux 5.1). Res is 0.
func (s *SQE) Nop() { s.Op, s.FD = OpNop, -1 }

// NopResult does nothing and completes with that result (Linux 6.10): for tests of what handles completions.
func (s *SQE) NopResult(res int32) {
	s.Op, s.FD, s.Len, s.OpFlags = OpNop, -1, uint32(res), 1
}

// Read reads into buf (pread(2), Linux 5.6), the kernel's until the completion. off is the file's offset; ^uint64(0)
// its own position, as for what has none.
func (s *SQE) Read(fd int, buf []byte, off uint64) {
	s.Op, s.FD, s.Addr, s.Len, s.Off = OpRead, int32(fd), guardBytes(buf), length(len(buf)), off
}

// Write writes buf (pwrite(2), Linux 5.6), the kernel's until the completion. off is as for Read.
func (s *SQE) Write(fd int, buf []byte, off uint64) {
	s.Op, s.FD, s.Addr, s.Len, s.Off = OpWrite, int32(fd), guardBytes(buf), length(len(buf)), off
}

// ReadFixed is Read into a part of the registered buffer index (Linux 5.1).
func (s *SQE) ReadFixed(fd int, buf []byte, off uint64, index uint16) {
	s.Read(fd, buf, off)
	s.Op, s.BufIndex = OpReadFixed, index
}

// WriteFixed is Write from a part of the registered buffer index (Linux 5.1).
func (s *SQE) WriteFixed(fd int, buf []byte, off uint64, index uint16) {
	s.Write(fd, buf, off)
	s.Op, s.BufIndex = OpWriteFixed, index
}

// ReadMultishot reads from a pipe, an eventfd, a terminal again and again into buffers of the group, as RecvMultishot
// does from a socket (Linux 6.7).
func (s *SQE) ReadMultishot(fd int, group uint16) {
	s.Op, s.FD, s.Off, s.BufIndex = OpReadMultishot, int32(fd), ^uint64(0), group
	s.Flags |= SQEBufferSelect
}

// Splice moves up to n bytes from one descriptor to another, one of them a pipe (splice(2), Linux 5.7). Offsets are
// ^uint64(0) for a pipe or the file's own position; flags are SPLICE_F_….
func (s *SQE) Splice(from int, fromOff uint64, to int, toOff uint64, n, flags int) {
	s.Op, s.FD, s.Off, s.Len = OpSplice, int32(to), toOff, length(n)
	s.Addr, s.FileIndex, s.OpFlags = fromOff, uint32(int32(from)), uint32(flags)
}

// PollAdd waits until the descriptor is ready to one of the events (poll(2): POLLIN, …, EPOLLEXCLUSIVE; Linux 5.1). Res
// are the events found, POLLERR and POLLHUP among them unasked.
func (s *SQE) PollAdd(fd int, events uint32) {
	s.Op, s.FD, s.OpFlags = OpPollAdd, int32(fd), pollMask(events)
}

// PollMultishot is PollAdd that goes on, a completion for each time that something becomes ready, until one comes
// without [CQE.More] (Linux 5.13). It tells of changes, as epoll's edge-triggered mode does.
func (s *SQE) PollMultishot(fd int, events uint32) {
	s.PollAdd(fd, events)
	s.Len = pollMulti
}

// PollRemove ends the poll with that user data (Linux 5.1). Res is 0, or -ENOENT or -EALREADY; the poll itself
// completes with -ECANCELED.
func (s *SQE) PollRemove(userData uint64) { s.Op, s.FD, s.Addr = OpPollRemove, -1, userData }

// PollUpdate changes what the poll with that user data waits for (Linux 5.13). Res is 0, or -ENOENT or -EALREADY.
// multishot says whether it is to go on after that.
func (s *SQE) PollUpdate(userData uint64, events uint32, multishot bool) {
	s.PollRemove(userData)
	s.OpFlags, s.Len = pollMask(events), pollUpdateEvents
	if multishot {
		s.Len |= pollMulti
	}
}

// PollRename gives the poll with that user data another (Linux 5.13). Res is as for PollUpdate.
func (s *SQE) PollRename(userData, newUserData uint64) {
	s.PollRemove(userData)
	s.Off, s.Len = newUserData, pollUpdateUserData
}

// pollMask swaps the halves on big-endian systems, where the kernel wants it so.
func pollMask(events uint32) uint32 {
	if bigEndian {
		return events<<16 | events>>16
	}
	return events
}

// Timeout completes with -ETIME after t, or with 0 once that many other completions have come, if count is not 0
// (Linux 5.4). t is read when it is submitted: [Ring.Timespec] will do. Its expiry ends every wait on the ring, however
// many completions that asked for.
func (s *SQE) Timeout(t *Timespec, count uint32, flags TimeoutFlags) {
	s.Op, s.FD, s.Addr, s.Len, s.Off, s.OpFlags = OpTimeout, -1, guardOf(t), 1, uint64(count), uint32(
		flags&timeoutFlagsCaller)
}

// TimeoutMultishot completes with -ETIME every t, count times or for ever if count is 0, until one comes without
// [CQE.More] (Linux 6.4).
func (s *SQE) TimeoutMultishot(t *Timespec, count uint32, flags TimeoutFlags) {
	s.Timeout(t, count, flags)
	s.OpFlags |= uint32(timeoutMultishot)
}

// TimeoutRemove ends the timeout with that user data (Linux 5.5). Res is 0, -ENOENT or -EBUSY; the timeout itself
// completes with -ECANCELED.
func (s *SQE) TimeoutRemove(userData uint64) { s.Op, s.FD, s.Addr = OpTimeoutRemove, -1, userData }

// TimeoutUpdate gives the timeout with that user data another time (Linux 5.11). Res is as for TimeoutRemove.
func (s *SQE) TimeoutUpdate(userData uint64, t *Timespec, flags TimeoutFlags) {
	s.TimeoutRemove(userData)
	s.Off, s.OpFlags = guardOf(t), uint32(flags&timeoutFlagsCaller|timeoutUpdate)
}

// LinkTimeoutUpdate is TimeoutUpdate of a LinkTimeout (Linux 5.15).
func (s *SQE) LinkTimeoutUpdate(userData uint64, t *Timespec, flags TimeoutFlags) {
	s.TimeoutUpdate(userData, t, flags)
	s.OpFlags |= uint32(linkTimeoutUpdate)
}

// LinkTimeout bounds the time of the submission before it, which must have SQELink (Linux 5.5): after t that one is
// cancelled and completes with -ECANCELED, and this one with -ETIME. If that one is in time, this completes with
// -ECANCELED.
func (s *SQE) LinkTimeout(t *Timespec, flags TimeoutFlags) {
	s.Op, s.FD, s.Addr, s.Len, s.OpFlags = OpLinkTimeout, -1, guardOf(t), 1, uint32(flags&timeoutFlagsCaller)
}

// Cancel ends the operation with that user data (Linux 5.5; CancelAll: 5.19). Res is 0 (with CancelAll, how many were
// found), -ENOENT if there is none, -EALREADY if it is too late to stop it. The operation completes for itself, with
// -ECANCELED or with what it did in the meantime: until then, its memory is the kernel's.
func (s *SQE) Cancel(userData uint64, flags CancelFlags) {
	s.Op, s.FD, s.Addr, s.OpFlags = OpAsyncCancel, -1, userData, uint32(flags&CancelAll)
}

// CancelFD is Cancel of operations on a descriptor (Linux 5.19). To close one safely: CancelFD with CancelAll, wait for
// the completions, close.
func (s *SQE) CancelFD(fd int, flags CancelFlags) {
	s.Op, s.FD, s.OpFlags = OpAsyncCancel, int32(fd), uint32(flags&CancelAll|cancelFD)
}

// CancelSlot is Cancel of operations on a direct descriptor (Linux 6.0).
func (s *SQE) CancelSlot(at uint32, flags CancelFlags) {
	s.CancelFD(int(at), flags)
	s.OpFlags |= uint32(cancelFDFixed)
}

// CancelOp is Cancel of operations of one kind (Linux 6.6).
func (s *SQE) CancelOp(op Op, flags CancelFlags) {
	s.Op, s.FD, s.Len, s.OpFlags = OpAsyncCancel, -1, uint32(op), uint32(flags&CancelAll|cancelOp)
}

// CancelAny is Cancel of everything in flight on the ring (Linux 5.19). Res is how many.
func (s *SQE) CancelAny() {
	s.Op, s.FD, s.OpFlags = OpAsyncCancel, -1, uint32(CancelAll|cancelAny)
}

// MsgRing puts a completion with that Res and UserData into another ring (Linux 5.18). Res here is 0, or -EOVERFLOW
// if the other's completion queue is full. Use it to wake a loop that waits on its ring.
func (s *SQE) MsgRing(ring int, res int32, userData uint64) {
	s.Op, s.FD, s.Len, s.Off = OpMsgRing, int32(ring), uint32(res), userData
}

// MsgRingFlags is MsgRing with Flags for the other's completion, too (Linux 6.3).
func (s *SQE) MsgRingFlags(ring int, res int32, userData uint64, flags CQEFlags) {
	s.MsgRing(ring, res, userData)
	s.OpFlags, s.FileIndex = 2, uint32(flags)
}

// MsgRingFile puts the file in slot from of this ring into slot to of another's registered files (Linux 6.0), and a
// completion with that UserData into the other ring, unless quiet. Res here is 0, or with SlotAuto the slot; the
// other's Res is as well.
func (s *SQE) MsgRingFile(ring int, from, to uint32, userData uint64, quiet bool) {
	s.Op, s.FD, s.Addr, s.Addr3, s.FileIndex, s.Off = OpMsgRing, int32(ring), 1, uint64(from), slot(to), userData
	if quiet {
		s.OpFlags = 1
	}
}

// InstallFD gives the direct descriptor in the slot an ordinary number as well, closed on exec unless keep (Linux 6.8).
// Res is the descriptor. Close both.
func (s *SQE) InstallFD(at uint32, keep bool) {
	s.Op, s.FD = OpFixedFDInstall, int32(at)
	s.Flags |= SQEFixedFile
	if keep {
		s.OpFlags = 1
	}
}

// FilesUpdate puts descriptors into slots of the registered files, from slot on (Linux 5.6). -1 empties a slot. fds is
// the kernel's until the completion; Res is how many were done.
func (s *SQE) FilesUpdate(fds []int32, from uint32) {
	s.Op, s.FD, s.Addr, s.Len, s.Off = OpFilesUpdate, -1, guardInts(fds), length(len(fds)), uint64(from)
}
