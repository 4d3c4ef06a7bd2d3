package uring

import (
	"fmt"
	"math/bits"
)

// SetupFlags choose what kind of ring [New] makes (io_uring_setup(2)).
type SetupFlags uint32

// The flags that [Options.Flags] may hold. Those that would change the size of the queues' entries or where the
// queues live (SQE128, CQE32, NO_MMAP and so on) are not among them.
const (
	SetupIOPoll    SetupFlags = 1 << 0 // busy-wait for storage; not for sockets (5.1)
	SetupSQPoll    SetupFlags = 1 << 1 // a kernel thread takes submissions; see [Options.SQThreadIdle] (5.1)
	SetupSQAff     SetupFlags = 1 << 2 // that thread stays on [Options.SQThreadCPU] (5.1)
	SetupClamp     SetupFlags = 1 << 4 // queues too large are made as large as can be, in place of an error (5.6)
	SetupAttachWQ  SetupFlags = 1 << 5 // share the workers of the ring [Options.Attach] (5.6)
	SetupDisabled  SetupFlags = 1 << 6 // nothing can be submitted until [Ring.Enable] (5.10)
	SetupSubmitAll SetupFlags = 1 << 7 // a bad submission does not stop those behind it (5.18)
	// do not interrupt the thread for completions; run them at its next system call (5.19)
	SetupCoopTaskrun SetupFlags = 1 << 8
	// with SetupCoopTaskrun or SetupDeferTaskrun: [Ring.Pending] tells that work waits (5.19)
	SetupTaskrunFlag  SetupFlags = 1 << 9
	SetupSingleIssuer SetupFlags = 1 << 12 // one OS thread submits (6.0)
	// completions are made only inside calls that ask for them; needs SetupSingleIssuer (6.1)
	SetupDeferTaskrun SetupFlags = 1 << 13
	SetupHybridIOPoll SetupFlags = 1 << 17 // with SetupIOPoll: sleep first (6.13)
)

var setupNames = []string{"iopoll", "sqpoll", "sq_aff", "cqsize", "clamp", "attach_wq", "r_disabled", "submit_all",
	"coop_taskrun",
	"taskrun_flag", "sqe128", "cqe32", "single_issuer", "defer_taskrun", "no_mmap", "registered_fd_only", "no_sqarray",
	"hybrid_iopoll", "cqe_mixed", "sqe_mixed", "sq_rewind"}

// Names are the kernel's names of the flags that are set, in lower case.
func (f SetupFlags) Names() []string { return names(uint32(f), setupNames) }

// SQEFlags change how one submission is handled, whatever its operation.
type SQEFlags uint8

const (
	SQEFixedFile    SQEFlags = 1 << 0 // FD is a slot of the registered files (5.1)
	SQEDrain        SQEFlags = 1 << 1 // start after all that was submitted before has completed (5.2)
	SQELink         SQEFlags = 1 << 2 // the next submission starts when this one has succeeded, in full (5.3)
	SQEHardlink     SQEFlags = 1 << 3 // the next one starts when this one has completed, however (5.5)
	SQEAsync        SQEFlags = 1 << 4 // do not try at once: hand it to a worker thread (5.6)
	SQEBufferSelect SQEFlags = 1 << 5 // the kernel picks the buffer, from the group in BufIndex (5.7)
	SQESkipSuccess  SQEFlags = 1 << 6 // no completion if it succeeds (5.17)
)

// CQEFlags say more about a completion.
type CQEFlags uint32

const (
	CQEBuffer   CQEFlags = 1 << 0 // the upper 16 bits are the identity of the buffer used (5.7)
	CQEMore     CQEFlags = 1 << 1 // the same submission will complete again (5.13)
	CQENonEmpty CQEFlags = 1 << 2 // after a receive: the socket has more to read now (5.19)
	CQENotif    CQEFlags = 1 << 3 // the notification of a zero-copy send: its buffer is free now (6.0)
	CQEBufMore  CQEFlags = 1 << 4 // the kernel goes on filling the same buffer (incremental buffer rings, 6.12)
)

// Flags in the IOPrio field of receives and sends (Recv, Recvmsg, Send, Sendmsg and their kin).
const (
	PollFirst     uint16 = 1 << 0 // wait until the socket is ready before the first try (5.19)
	recvMultishot uint16 = 1 << 1
	FixedBuf      uint16 = 1 << 2 // the memory lies in the registered buffer BufIndex (zero-copy sends: 6.0)
	ReportUsage   uint16 = 1 << 3 // zero-copy sends: the notification's Res tells whether it was copied after all (6.2)
	bundle        uint16 = 1 << 4
	Vectorized    uint16 = 1 << 5 // sends: Addr points to Len iovecs (6.17)
)

// Flags in the IOPrio field of accepts.
const (
	acceptMultishot uint16 = 1 << 0
	AcceptDontWait  uint16 = 1 << 1 // complete with EAGAIN rather than wait (6.10)
	AcceptPollFirst uint16 = 1 << 2 // wait before the first try (6.10)
)

// TimeoutFlags go with Timeout, TimeoutUpdate and LinkTimeout. The clock is CLOCK_MONOTONIC unless a flag says
// otherwise.
type TimeoutFlags uint32

const (
	TimeoutAbs         TimeoutFlags = 1 << 0 // the time is a point on the clock, no duration (5.4)
	TimeoutBoottime    TimeoutFlags = 1 << 2 // CLOCK_BOOTTIME: time asleep counts (5.15)
	TimeoutRealtime    TimeoutFlags = 1 << 3 // CLOCK_REALTIME (5.15)
	TimeoutETimeOK     TimeoutFlags = 1 << 5 // expiry counts as success: for links and SQESkipSuccess (5.16)
	timeoutUpdate      TimeoutFlags = 1 << 1
	linkTimeoutUpdate  TimeoutFlags = 1 << 4
	timeoutMultishot   TimeoutFlags = 1 << 6
	timeoutFlagsCaller              = TimeoutAbs | TimeoutBoottime | TimeoutRealtime | TimeoutETimeOK
)

// CancelFlags say what a cancellation looks for.
type CancelFlags uint32

const (
	CancelAll     CancelFlags = 1 << 0 // every match, not only the first; Res is their number (5.19)
	cancelFD      CancelFlags = 1 << 1
	cancelAny     CancelFlags = 1 << 2
	cancelFDFixed CancelFlags = 1 << 3
	cancelOp      CancelFlags = 1 << 5
)

// SlotAuto in place of a slot lets the kernel choose a free one of the registered files; the completion's Res is the
// slot, or -ENFILE if there is none (5.19).
const SlotAuto = ^uint32(0) - 1

// FeatureFlags are what the kernel says of itself when a ring is set up.
type FeatureFlags uint32

const (
	FeatSingleMmap FeatureFlags = 1 << 0 // both queues in one mapping (5.4)
	FeatNoDrop     FeatureFlags = 1 << 1 // completions that find no room wait in the kernel (5.5)
	// what a submission points to as its parameters is read when it is submitted (5.5)
	FeatSubmitStable   FeatureFlags = 1 << 2
	FeatRWCurPos       FeatureFlags = 1 << 3  // offset -1 is the file's own position (5.6)
	FeatCurPersonality FeatureFlags = 1 << 4  // a submission runs with the credentials of who submits (5.6)
	FeatFastPoll       FeatureFlags = 1 << 5  // sockets wait without a worker thread (5.7)
	FeatPoll32Bits     FeatureFlags = 1 << 6  // polls take 32 bits of events (5.9)
	FeatSQPollNonfixed FeatureFlags = 1 << 7  // SetupSQPoll takes plain descriptors (5.11)
	FeatExtArg         FeatureFlags = 1 << 8  // a wait takes a timeout (5.11)
	FeatNativeWorkers  FeatureFlags = 1 << 9  // worker threads belong to the process (5.12)
	FeatRsrcTags       FeatureFlags = 1 << 10 // registered things have tags (5.13)
	FeatCQESkip        FeatureFlags = 1 << 11 // SQESkipSuccess (5.17)
	FeatLinkedFile     FeatureFlags = 1 << 12 // a link may use the file that an earlier member opened (5.18)
	FeatRegRegRing     FeatureFlags = 1 << 13 // registering works through a registered ring (6.3)
	FeatBundle         FeatureFlags = 1 << 14 // bundles (6.10)
	FeatMinTimeout     FeatureFlags = 1 << 15 // a wait takes a least time, too (6.12)
	FeatRWAttr         FeatureFlags = 1 << 16 // attributes on reads and writes (6.14)
	FeatNoIOWait       FeatureFlags = 1 << 17 // a wait need not count as iowait (6.15)
)

var featureNames = []string{"single_mmap", "nodrop", "submit_stable", "rw_cur_pos", "cur_personality", "fast_poll",
	"poll_32bits",
	"sqpoll_nonfixed", "ext_arg", "native_workers", "rsrc_tags", "cqe_skip", "linked_file", "reg_reg_ring",
	"recvsend_bundle",
	"min_timeout", "rw_attr", "no_iowait"}

// Names are the kernel's names of the features, in lower case.
func (f FeatureFlags) Names() []string { return names(uint32(f), featureNames) }

func names(set uint32, known []string) (list []string) {
	for ; set != 0; set &= set - 1 {
		if i := bits.TrailingZeros32(set); i < len(known) {
			list = append(list, known[i])
		} else {
			list = append(list, fmt.Sprintf("bit %d", i))
		}
	}
	return list
}
