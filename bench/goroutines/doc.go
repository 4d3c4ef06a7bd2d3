// Command goroutines puts servers that use a goroutine a connection over Plexor's listener next to the same over
// package net: net/http, gRPC, and an echo. It tells what a request costs the server.
//
//	cd bench && go run ./goroutines                        all of it, some minutes
//	go run ./goroutines -services http -conns 100 -rounds 21 -d 300ms
//	go run ./goroutines -services ws -conns 1000 -places free              echo by WebSocket, beside gws and gorilla
//	go run ./goroutines -services room -conns 10000 -places free -d 1s     one message to all of a Hub
//
// A server is a process of its own, and so is the load. Servers are loaded in turn, round after round, so that what
// else the machine does falls on all of them alike. There are two arrangements: "free", where server and load run on
// whatever core there is, and "pinned", where each has a core of its own.
//
// What it tells is the CPU time of the server's process for a request (getrusage, all threads), which holds on a busy
// machine better than rates do, and the context switches. The ratio is the median of the ratios to net in the same
// round; behind it stand the quartiles of these. "Quiet" is the CPU time of the tenth of the rounds with the least, as
// what else runs on the machine only ever adds to it, and its ratio to net's.
package main
