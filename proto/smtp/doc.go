// Package smtp is the Simple Mail Transfer Protocol (RFC 5321) with the extensions that mail uses today, and LMTP (RFC
// 2033): its parts without sockets, and on top of them the two sides of one connection, on any net.Conn.
//
// # A server
//
// A [Server] takes the mail of connections and hands it to a [Backend]. It knows no listener and makes no goroutines. A
// connection is served to its end by Serve, or in turns by a [ServerConn], which holds neither a stack nor a buffer
// while the client is silent: that is how package plexor serves thousands of them (plexor.Sessions).
//
//	srv := &smtp.Server{Backend: backend, Name: "mx.example.org"}
//	err := srv.Serve(ctx, nc)
//
// A message streams: [Session.Data] gets a reader, and nothing of the message is kept here.
//
// # A client
//
// A [Client] sends messages on one connection, with as few round trips as the server's extensions allow. [Dial] opens
// it, with TLS as its options say.
//
// # Parts
//
// [Scanner] finds lines, [ParseCommand] takes them apart, with [ParseMail] and [ParseRcpt] for what follows the two
// commands of the envelope; [DataDecoder] finds the end of a message, [DataEncoder] makes one; [ReplyParser] reads
// replies and [AppendReply] writes them. None of them waits, reads or keeps more than it says.
//
// # Strict where it matters
//
// If two programs disagree about where a message ends, a stranger can put commands into it that the second one obeys
// (SMTP smuggling). So a message ends at CR LF . CR LF and nowhere else; a CR or LF that stands alone, and a NUL, are
// refused with 550, behind which the connection is closed, since nobody knows what the rest was meant to be. A command
// with such a line end is refused likewise. The client never sends one: see [Message]. Bytes that came in plain text
// behind STARTTLS end the connection, on both sides, and all that was said before the handshake is forgotten.
//
// # Bounds
//
// All that a peer can make long, often or slow has a bound in [Limits] or [ClientLimits]. [Server.Stats] counts what
// was refused.
package smtp
