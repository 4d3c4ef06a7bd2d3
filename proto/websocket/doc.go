// Package websocket is WebSocket (RFC 6455) with compressed messages (RFC 7692), without sockets: it eats bytes and
// gives events.
//
// # The opening handshake
//
// A server reads an [Offer] from the head of a request, of proto/http1 or of net/http, and answers by
// [Options.Accept]. A client sends a [Request] and checks the answer to it. [Deflate] says what compression may cost.
//
// # Frames and messages
//
// A [Parser] takes frames apart, in whatever pieces the bytes come. It unmasks in place, and what it gives are views:
//
//	for len(b) > 0 {
//		n, event, err := parser.Next(b)
//		b = b[n:]
//		…                                       // event.Kind: Data, Ping, Pong, Close, or None
//	}
//
// [AppendFrame], [AppendControl] and [AppendClose] write. None of them allocates, waits or knows a clock. Between
// two frames a Parser holds no buffer. An [Assembler] gives whole messages, inflated, and a [Composer] writes them.
//
// # Strict
//
// What RFC 6455 forbids is refused with the code that it names, as soon as it can be seen: reserved bits and
// opcodes, frames of a client without a mask and of a server with one, lengths in more bytes than needed,
// fragmented or long control frames, fragments out of order, close codes that may not be sent, text that is not
// UTF-8 (at the byte that is wrong, also in the midst of a fragment). An [Error] has the code to close with;
// nothing is read behind it.
//
// # Bounds
//
// All that a peer can make long has a bound in [Limits].
package websocket
