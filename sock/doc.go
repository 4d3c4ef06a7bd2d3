// Package sock is sockets and nothing above them: addresses written as URLs, options by name, and the
// non-blocking calls themselves, with the same meaning on every system.
//
// An address is text, parsed once:
//
//	a, err := sock.ParseAddr("tcp://127.0.0.1:9000?backlog=512")
//	o, rest, err := sock.ParseOptions(a.Query) // rest: the keys that are no socket options
//	s, err := sock.Listen(a, o)
//
// and a [Socket] is a plain descriptor with methods: no goroutine, no buffer, no finalizer. What the package
// does not do is wait. Every socket is non-blocking from birth (and closed on exec), so a call either does
// its work or returns [ErrWouldBlock], and it is for the caller to wait until the descriptor is ready: with a
// selector, a ring, or anything else that takes a descriptor.
//
// # Errors
//
// Cold calls (Listen, Connect, the options) wrap: an [*Error] says what failed, on which address, in which
// system call, and what to do. Hot calls ([Socket.Recv], [Socket.Send], [Socket.SendV], [Socket.Accept], the
// batches) return the bare [syscall.Errno], since most of them are ErrWouldBlock and are compared at once.
//
// # Concurrency
//
// Addr, Options and Error are values. The methods of a Socket may be called from any goroutine, as far as the
// kernel is concerned; but a descriptor number is used again as soon as it is closed, so whoever closes a
// Socket must know that nobody else still uses it. A [Batch] belongs to one goroutine at a time.
//
// The hot calls go straight to the kernel, past the Go scheduler and past the race detector: that one
// goroutine received what another sent does not order their accesses to memory in the detector's eyes (nor
// does Go's memory model say that it would).
//
// # Systems
//
// Linux is what the package is written, tested and measured for. macOS, FreeBSD, NetBSD, OpenBSD and Windows
// have the same calls; where one of them lacks an option, [Options.Check] says so. The code for these systems
// is compiled and vetted, but untested.
package sock
