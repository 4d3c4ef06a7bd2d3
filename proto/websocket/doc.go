// Package websocket is WebSocket (RFC 6455) with compressed messages (RFC 7692): a core without sockets, which eats
// bytes and gives events, and a [Conn] on it over any net.Conn.
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
// # Connections
//
// A [Conn] is a connection over any net.Conn, for code that waits: [Upgrade] takes one over from net/http, [Accept]
// does the handshake on one that was accepted, [Dial] a client's on one that is made. Over a plexor.Conn its waits
// park the coroutine. Messages are read and written whole or streamed, or prepared once for many ([Prepare]); pings
// are answered, and sent where nothing comes; both sides close with a code. While it is being read a Conn costs its
// reader's stack and 4 KiB. A server of many idle connections has an Assembler and a Composer for each, which hold
// nothing between messages.
//
// # Handlers
//
// [Handler] and [Sockets] are an http.Handler that is called for each message. Under package web a connection that
// waits holds neither stack nor buffer; under net/http the same handler has a goroutine for each. web.Hub sends to
// many.
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
