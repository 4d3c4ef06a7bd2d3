// Package http1 is HTTP/1.1 (RFC 9112, RFC 9110): heads and bodies without sockets, parsed from bytes in whatever
// pieces they come, and written behind other bytes; and on top of that the two sides of one connection, on any
// net.Conn.
//
// # A connection
//
// A [Server] answers requests by an http.Handler of net/http, and a client asks them. Neither has goroutines, listeners
// or a pool: they are functions of a net.Conn, and run on a goroutine, on a coroutine of package plexor, or over a pipe
// in a test. Package web is a server of many connections, and a client of many.
//
// # Reading
//
// A [Scanner] finds where a head ends, and refuses what is none as early as it can be seen. A [Head] is what the
// lines of a head say, as views into its bytes:
//
//	n, err := scanner.Scan(buf)              // 0: more bytes are needed
//	err = head.ParseRequest(buf[:n], limits)
//
// What follows is the body, and [Head.Body] says how it ends: by its length, by its last chunk, or with the
// connection. [Chunked] takes chunks apart. Neither copies or allocates; a Head may be used again for the next
// message.
//
// # Strict where it matters
//
// Two programs that take the same bytes for different messages let a stranger's bytes pass for somebody else's
// request (request smuggling). So whatever could be read in two ways is refused: Content-Length beside
// Transfer-Encoding, lengths that differ, have a sign or are lists, a Transfer-Encoding but a single "chunked", white
// space before a colon or at the beginning of a line (obs-fold), CR, LF or NUL where they are no line end, a line
// that ends in LF alone, chunk sizes with a sign, a prefix or white space, no Host or two. An [Error] has the status
// to answer with; the connection is closed behind the answer, since nobody knows where the next message begins.
//
// # A client
//
// [Client] sends [net/http.Request]s on any net.Conn and reads the answers, one after the other on each connection: it
// has no pool, no redirects and no proxies, and leaves those to who has the connections.
//
// # Bounds
//
// All that a peer can make long has a bound in [Limits].
package http1
