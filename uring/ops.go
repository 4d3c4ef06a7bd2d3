package uring

import "fmt"

// An Op is the number of an operation, as in the opcode field of a submission.
type Op uint8

// The operations, in the kernel's order. [Op.Since] names the kernel that brought each; whether the running kernel
// has it, [Support.Op] and [Ring.Supports] tell.
const (
	OpNop Op = iota
	OpReadv
	OpWritev
	OpFsync
	OpReadFixed
	OpWriteFixed
	OpPollAdd
	OpPollRemove
	OpSyncFileRange
	OpSendmsg
	OpRecvmsg
	OpTimeout
	OpTimeoutRemove
	OpAccept
	OpAsyncCancel
	OpLinkTimeout
	OpConnect
	OpFallocate
	OpOpenat
	OpClose
	OpFilesUpdate
	OpStatx
	OpRead
	OpWrite
	OpFadvise
	OpMadvise
	OpSend
	OpRecv
	OpOpenat2
	OpEpollCtl
	OpSplice
	OpProvideBuffers
	OpRemoveBuffers
	OpTee
	OpShutdown
	OpRenameat
	OpUnlinkat
	OpMkdirat
	OpSymlinkat
	OpLinkat
	OpMsgRing
	OpFsetxattr
	OpSetxattr
	OpFgetxattr
	OpGetxattr
	OpSocket
	OpUringCmd
	OpSendZC
	OpSendmsgZC
	OpReadMultishot
	OpWaitid
	OpFutexWait
	OpFutexWake
	OpFutexWaitv
	OpFixedFDInstall
	OpFtruncate
	OpBind
	OpListen
	OpRecvZC
	OpEpollWait
	OpReadvFixed
	OpWritevFixed
	OpPipe
	OpNop128
	OpUringCmd128
	opEnd
)

var opTable = [opEnd]struct{ name, since string }{
	OpNop:            {"nop", "5.1"},
	OpReadv:          {"readv", "5.1"},
	OpWritev:         {"writev", "5.1"},
	OpFsync:          {"fsync", "5.1"},
	OpReadFixed:      {"read_fixed", "5.1"},
	OpWriteFixed:     {"write_fixed", "5.1"},
	OpPollAdd:        {"poll_add", "5.1"},
	OpPollRemove:     {"poll_remove", "5.1"},
	OpSyncFileRange:  {"sync_file_range", "5.2"},
	OpSendmsg:        {"sendmsg", "5.3"},
	OpRecvmsg:        {"recvmsg", "5.3"},
	OpTimeout:        {"timeout", "5.4"},
	OpTimeoutRemove:  {"timeout_remove", "5.5"},
	OpAccept:         {"accept", "5.5"},
	OpAsyncCancel:    {"async_cancel", "5.5"},
	OpLinkTimeout:    {"link_timeout", "5.5"},
	OpConnect:        {"connect", "5.5"},
	OpFallocate:      {"fallocate", "5.6"},
	OpOpenat:         {"openat", "5.6"},
	OpClose:          {"close", "5.6"},
	OpFilesUpdate:    {"files_update", "5.6"},
	OpStatx:          {"statx", "5.6"},
	OpRead:           {"read", "5.6"},
	OpWrite:          {"write", "5.6"},
	OpFadvise:        {"fadvise", "5.6"},
	OpMadvise:        {"madvise", "5.6"},
	OpSend:           {"send", "5.6"},
	OpRecv:           {"recv", "5.6"},
	OpOpenat2:        {"openat2", "5.6"},
	OpEpollCtl:       {"epoll_ctl", "5.6"},
	OpSplice:         {"splice", "5.7"},
	OpProvideBuffers: {"provide_buffers", "5.7"},
	OpRemoveBuffers:  {"remove_buffers", "5.7"},
	OpTee:            {"tee", "5.8"},
	OpShutdown:       {"shutdown", "5.11"},
	OpRenameat:       {"renameat", "5.11"},
	OpUnlinkat:       {"unlinkat", "5.11"},
	OpMkdirat:        {"mkdirat", "5.15"},
	OpSymlinkat:      {"symlinkat", "5.15"},
	OpLinkat:         {"linkat", "5.15"},
	OpMsgRing:        {"msg_ring", "5.18"},
	OpFsetxattr:      {"fsetxattr", "5.19"},
	OpSetxattr:       {"setxattr", "5.19"},
	OpFgetxattr:      {"fgetxattr", "5.19"},
	OpGetxattr:       {"getxattr", "5.19"},
	OpSocket:         {"socket", "5.19"},
	OpUringCmd:       {"uring_cmd", "5.19"},
	OpSendZC:         {"send_zc", "6.0"},
	OpSendmsgZC:      {"sendmsg_zc", "6.1"},
	OpReadMultishot:  {"read_multishot", "6.7"},
	OpWaitid:         {"waitid", "6.7"},
	OpFutexWait:      {"futex_wait", "6.7"},
	OpFutexWake:      {"futex_wake", "6.7"},
	OpFutexWaitv:     {"futex_waitv", "6.7"},
	OpFixedFDInstall: {"fixed_fd_install", "6.8"},
	OpFtruncate:      {"ftruncate", "6.9"},
	OpBind:           {"bind", "6.11"},
	OpListen:         {"listen", "6.11"},
	OpRecvZC:         {"recv_zc", "6.15"},
	OpEpollWait:      {"epoll_wait", "6.15"},
	OpReadvFixed:     {"readv_fixed", "6.15"},
	OpWritevFixed:    {"writev_fixed", "6.15"},
	OpPipe:           {"pipe", "6.16"},
	OpNop128:         {"nop128", "6.19"},
	OpUringCmd128:    {"uring_cmd128", "6.19"},
}

// String is the kernel's name of the operation in lower case, such as "send_zc".
func (o Op) String() string {
	if o < opEnd {
		return opTable[o].name
	}
	return fmt.Sprintf("op %d", uint8(o))
}

// Since is the Linux version that brought the operation, such as "6.0"; "" if this package does not know it. Forms
// of an operation (multishot, direct descriptors) may be younger: the method that prepares the form tells.
func (o Op) Since() string {
	if o < opEnd {
		return opTable[o].since
	}
	return ""
}
