// Package load puts load on a server and measures how it answers: many connections of Plexor's own loops send messages,
// check every byte that comes back, and time each message.
//
//	res, err := load.Run(ctx, load.Options{Address: "tcp://127.0.0.1:9000", Conns: 100, Duration: 5 * time.Second})
//
// # Two ways to send
//
// In a closed loop (the default) each connection keeps Depth messages under way and sends the next when an answer
// comes. That finds the most that a server can do. It says little about waiting: while a server stands still nothing is
// sent, so the pause is seen by Depth messages a connection and by nobody else.
//
// At a constant Rate each message has a time at which it is due, and its latency counts from then, whether it could be
// sent then or not (the error that this avoids is known as coordinated omission). A server that stands still for a
// second at 1000 messages a second has kept a thousand waiting, and all of them are in the result. No more than Depth
// are under way on a connection even so; the others wait their turn, with the clock running.
//
// # What is measured
//
// First all connections are made. Then comes Warmup, whose messages are not counted, and then Duration. What is under
// way, or due, at its end is still waited for, within Timeout, and its latency counts: a server that stands still at
// the very end is not flattered either. Rate and Seconds are of Duration alone. With Requests the measurement ends when
// so many messages were answered or lost, to the message.
//
// Messages are pseudo-random bytes, different for each connection and position, so that an answer to another message,
// or to another connection, is as wrong as a changed byte. On a stream without a codec answers are taken in order, byte
// by byte; with one, message by message. A datagram carries its number in front, so that one may be lost or overtake
// another. What came back wrong is counted, and has no latency.
//
// The times are those of the loop's clock, which is read once a turn: before it handles what has arrived. They include
// the client's own work, as a client's times do. Where that matters, as when client and server share a core, look at
// the server's CPU time in place of the rate.
//
// # Ends
//
// A connection that breaks, that the peer closes, or on which nothing moves for Timeout while answers are due, is lost:
// it is counted with its reason, and not replaced. A run ends early when no connection is left, and when its context is
// cancelled. The [Result] says what happened in either case, and [Result.Err] whether that was good.
package load
