// Package loop is an event loop: one goroutine that waits for many sockets, timers and calls from outside,
// and hands each thing that happened to its handler, one at a time.
//
// A [Loop] waits on a driver. The readiness driver, over any multiplexer of package selector, learns that a
// descriptor is ready and then reads or writes; a completion driver learns that a read or a write is done. To a
// handler they are the same: bytes arrived ([Handler.Data]), the peer closed its half ([Handler.EOF]), there is
// room to write again ([Handler.Writable]), a deadline passed ([Handler.Expired]), it is over ([Handler.Closed]).
//
// # A turn
//
// A loop goes round in turns:
//
//	wait        until something is ready, a timer is due, or somebody posted
//	dispatch    what is ready: accept, read, write; each a bounded amount (see below)
//	timers      that are due by now
//	posted      functions, those that were there when the turn came to them
//	flush       what the turn wrote: one system call a connection
//	ended       connections get their Closed
//
// Handlers run in dispatch, timers and posted. They may call anything of this package that belongs to their
// loop; no call runs another handler before it returns. A handler that blocks holds up everything on its loop:
// the stall monitor reports that (see [Options]), with the stack that does it.
//
// # Writing
//
// [Conn.Write] takes all of its bytes or none. They are corked: what a turn wrote to one connection leaves in
// one system call at the end of the turn, however many calls to Write made it up, or at once when there is more
// than 16 KiB of it. What the kernel does not take is kept and goes out as there is room. Once what is kept has
// reached [Options].HighWater the connection is full: Write refuses with [ErrFull], and reading from this peer
// pauses, until it has fallen to half of that; then reading goes on and Writable is called. So a peer that sends
// and never reads costs HighWater and one Write, whatever the handler does.
//
// # Closing
//
// [Conn.Close] is graceful. What was written goes out, then the end of the stream; input that still comes is
// read and dropped, for a socket closed with unread input answers with a reset, which destroys what is on its
// way to the peer (RFC 1122 section 4.2.2.13, RFC 2525 section 2.17). The connection ends, and Closed is called
// with nil, when the peer's system has acknowledged every byte and the peer has closed its half too, for which
// it has a second. If no more of the bytes was acknowledged within [Options].Linger, Closed gets
// [ErrUndelivered]. [Conn.Abort] resets the connection at once.
//
// # Bounds
//
// A turn reads at most ReadBudget bytes from one connection and accepts at most AcceptBudget connections from
// one listener, so that one busy peer does not starve the others. Each is a field of [Options], next to those
// that bound memory. There is one read buffer a loop, and output is kept in blocks from a pool of the loop, so
// an idle connection holds no buffer at all: it costs about 200 bytes.
//
// # Sockets of others
//
// A [Watch] only tells when a socket can be read or written, once each time that it is asked ([Watch.Await]); reading
// and writing is left to its owner. It is for sockets that others use too, outside the loop.
//
// # Several loops
//
// A [Group] runs several loops, one a core unless told otherwise. A connection belongs to one loop for its life.
// The listener's loop accepts and hands each connection to the loop that has the fewest. The other way,
// SO_REUSEPORT with a listener a loop, is there to choose ([SpreadReusePort]); why it is not the default is said
// at [Spread].
//
// # Goroutines
//
// All of a loop's own functions and types are for its own goroutine: call them from a handler, a timer or a
// posted function, or before [Loop.Run]. For any goroutine are [Loop.Post], [Loop.Do], [Loop.Close],
// [Loop.Stats], and all of [Group].
package loop
