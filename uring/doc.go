// Package uring is io_uring for Go: rings, submissions, completions and buffer rings, as the kernel has them, without
// cgo and without policy.
//
// io_uring (Linux) is a pair of queues in memory that a program shares with the kernel. Operations (receive, send,
// accept, …) are written into one, and the kernel writes what became of them into the other. One system call,
// io_uring_enter(2), submits any number of operations, and waits for completions as well:
//
//	runtime.LockOSThread()
//	ring, err := uring.New(uring.Options{Flags: uring.SetupSingleIssuer | uring.SetupDeferTaskrun})
//	bufs, err := ring.NewBufRing(uring.BufRingOptions{Entries: 1024, Size: 4096})
//
//	sqe := ring.SQE()                 // the next entry of the queue, in the kernel's sight
//	sqe.RecvMultishot(fd, 0)          // what to do: receive again and again, into buffers of group 0
//	sqe.UserData = 42                 // comes back with each completion
//
//	for {
//		_, err := ring.SubmitAndWait(1, time.Second)
//		for cqes := ring.Ready(); len(cqes) > 0; cqes = ring.Ready() {
//			for i := range cqes {
//				c := &cqes[i]
//				data := bufs.Data(c)      // UserData says whose it is, Res how much or why not
//				…
//				bufs.Release(c.BufferID())
//			}
//			ring.Advance(len(cqes))
//		}
//	}
//
// The package says what the kernel offers and keeps to it: there is a method for each operation on sockets, its
// comment names the Linux version that brought it and what a result means, and none does more than the operation. What
// it adds is what a Go program needs to stay whole, and that is below.
//
// # Memory
//
// The kernel uses a submission's memory until its last completion, long after the call. Go's collector knows nothing of
// that. So memory for the kernel lies outside Go's heap ([Map], [Arena], [Pool], [BufRing]) or is pinned ([Pin]), and
// every method that takes a buffer checks that it does: one that does not is a bug that would show as somebody else's
// bytes some hours later, so it panics. The check takes 2 to 5 ns.
//
// Until when is memory the kernel's? Each method tells, and there are three kinds:
//
//   - until the submission is submitted: times and addresses to connect or send to. [Ring.Timespec] and [Ring.Sockaddr]
//     have places for them, one a submission, so that nobody needs to keep any.
//   - until the completion: buffers, and what a [Message] or an accept is to fill. For a multishot operation, until the
//     completion without [CQE.More].
//   - until the notification, a second completion: the buffer of a zero-copy send.
//
// Cancelling asks an operation to end; it has ended when its own completion is there. [Ring.Close] cancels everything
// and waits, so afterwards all memory is the program's again.
//
// # Threads
//
// A Ring belongs to one goroutine at a time. With SetupSingleIssuer (Linux 6.0) it belongs to one OS thread, and with
// SetupDeferTaskrun (6.1) completions are made only when that thread enters the kernel to get them. That is much the
// fastest way, as nothing interrupts the thread and nothing is locked, and it means: call runtime.LockOSThread, then
// New, and use the ring and close it on that goroutine. A call from another thread fails with [ErrWrongThread].
// [Options.RegisterRing] (5.18) saves the look-up of the descriptor in each call, and needs the same.
//
// Others reach a ring that waits by a message: from a ring of their own ([SQE.MsgRing]), or from any goroutine
// ([SendMessage], 6.13).
//
// [Ring.SubmitAndWait] first makes a raw system call that does not wait, and waits in a second, ordinary one only when
// nothing has completed. So a busy loop keeps its P for as long as it is busy, and an idle one gives it up. Both halves
// can be had alone: [Ring.SubmitAndPoll] and [Ring.Wait].
//
// # Queues that are full
//
// Submissions: [Ring.SQE] gives nil; submit and ask again, or let [Ring.NextSQE] do it. Completions: the kernel keeps
// those that find no room, at a cost, until there is room and the kernel is entered ([Ring.Overflowed]); in the
// meantime it may refuse submissions ([ErrBusy]). None is lost unless the system is out of memory ([Ring.Lost]).
// Buffers: a receive that finds the group empty completes with ENOBUFS, a multishot one ends; the data stays in the
// socket.
//
// # Traps
//
// What has cost others a day, and is not to be seen in a signature:
//
//   - A multishot operation ends by itself: at an error, when no buffer is left, when the completion queue is full.
//     Each completion without [CQE.More] is the place to submit it again.
//   - A send may take less than all, as send(2) does; with MSG_WAITALL the kernel goes on. Two sends in flight on one
//     socket may come out of order. MSG_DONTWAIT, MSG_WAITALL and [SQESkipSuccess] together make a send that is done
//     when the call that submits it returns, and completes only if it was cut short: its memory is free at once.
//   - A descriptor that is closed while operations are in flight on it stays open in the kernel, and its number goes to
//     the next socket. Cancel ([SQE.CancelFD]), wait for the completions, close.
//   - With SetupDeferTaskrun nothing completes until the kernel is entered for completions; looking at [Ring.Ready] is
//     not enough.
//   - A signal that is pending while deferred work runs makes TCP's receive say EAGAIN at urgent data, and an armed
//     receive then waits for an event that never comes. Go sends signals to its threads: see [SignalBlock].
//   - One enter makes no more than about 20 to 40 completions of readiness on newer kernels ([Ring.SubmitAndPoll]).
//   - Accepts on a socket that several rings, or processes, share are woken one at a time. A multishot accept keeps its
//     place at the head: use [SQE.Accept] there. A ring whose process was killed takes part for some milliseconds more.
//
// # What it brings
//
// BenchmarkFeatures measures single features in an echo server on the loopback. The time is the kernel's and TCP's, so
// most bring nothing that stands out of the noise of some 5 to 10 % (Linux 6.18; messages of 64 bytes and of 16 KiB,
// one and sixteen under way, 100 and 1000 connections): a registered ring, direct descriptors, no completions for
// sends, waits with a least time. Multishot receives without [SQE.RecvLimits], in bundles or not, took 0.85 to 0.95 of
// the time of bounded ones with 16 KiB, and 0.91 to 1.0 with 64 bytes; what they may take in is not bounded then. A
// send bundle needs a group, and so a page, for each connection, and costs 1.0 to 1.3 times as much. What counts is one
// ring a thread with SetupSingleIssuer and SetupDeferTaskrun, multishot receives into shared buffers, and one system
// call a turn.
//
// # Where there is none
//
// [Available] says whether io_uring can be used, by using it, and if not why: on systems other than Linux, on kernels
// before 5.11, under a seccomp filter that refuses it (those of container runtimes do), where the sysctl
// kernel.io_uring_disabled forbids it. Such errors are an [errors.ErrUnsupported]. [Probe] finds all that the kernel
// has. RLIMIT_MEMLOCK bounds rings on kernels before 5.12 and since 6.14, for all rings of a user together and unless
// it has CAP_IPC_LOCK: entries (64 bytes), completions (16), buffer rings (16 a buffer, without the buffers).
//
// The references are io_uring(7), io_uring_setup(2), io_uring_enter(2) and io_uring_register(2) of liburing's manual
// pages, and the kernel's include/uapi/linux/io_uring.h.
package uring
