// Package selector tells which of many descriptors are ready: select, poll, epoll and kqueue behind one type.
//
// It is the bottom of an event loop. Register what to watch, with any data; Select waits, and gives back
// what is ready, with that data:
//
//	s, err := selector.Default()
//	...
//	s.Register(listener, selector.Read, func(fd int) { ... accept, and register what came ... })
//	var ready []selector.Ready
//	for {
//		ready, err = s.Select(-1, ready)
//		...
//		for _, r := range ready {
//			r.Data.(func(int))(r.FD)
//		}
//	}
//
// Readiness is level-triggered: a descriptor is reported by every Select for as long as it is ready. It
// is a hint, as with the system calls beneath: another may have read what was there, and so descriptors
// should be non-blocking. Hang-ups and errors count as whatever was asked for, so that a read or a write
// finds them; a connect that ended, well or not, is ready to write; a peer that closed is ready to read.
// What was not asked for is never reported. A connection of which nothing is to be read or written for now
// can be watched for Hangup, which is these things alone.
//
// # Which one
//
// [Default] takes the best that works; [Open] takes a name; [Available] says which there are, and why the
// others are not.
//
//	          systems            descriptors       a wait is as exact as   own descriptors
//	epoll     Linux              any number        1 ns (1 ms before 5.11) 2
//	kqueue    BSDs, macOS        any number        1 ns                    1 (3 on NetBSD and OpenBSD)
//	poll      all but Windows    any number        1 ns (1 ms on the BSDs) 1 (2 on the BSDs)
//	select    all                below FD_SETSIZE  1 ns (1 µs on the BSDs) 1 (2 on the BSDs)
//
// FD_SETSIZE is 1024 on Linux, macOS and most BSDs, and is about the number of the descriptor: when 1024
// files are open, select can watch none of the sockets that come after. On Windows it is about how many
// there are: 1023. Register says so with [ErrLimit].
//
// On Linux this package is tested. For the BSDs, macOS and Windows it is compiled and vetted, and has not
// been run.
//
// # What they cost
//
// Microseconds for one Select that does not wait, on two cores of a virtual machine with Linux 6.18, with
// UDP sockets (go test -bench Select):
//
//	registered      10               100               1000               10000
//	ready           0    1   all     0    1    all     0    1    all      0     1     all
//	epoll         0.3  0.6   1.8   0.3  0.6   13.6   0.3  0.6    145    0.3   0.6    6160
//	poll          1.3  1.3   1.3   8.0  8.3    9.4   105   93    114   2280  1580    3590
//	select        1.7  1.7   2.0  10.2  9.0   11.2   102  100    100      -     -       -
//
// select and poll keep nothing in the kernel between two calls. Each call brings the whole set, and the
// kernel asks every descriptor in it: the cost grows with what is registered, about 0.1 µs each, and it
// makes no difference how many are ready. If it then has to sleep, it puts itself on every descriptor's
// list of waiters, and takes itself off again afterwards. (At 10,000 the sockets no longer fit into the
// processor's cache, and each costs two to four times as much.) select in addition has to be told by
// number, so that it goes through all numbers below the highest, in use or not.
//
// epoll keeps the set. It is on every descriptor's list of waiters all the time, and what becomes ready
// puts itself on a list of the ready; a call only goes through that list. So with 10,000 registered and
// one ready it costs what it costs with 10. The price is paid elsewhere: to change the set takes a system
// call each time (Register and Unregister together 1.9 µs, and 0.3 µs with poll, which just notes it
// down), and each ready one costs more than with poll, 0.15 µs, because it is taken off the list, asked,
// and put back. So where few are registered, or nearly all of them are ready, poll is as fast or faster;
// with a thousand connections of which a few speak at a time, epoll is a hundred times faster. kqueue
// works as epoll does here.
//
// Of these figures the Selector's own share is 0.06 µs a call and 0.02 µs a result; the rest is the
// system call. It looks first without telling the Go scheduler, which is cheaper, and keeps the thread's
// right to run Go code (its P) with a busy loop; only if nothing is ready it makes the call that waits.
//
// # Closed descriptors
//
// Unregister a descriptor before you close it. If one is closed first, the kernels disagree: kqueue
// forgets it, epoll does so only when the last duplicate of it is closed, poll says that it is invalid,
// and select fails as a whole. The rule here is the same for all:
//
//   - It is reported a bounded number of times at most, at worst 256, and from then on is not watched. It
//     does not make Select spin, nor fail. That it is closed is not itself reported.
//   - Its key stays until Unregister, which returns nil, as it does if the number has been taken by
//     another file in the meantime.
//   - Once it has been found, by Select or by a Modify that fails, Register accepts the number anew, in
//     place of the old key; until then it fails with [ErrRegistered]. Modify of the events fails with
//     EBADF (on Windows WSAENOTSOCK); Modify of the data alone still works.
//   - If the number is taken by another file before it has been found, epoll and kqueue know the
//     difference and do not watch that file under the old key. poll and select know numbers only, and do.
//
// The worst case is epoll's. A descriptor that was closed while a duplicate lives, in this process or in
// a child, goes on being reported, and nothing can remove it: epoll_ctl finds files by descriptor, and
// there is none any more (epoll(7), Questions and answers, 6). Here it is noticed when it comes up after
// its Unregister, or else at its 256th report, and the living are moved to a new epoll instance. That
// takes one free descriptor for a moment; without one, Select tries again every millisecond.
//
// Linux shows a hang-up to select as readable only. So a socket that is watched for Write or for Hangup
// alone is besides looked at with poll once a second: select reports its hang-up up to a second late.
package selector
