// Package plexor is an event-driven networking engine: a server is written as straight-line code that blocks, and runs
// as coroutines on event loops.
//
// A stream, as a coroutine of its own:
//
//	srv := &plexor.Server{Handler: plexor.HandlerFunc(func(c *plexor.Conn) { io.Copy(c, c) })}
//	log.Fatal(srv.ListenAndServe("tcp://127.0.0.1:9000"))
//
// Messages, of which an idle connection costs neither stack nor buffer:
//
//	srv.Handler = plexor.Messages(frame.Length{Bytes: 4}, func(c *plexor.Conn, msg []byte) error {
//		return c.Send(bytes.ToUpper(msg))
//	})
//
// What anybody may send to, from any goroutine, is a connection's [Outbox], or an [Audience] of them:
//
//	var room plexor.Audience
//	room.Add(c.Outbox())             // in a handler
//	room.Send([]byte("to everybody")) // anywhere
//
// What is better read by hand, at the same cost: a handler that is called anew whenever bytes have come, see [Turns].
// And a state for each connection, with messages or turns, made when it opens and told of its end: see [Sessions].
//
// Datagrams, each in a coroutine of its own:
//
//	srv.Packets = plexor.PacketFunc(func(p *plexor.Packet) { p.Reply(p.Data) })
//
// # What runs where
//
// A [Server] has several loops, one a core unless told otherwise, and a connection lives on
// one of them. All that belongs to it runs there, one thing at a time: two handlers of one
// loop never run at once, and need no locks between them as long as neither waits; across a
// wait there are the locks of package coro. Two handlers of different loops do run at once.
//
// A [Conn] is a net.Conn whose waits park the coroutine. It is for coroutines of its loop, and says so when it is not.
// What blocks in any other way (a channel, a file, a sync.Mutex that a parked coroutine holds) blocks the whole loop:
// coro.Await runs it on a goroutine, and the stall monitor reports it, with the line, when it is forgotten. For code
// that is to run on goroutines, [Conn.Shared], [Server.Listen] and [Client] give connections that any goroutine may
// use. To send to a connection that a handler serves, from elsewhere, there is its [Outbox].
//
// Those may be used inside a bubble of testing/synctest as connections of package net may, if the loops run outside: so
// start the Server or Client before. A goroutine that waits for such a connection is not durably blocked, so that the
// bubble's time stands still, and deadlines pass by the system's clock. Server.Shutdown waits in a bubble for a
// connection that is left until its context is cancelled, and so is better called outside. Loops that run in a bubble
// themselves (a Server that is started there, [Run]) work, but the timers of such loops do not, for their time stands
// still too.
//
// # TLS
//
// An address tls://host:port begins each connection with a handshake, and a handler is then written as for any other;
// see [TLS] for certificates, which may be files that change, or none at all. [Conn.StartTLS] goes over to it in the
// midst of a connection. Bytes are as safe as without: the end of a stream is the peer's close_notify, and a connection
// that ends without it is io.ErrUnexpectedEOF to Read; Close and CloseWrite send one. A deadline that passes leaves a
// Conn as usable as before, and so it does with what Shared returns. The connections of [Server.Listen] at a tls
// address are of type *tls.Conn, for net/http looks for that, and keep to its rules: one whose Write has timed out is
// of no more use.
//
// # Memory
//
// While it waits for its first byte, and with [Messages], [Turns] and [Sessions] whenever it waits, a connection has no
// coroutine and no buffer. So it is over TLS too, where only the handshake has a coroutine, but that the state of
// crypto/tls stays: ARCHITECTURE.md tells how much that is ("The life of a coroutine"). What is kept for one that does
// not read, or for a peer that does not, has a bound: see [Limits].
//
// # The layers below
//
//   - [github.com/plexor-go/plexor/coro]: coroutines on a loop
//   - [github.com/plexor-go/plexor/loop]: event loops, connections, datagrams, timers
//   - [github.com/plexor-go/plexor/frame]: messages on a byte stream
//   - [github.com/plexor-go/plexor/selector]: select, poll, epoll and kqueue behind one type
//   - [github.com/plexor-go/plexor/sock]: sockets, addresses and options
//
// ARCHITECTURE.md tells how they fit.
package plexor
