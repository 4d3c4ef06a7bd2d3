package uring

import "math"

// length panics on what does not fit the 32 bits that a submission has for it.
func length(n int) uint32 {
	if uint64(n) > math.MaxInt32 {
		panic("uring: a buffer of 2 GiB or more")
	}
	return uint32(n)
}

// slot is how a submission names a direct descriptor's slot: 0 means none there.
func slot(n uint32) uint32 { return n + 1 }

// Accept takes one connection (accept4(2), Linux 5.5). flags are SOCK_CLOEXEC and SOCK_NONBLOCK; from, if not nil,
// receives the peer's address and is the kernel's until the completion. Res is the descriptor.
func (s *SQE) Accept(fd int, from *Sockaddr, flags int) {
	s.Op, s.FD, s.OpFlags = OpAccept, int32(fd), uint32(flags)
	if from != nil {
		s.Addr = guardOf(from)
		from.Len = sockaddrRoom
		s.Off = from.lenAddr()
	}
}

// AcceptMultishot takes connection after connection, a completion each, until one comes without [CQE.More] (Linux
// 5.19). There is no address: all would be written to one place. Descriptors left over by a cancellation that came too
// late are in completions; look at all of them.
func (s *SQE) AcceptMultishot(fd, flags int) {
	s.Op, s.FD, s.OpFlags, s.IOPrio = OpAccept, int32(fd), uint32(flags), acceptMultishot
}

// AcceptDirect is Accept into a slot of the registered files (Linux 5.15; SlotAuto: 5.19). Res is 0, or with SlotAuto
// the slot. A direct descriptor is closed on exec by its nature: SOCK_CLOEXEC is refused with EINVAL.
func (s *SQE) AcceptDirect(fd int, from *Sockaddr, flags int, at uint32) {
	s.Accept(fd, from, flags)
	s.FileIndex = slot(at)
}

// AcceptMultishotDirect is AcceptMultishot into slots of the kernel's choice (Linux 5.19). Without a free slot it ends
// with -ENFILE, and the connection is lost.
func (s *SQE) AcceptMultishotDirect(fd, flags int) {
	s.AcceptMultishot(fd, flags)
	s.FileIndex = slot(SlotAuto)
}

// Connect connects (connect(2), Linux 5.5). The address is read when it is submitted: [Ring.Sockaddr] will do.
func (s *SQE) Connect(fd int, to *Sockaddr) {
	s.Op, s.FD, s.Addr, s.Off = OpConnect, int32(fd), guardOf(to), uint64(to.Len)
}

// Socket makes a socket (socket(2), Linux 5.19). kind may hold SOCK_CLOEXEC and SOCK_NONBLOCK. Res is the descriptor.
func (s *SQE) Socket(domain, kind, protocol int) {
	s.Op, s.FD, s.Off, s.Len = OpSocket, int32(domain), uint64(kind), uint32(protocol)
}

// SocketDirect is Socket into a slot of the registered files (Linux 5.19). kind must not hold SOCK_CLOEXEC.
func (s *SQE) SocketDirect(domain, kind, protocol int, at uint32) {
	s.Socket(domain, kind, protocol)
	s.FileIndex = slot(at)
}

// Bind gives a socket its address (bind(2), Linux 6.11). The address is read when it is submitted.
func (s *SQE) Bind(fd int, to *Sockaddr) {
	s.Op, s.FD, s.Addr, s.Off = OpBind, int32(fd), guardOf(to), uint64(to.Len)
}

// Listen listens (listen(2), Linux 6.11).
func (s *SQE) Listen(fd, backlog int) { s.Op, s.FD, s.Len = OpListen, int32(fd), uint32(backlog) }

// Shutdown ends one direction or both (shutdown(2), Linux 5.11); how is SHUT_RD, SHUT_WR or SHUT_RDWR.
func (s *SQE) Shutdown(fd, how int) { s.Op, s.FD, s.Len = OpShutdown, int32(fd), uint32(how) }

// Close closes a descriptor (close(2), Linux 5.6). Operations in flight on it go on, on the open file: cancel them
// first ([SQE.CancelFD]) and wait for their completions, else a reused number gets their results.
func (s *SQE) Close(fd int) { s.Op, s.FD = OpClose, int32(fd) }

// CloseDirect empties a slot of the registered files (Linux 5.15).
func (s *SQE) CloseDirect(at uint32) { s.Op, s.FileIndex = OpClose, slot(at) }

// Recv reads once into buf (recv(2), Linux 5.6), the kernel's until the completion. Res is the count, 0 the end.
func (s *SQE) Recv(fd int, buf []byte, flags int) {
	s.Op, s.FD, s.Addr, s.Len, s.OpFlags = OpRecv, int32(fd), guardBytes(buf), length(len(buf)), uint32(flags)
}

// RecvSelect reads once into a buffer of the group, of which it takes at most limit bytes (0: all of it), when there
// is something to read (Linux 5.7; from a [BufRing]: 5.19). -ENOBUFS if the group is empty then.
func (s *SQE) RecvSelect(fd int, group uint16, limit int, flags int) {
	s.Op, s.FD, s.Len, s.OpFlags = OpRecv, int32(fd), length(limit), uint32(flags)
	s.Flags |= SQEBufferSelect
	s.BufIndex = group
}

// RecvMultishot reads again and again into buffers of the group, a completion each, until one comes without
// [CQE.More]: at the end of the stream, at an error, and with -ENOBUFS when the group is empty (Linux 6.0). What
// arrived in the meantime is not lost; it is read once the operation is submitted again.
func (s *SQE) RecvMultishot(fd int, group uint16) {
	s.Op, s.FD, s.IOPrio, s.BufIndex = OpRecv, int32(fd), recvMultishot, group
	s.Flags |= SQEBufferSelect
}

// RecvLimits bounds a RecvMultishot (Linux 6.17, -EINVAL before): a completion has at most piece bytes, and the
// operation ends, with a completion without [CQE.More], once total bytes or more were received; the last piece is not
// cut for that, so that it is at most total + piece - 1. 0 is no bound. A multishot receive fills buffers for as long
// as there is data, whether or not anybody reads its completions: total is how much that may be.
func (s *SQE) RecvLimits(piece, total int) {
	s.Len, s.FileIndex = length(piece), length(total)
}

// RecvBundle turns a RecvSelect or RecvMultishot into one that may fill several buffers of the group at once (Linux
// 6.10): Res counts all bytes, and the buffers are those that follow the first in the ring: [BufRing.Segments].
func (s *SQE) RecvBundle() { s.IOPrio |= bundle }

// Send writes buf (send(2), Linux 5.6), the kernel's until the completion. Res may be less than its length, unless
// flags hold MSG_WAITALL, with which the kernel goes on until all is sent or it fails (5.19). With MSG_NOSIGNAL it
// fails with EPIPE where there would be a SIGPIPE as well.
func (s *SQE) Send(fd int, buf []byte, flags int) {
	s.Op, s.FD, s.Addr, s.Len, s.OpFlags = OpSend, int32(fd), guardBytes(buf), length(len(buf)), uint32(flags)
}

// SendTo is Send to an address (sendto(2), Linux 6.1). The address is read when it is submitted.
func (s *SQE) SendTo(fd int, buf []byte, flags int, to *Sockaddr) {
	s.Send(fd, buf, flags)
	s.Off, s.FileIndex = guardOf(to), uint32(to.Len)
}

// SendBundle sends what is in the buffers of the group, as many as there are, in their order (Linux 6.10): a [BufRing]
// with Send set, filled by [BufRing.Queue]. Res counts all bytes; the buffers used are those of [BufRing.Segments].
// limit bounds the bytes, 0 is no bound. -ENOBUFS if nothing is queued. A group is one stream's, for nothing tells the
// buffers of two apart. Set MSG_WAITALL: a send that is cut short takes the whole of its last buffer from the group.
func (s *SQE) SendBundle(fd int, group uint16, limit, flags int) {
	s.Op, s.FD, s.Len, s.OpFlags, s.IOPrio, s.BufIndex = OpSend, int32(fd), length(limit), uint32(flags), bundle, group
	s.Flags |= SQEBufferSelect
}

// SendVector sends several pieces with one submission (Linux 6.17). The list is read when it is submitted, or a
// little later: it and the pieces are the kernel's until the completion.
func (s *SQE) SendVector(fd int, list []Iovec, flags int) {
	s.Op, s.FD, s.Addr, s.Len, s.OpFlags, s.IOPrio = OpSend, int32(fd), guardVector(list), length(len(list)), uint32(
		flags), Vectorized
}

// SendZC is Send without copying (Linux 6.0): the memory is the network's until a second completion, which comes with
// [CQE.Notif] after the peer has acknowledged the bytes. The first one has [CQE.More] if a second is to come, which
// may be so after a failure, too. It pays for large buffers only; on the loopback the bytes are copied all the same.
// Set FixedBuf in IOPrio and BufIndex for registered memory, and ReportUsage to be told.
func (s *SQE) SendZC(fd int, buf []byte, flags int) {
	s.Send(fd, buf, flags)
	s.Op = OpSendZC
}

// SendZCTo is SendZC to an address (Linux 6.0). The address is read when it is submitted.
func (s *SQE) SendZCTo(fd int, buf []byte, flags int, to *Sockaddr) {
	s.SendTo(fd, buf, flags, to)
	s.Op = OpSendZC
}

// UsageCopied is in the Res of a zero-copy send's notification (as a bit) if ReportUsage was asked for and the bytes
// were copied after all.
const UsageCopied = math.MinInt32

// Sendmsg sends a message (sendmsg(2), Linux 5.3); m and all that it points to are the kernel's until the completion.
func (s *SQE) Sendmsg(fd int, m *Message, flags int) {
	s.Op, s.FD, s.Addr, s.Len, s.OpFlags = OpSendmsg, int32(fd), m.pointer(), 1, uint32(flags)
}

// SendmsgZC is Sendmsg without copying (Linux 6.1); completions and memory are as with SendZC.
func (s *SQE) SendmsgZC(fd int, m *Message, flags int) {
	s.Sendmsg(fd, m, flags)
	s.Op = OpSendmsgZC
}

// Recvmsg receives a message (recvmsg(2), Linux 5.3); m and all that it points to are the kernel's until the
// completion.
func (s *SQE) Recvmsg(fd int, m *Message, flags int) {
	s.Op, s.FD, s.Addr, s.Len, s.OpFlags = OpRecvmsg, int32(fd), m.pointer(), 1, uint32(flags)
}

// RecvmsgMultishot receives message after message into buffers of the group (Linux 6.0), as RecvMultishot. What m
// says of its buffers is not used; the room for the sender's address and for control messages is what m has. m is the
// kernel's until the last completion, and may be shared by any number of submissions. [Message.ParseRecvmsg] reads the
// buffers. A datagram without bytes ends the operation, as the end of a stream does: look at [CQE.More].
func (s *SQE) RecvmsgMultishot(fd int, group uint16, m *Message, flags int) {
	s.Recvmsg(fd, m, flags)
	s.IOPrio, s.BufIndex = recvMultishot, group
	s.Flags |= SQEBufferSelect
}

// Commands of a socket, for uring_cmd.
const (
	sockInQ       = 0
	sockOutQ      = 1
	sockGetOption = 2
	sockSetOption = 3
)

func (s *SQE) socketCommand(fd int, command uint64) {
	s.Op, s.FD, s.Off = OpUringCmd, int32(fd), command
}

// SocketInQ asks how many bytes wait to be read (SIOCINQ, Linux 6.7). Res is the number.
func (s *SQE) SocketInQ(fd int) { s.socketCommand(fd, sockInQ) }

// SocketOutQ asks how many bytes the peer has not acknowledged (SIOCOUTQ, Linux 6.7). Res is the number.
func (s *SQE) SocketOutQ(fd int) { s.socketCommand(fd, sockOutQ) }

// Setsockopt sets an option (setsockopt(2), Linux 6.7); value is the kernel's until the completion. It is the way to
// set one on a direct descriptor.
func (s *SQE) Setsockopt(fd, level, name int, value []byte) {
	s.socketCommand(fd, sockSetOption)
	s.option(level, name, value)
}

// Getsockopt reads an option (getsockopt(2), Linux 6.7) of level SOL_SOCKET; value is the kernel's until the
// completion. Res is the option's length.
func (s *SQE) Getsockopt(fd, level, name int, value []byte) {
	s.socketCommand(fd, sockGetOption)
	s.option(level, name, value)
}

func (s *SQE) option(level, name int, value []byte) {
	if bigEndian { // two 32-bit fields lie over Addr
		level, name = name, level
	}
	s.Addr = uint64(uint32(level)) | uint64(uint32(name))<<32
	s.FileIndex, s.Addr3 = length(len(value)), guardBytes(value)
}
