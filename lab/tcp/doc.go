// Package tcp is TCP without sockets, clocks and goroutines: segments and a time go in; segments, events and the time
// of the next timer come out (RFC 9293).
//
// A [Stack] is the TCP of one host: its connections, its listeners, its secrets. Whoever runs it (the lab's host, a tap
// to a kernel, a test's table) does four things, from one goroutine at a time:
//
//	s.Segment(now, …)     a segment has come
//	s.Advance(now)        the time of s.Next() has come
//	s.Flush(now, send)    take what is to be sent
//	s.Event()             take what has happened to whom
//
// and the calls of a socket on its connections: Write, Read, CloseWrite, Abort. None of them waits, none reads a clock
// or a generator: now is the time since the stack began, and what has to be unpredictable comes from Options.Random. So
// a run with the same times, segments and random numbers is the same run.
//
// # The life of a segment
//
// In: Stack.Segment finds the connection by its four-tuple, or the listener, or answers with a reset. Conn.segment is
// section 3.10.7 of RFC 9293, in its order: sequence number, reset, SYN, acknowledgment, urgent, text, FIN. Text is
// written into the receive pages at its place, in order or not; what is whole from the left is Readable.
//
// Out: nothing is sent where something happens. A connection that has something to say marks itself, and Flush asks
// each marked one what it sends: lost segments first, then new data as far as the windows allow, then an acknowledgment
// that is due and has not travelled with data. So ten segments that come before one Flush are answered by one
// acknowledgment (MUST-58, MUST-59).
//
// # What is kept of a segment that was sent
//
// A record, not its bytes: sequence number, length, time, and whether it was acknowledged selectively, is counted as
// lost, was sent again. The bytes are in the send pages until they are acknowledged. All of loss recovery reads and
// writes these records: RACK compares their times (RFC 8985), SACK marks them (RFC 2018, 6675), a timeout marks them
// all lost (RFC 6298). What is in flight is their sum (RFC 6675's pipe).
//
// # Bounds
//
// Everything that a peer can make grow has a bound in [Limits]: bytes that wait to be sent and read, ranges that came
// out of order, connections that are not open yet, connections that wait their last time, challenge acknowledgments a
// second. Pages of 4 KiB hold bytes, and an idle connection has none.
package tcp
